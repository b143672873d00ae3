"""The life of a job, rule by rule: each test is one statement of the theory in streams/core/job.py."""

from typing import Any

import pytest

from schemas import defaults
from schemas.events import Receipt
from schemas.records import replace
from schemas.words import BeatKind, Outcome, Phase, RejectCode, Verdict, WaitReason
from streams.core import facts, job
from streams.core.effect import DispatchJob, Effect, TellRelays, TellSchedule, WriteDeadLetter
from streams.core.events import Due, PurgeDue, Source
from streams.core.facts import Fact
from streams.core.job import Step
from streams.core.rejection import Rejection
from tests.life import T0, Life, in_phase

SECOND_MS = 1_000


def told(step: Step | Rejection | None) -> tuple[type[Fact], str | None, tuple[Effect, ...]]:
    """What happened, the phase after it, and the effects."""
    assert isinstance(step, Step), step
    (fact,) = step.facts
    return type(fact), None if step.job is None else step.job.phase, step.effects


def refused(step: Step | Rejection | None) -> tuple[RejectCode, str]:
    """Why not."""
    assert isinstance(step, Rejection), step
    return step.code, step.reason


# Admission.


def test_a_request_is_recorded_and_dispatched_in_one_step() -> None:
    """A new job is ready in epoch 1, attempt 1, and its dispatch is the only effect."""
    life = Life()
    assert told(life.submit()) == (facts.Admitted, Phase.READY, (DispatchJob(1),))
    assert (life.row.epoch, life.row.attempt, life.row.dispatched_at_ms) == (1, 1, T0)


def test_a_job_for_later_waits_and_is_not_dispatched() -> None:
    """A run_at ahead makes a scheduled job without effects, due then."""
    life = Life()
    assert told(life.submit(run_at_ms=T0 + 5_000)) == (facts.Scheduled, Phase.SCHEDULED, ())
    assert (life.row.epoch, life.row.due_at_ms, life.row.wait_reason) == (0, T0 + 5_000, "delay")
    assert life.tick(4_999) is None
    assert told(life.tick(1)) == (facts.Readied, Phase.READY, (DispatchJob(1),))
    assert (life.row.attempt, life.row.due_at_ms, life.row.wait_reason) == (1, None, None)


def test_a_run_at_in_the_past_is_now() -> None:
    """A run_at that has passed delays nothing."""
    assert told(Life().submit(run_at_ms=T0 - 1))[0] == facts.Admitted


def test_a_job_that_expired_before_it_was_read_is_never_offered() -> None:
    """A request that lay in the log past its expiry expires at the next tick, without a dispatch."""
    life = Life()
    assert told(life.submit(expires_at_ms=T0)) == (facts.Scheduled, Phase.SCHEDULED, ())
    assert told(life.tick()) == (facts.Expired, Phase.EXPIRED, (TellRelays(1),))


def test_an_equal_duplicate_is_answered_with_the_job_that_exists() -> None:
    """The same content under the same id changes nothing but the applied offset, in any phase."""
    for phase in Phase:
        life = in_phase(phase)
        before = life.row
        assert told(life.submit()) == (facts.Deduplicated, phase, ())
        assert life.row == replace(before, applied_requests=life.offsets[Source.REQUESTS])


def test_an_unequal_duplicate_is_refused_with_both_hashes() -> None:
    """An id belongs to one content as long as its row is kept."""
    life = in_phase(Phase.READY)
    code, reason = refused(life.submit(content_hash="other"))
    assert code == RejectCode.ID_CONFLICT
    assert reason.startswith(
        "request refused: job job-1 exists with other content (hash hash-1, phase ready)"
    )
    assert "got hash other" in reason


# The lease.


def test_a_started_beat_makes_a_lease_whatever_the_relays_clock_says() -> None:
    """The lease ends timeout_ms after assignment by the broker's clock, though only the relay knows when
    that was.
    """
    life = in_phase(Phase.READY)
    life.now_ms += 70
    ahead_ms = 3 * 3_600 * SECOND_MS
    started = life.start(relay_clock_ms=ahead_ms, assigned_at_ms=life.now_ms + ahead_ms - 50, started_at_ms=7)
    assert told(started) == (facts.Started, Phase.LEASED, ())
    assert life.row.lease_ends_at_ms == T0 + 70 - 50 + 60_000
    assert life.row.beat_at_ms == T0 + 70
    attempt = life.row.attempts[-1]
    assert (attempt.minion, attempt.session, attempt.relay) == ("m-1", "s-1", "r-1")
    assert attempt.started_at_ms == 7


def test_an_assignment_after_the_beat_counts_as_now() -> None:
    """A beat that claims an assignment in its own future makes no longer lease."""
    life = in_phase(Phase.READY)
    life.start(assigned_at_ms=T0 + 9_000)
    assert life.row.lease_ends_at_ms == T0 + 60_000


def test_any_beat_of_the_current_epoch_starts_a_ready_job() -> None:
    """If the started beat is lost, the next one does its work."""
    for kind in BeatKind:
        assert told(in_phase(Phase.READY).beat(kind))[0] == facts.Started


def test_a_quick_job_goes_from_ready_to_its_end() -> None:
    """A receipt needs no beat before it."""
    life = in_phase(Phase.READY)
    assert told(life.succeed(b"42")) == (facts.Succeeded, Phase.SUCCEEDED, ())
    assert (life.row.result, life.row.ended_at_ms, life.row.dispatched_at_ms) == (b"42", T0, None)
    assert life.row.purge_at_ms == T0 + defaults.JOB_RETENTION_MS


def test_an_alive_beat_is_not_written() -> None:
    """A beat that tells nothing new moves the beat time in memory alone."""
    life = in_phase(Phase.LEASED)
    before, life.now_ms = life.row, T0 + 1_000
    step = life.beat()
    assert isinstance(step, Step)
    assert (told(step), step.durable) == ((facts.Heard, Phase.LEASED, ()), False)
    assert life.row == replace(before, beat_at_ms=T0 + 1_000, applied_heartbeats=1)


def test_progress_is_written_and_what_it_leaves_out_stays() -> None:
    """Step, progress and checkpoint are kept one by one, and no beat ends the lease later."""
    life = in_phase(Phase.LEASED)
    ends_at_ms, life.now_ms = life.row.lease_ends_at_ms, T0 + 1_000
    step = life.beat(BeatKind.PROGRESS, step="parse", step_at_ms=T0 + 900, checkpoint=b"c")
    assert isinstance(step, Step)
    assert (told(step), step.durable) == ((facts.Progressed, Phase.LEASED, ()), True)
    life.beat(BeatKind.PROGRESS, done=40, total=100)
    attempt = life.row.attempts[-1]
    assert (attempt.step, attempt.done, attempt.total) == ("parse", 40, 100)
    assert (life.row.step_at_ms, life.row.checkpoint) == (T0 + 900, b"c")
    assert (life.row.lease_ends_at_ms, life.row.beat_at_ms) == (ends_at_ms, T0 + 1_000)


@pytest.mark.parametrize("news", [{"session": "s-2"}, {"started_at_ms": T0 + 5}])
def test_a_beat_with_a_new_session_or_begin_is_written(news: dict[str, Any]) -> None:
    """An adopted lease, and a function that began after its started beat, are facts even in an alive beat."""
    life = in_phase(Phase.LEASED)
    assert told(life.beat(BeatKind.ALIVE, **news))[0] == facts.Progressed
    assert vars(life.row.attempts[-1]).items() >= news.items()


def test_a_beat_with_a_huge_checkpoint_is_refused() -> None:
    """A row could not hold it."""
    life = in_phase(Phase.LEASED)
    before = life.row
    code, reason = refused(life.beat(BeatKind.PROGRESS, checkpoint=bytes(16 * 1024 + 1)))
    assert code == RejectCode.OVERSIZE
    assert reason == "heartbeat of job job-1 refused: checkpoint must be at most 16384 bytes, got 16385"
    assert life.row is before


def test_words_of_another_epoch_are_refused_and_change_nothing() -> None:
    """The epoch fences: what a minion says about an attempt that is not the current one is recorded, and
    harmless.
    """
    life = in_phase(Phase.LEASED)
    life.end(Outcome.INTERRUPTED)
    before = life.row
    assert refused(life.end(Outcome.SUCCESS, epoch=1)) == (
        RejectCode.WRONG_EPOCH,
        "receipt of epoch 1 refused: job job-1 is in epoch 2, phase ready",
    )
    assert refused(life.beat(epoch=3)) == (
        RejectCode.WRONG_EPOCH,
        "heartbeat of epoch 3 refused: job job-1 is in epoch 2, phase ready",
    )
    assert life.row is before


def test_a_receipt_after_its_lease_ended_is_refused() -> None:
    """A late success of the current epoch is refused once silence was decided, in every phase."""
    for phase in set(Phase) - {Phase.READY, Phase.LEASED}:
        life = in_phase(phase)
        before = life.row
        assert refused(life.succeed()) == (
            RejectCode.NOT_NOW,
            f"receipt of epoch {before.epoch} refused: job job-1 is in epoch {before.epoch}, phase {phase}",
        )
        assert life.row is before


# What ends a lease.


def test_a_failure_waits_for_its_retry_in_a_new_epoch_and_attempt() -> None:
    """The default backoff: 1 s after the first failure, then a dispatch with epoch and attempt one higher."""
    life = in_phase(Phase.LEASED)
    assert told(life.fail()) == (facts.Failed, Phase.RETRYING, ())
    assert (life.row.failed, life.row.attempt, life.row.due_at_ms) == (1, 1, T0 + 1_000)
    assert (life.row.error_type, life.row.error_message) == ("ValueError", "no")
    assert life.row.lease_ends_at_ms is life.row.beat_at_ms is None
    assert told(life.tick(1_000)) == (facts.Readied, Phase.READY, (DispatchJob(2),))
    assert (life.row.attempt, life.row.epoch) == (2, 2)


def test_a_failure_without_words_hides_the_one_before() -> None:
    """The row's error is that of the last failure."""
    life = in_phase(Phase.RETRYING)
    life.tick(1_000)
    life.end(Outcome.FAILURE)
    assert (life.row.error_type, life.row.error_message) == (None, None)


def test_the_last_failure_makes_a_dead_job_and_a_dead_letter() -> None:
    """attempts_max failures are the end."""
    life = Life()
    life.submit(attempts_max=2)
    life.fail()
    life.tick(1_000)
    assert told(life.fail("OSError")) == (
        facts.Died,
        Phase.DEAD,
        (WriteDeadLetter("2 of 2 attempts failed"),),
    )
    assert (life.row.failed, life.row.error_type, life.row.end_reason) == (
        2,
        "OSError",
        "2 of 2 attempts failed",
    )
    assert [attempt.outcome for attempt in life.row.attempts] == ["failure", "failure"]


def test_an_error_that_says_so_or_is_named_by_the_job_is_not_retried() -> None:
    """non_retryable counts in the receipt and in the policy."""
    life = in_phase(Phase.LEASED)
    reason = "attempt 1 failed with ValueError, not to be retried"
    assert told(life.fail(non_retryable=True)) == (facts.Died, Phase.DEAD, (WriteDeadLetter(reason),))
    life = Life()
    life.submit(non_retryable=("OSError", "ValueError"))
    assert told(life.fail()) == (facts.Died, Phase.DEAD, (WriteDeadLetter(reason),))


@pytest.mark.parametrize(
    ("asked_ms", "waited_ms"), [(1, 1), (0, 1), (-5, 1), (7_500, 7_500), (10**15, 30 * 86_400_000)]
)
def test_an_error_may_name_its_own_delay(asked_ms: int, waited_ms: int) -> None:
    """retry_after_ms goes before the curve, within its limits: at least 1 ms, at most 30 days."""
    life = in_phase(Phase.LEASED)
    life.fail(retry_after_ms=asked_ms)
    assert life.row.due_at_ms == T0 + waited_ms


def test_a_lost_lease_is_tried_again_at_once_and_counts_apart() -> None:
    """A broken session is no failure of the function: new epoch and attempt at once, `lost` one more."""
    life = in_phase(Phase.LEASED)
    assert told(life.end(Outcome.LOST)) == (facts.Lost, Phase.READY, (DispatchJob(2),))
    assert (life.row.lost, life.row.failed, life.row.attempt) == (1, 0, 2)
    assert [(a.attempt, a.epoch, a.outcome, a.ended_at_ms) for a in life.row.attempts] == [
        (1, 1, "lost", T0),
        (2, 2, None, None),
    ]


def test_too_many_lost_leases_make_a_dead_job() -> None:
    """lost_max is the limit of a job that kills its minions."""
    life = in_phase(Phase.READY)
    life.end(Outcome.LOST)
    life.end(Outcome.LOST)
    reason = "3 of 3 leases were lost"
    assert told(life.end(Outcome.LOST)) == (facts.Died, Phase.DEAD, (WriteDeadLetter(reason),))
    assert life.row.lost == 3


def test_a_hand_back_is_offered_again_at_once_as_the_same_attempt() -> None:
    """A minion that drains counts against nothing; the checkpoint goes to whoever is next."""
    life = in_phase(Phase.LEASED)
    assert told(life.end(Outcome.INTERRUPTED, checkpoint=b"half", step="parse")) == (
        facts.HandedBack,
        Phase.READY,
        (DispatchJob(2),),
    )
    assert (life.row.attempt, life.row.epoch, life.row.failed, life.row.lost) == (1, 2, 0, 0)
    assert (life.row.checkpoint, life.row.snoozed, life.row.attempts[0].step) == (b"half", 1, "parse")


def test_an_unserved_job_waits_for_a_minion_and_leaves_no_trace_of_an_attempt() -> None:
    """No minion has the function: offered again as the same attempt, without an error."""
    life = in_phase(Phase.READY)
    assert told(life.end(Outcome.UNSERVED)) == (facts.Unserved, Phase.SCHEDULED, ())
    assert (life.row.wait_reason, life.row.due_at_ms) == ("unserved", T0 + 300_000)
    assert (life.row.attempts, life.row.error_type) == ((), None)
    assert told(life.tick(300_000)) == (facts.Readied, Phase.READY, (DispatchJob(2),))
    assert life.row.attempt == 1


@pytest.mark.parametrize(
    ("asked_ms", "waited_ms"), [(60_000, 60_000), (None, 1), (0, 1), (10**15, 400 * 86_400_000)]
)
def test_a_snooze_waits_as_long_as_it_asks_within_limits(asked_ms: int | None, waited_ms: int) -> None:
    """A snooze counts against nothing, and repeats the attempt."""
    life = in_phase(Phase.LEASED)
    assert told(life.end(Outcome.SNOOZE, snooze_ms=asked_ms)) == (facts.Snoozed, Phase.SCHEDULED, ())
    assert (life.row.due_at_ms, life.row.wait_reason, life.row.snoozed) == (T0 + waited_ms, "snooze", 1)
    life.tick(waited_ms)
    assert (life.row.phase, life.row.attempt, life.row.epoch) == (Phase.READY, 1, 2)


def test_a_function_may_end_its_job_as_cancelled() -> None:
    """A cancelled receipt ends the job though nobody asked."""
    life = in_phase(Phase.LEASED)
    assert told(life.end(Outcome.CANCELLED)) == (facts.Cancelled, Phase.CANCELLED, ())
    assert life.row.end_reason == "cancelled by the function itself"


def test_an_unknown_outcome_is_refused_by_name() -> None:
    """A receipt of another protocol is no end."""
    assert refused(in_phase(Phase.LEASED).end("vanished")) == (
        RejectCode.BAD_FIELD,
        f"receipt of job job-1 refused: outcome must be one of {', '.join(Outcome)}, got 'vanished'",
    )


@pytest.mark.parametrize(
    ("receipt", "sentence"),
    [
        ({"outcome": "success", "result": bytes(262_145)}, "result must be at most 262144 bytes, got 262145"),
        (
            {"outcome": "snooze", "checkpoint": bytes(16_385)},
            "checkpoint must be at most 16384 bytes, got 16385",
        ),
    ],
)
def test_a_result_that_no_row_could_hold_is_a_failure(receipt: dict[str, Any], sentence: str) -> None:
    """Too large a result or checkpoint ends the job with an error that says so, and is kept nowhere."""
    life = in_phase(Phase.LEASED)
    assert told(life.end(**receipt))[:2] == (facts.Died, Phase.DEAD)
    assert (life.row.error_type, life.row.error_message) == ("Oversize", sentence)
    assert (life.row.result, life.row.checkpoint) == (None, None)


def test_a_row_remembers_the_latest_attempts_and_counts_the_others() -> None:
    """The history is bounded."""
    life = Life()
    life.submit(attempts_max=100, retry_kind="constant")
    for _ in range(12):
        life.fail()
        life.tick(1_000)
    assert [attempt.attempt for attempt in life.row.attempts] == list(range(4, 14))
    assert life.row.attempts_dropped == 3


def test_words_from_outside_are_cut_to_what_a_row_may_hold() -> None:
    """Neither an error nor a step makes a row large."""
    life = in_phase(Phase.LEASED)
    life.beat(BeatKind.PROGRESS, step="s" * 999)
    life.end(Outcome.FAILURE, error_type="t" * 999, error_message="m" * 9_999)
    attempt = life.row.attempts[-1]
    assert [len(text or "") for text in (attempt.step, attempt.error_type, attempt.error_message)] == [
        defaults.STEP_CHARS_MAX,
        defaults.ERROR_TYPE_CHARS_MAX,
        defaults.ERROR_MESSAGE_CHARS_MAX,
    ]
    assert (life.row.error_type, life.row.error_message) == (attempt.error_type, attempt.error_message)


# Silence.


def test_no_receipt_by_the_end_of_the_lease_is_a_failure() -> None:
    """A timeout counts as a failure of type Timeout, is retried, and calls the attempt off."""
    life = in_phase(Phase.LEASED)
    for _ in range(20):
        life.now_ms += 3_000
        life.beat()
    assert life.tick(-1) is None
    assert told(life.tick(1)) == (facts.Failed, Phase.RETRYING, (TellRelays(1),))
    assert (life.row.failed, life.row.error_type) == (1, "Timeout")
    assert life.row.error_message == "no receipt within 60000 ms"
    assert life.row.attempts[-1].outcome == Verdict.TIMEOUT


def test_no_beat_for_the_heartbeat_timeout_is_a_loss() -> None:
    """Silence counts as lost, is offered again at once, and calls the silent attempt off."""
    life = in_phase(Phase.LEASED)
    assert life.tick(3_999) is None
    assert told(life.tick(1)) == (facts.Lost, Phase.READY, (DispatchJob(2), TellRelays(1)))
    assert (life.row.lost, life.row.attempts[0].outcome) == (1, Verdict.SILENT)
    assert life.row.error_message == "no heartbeat for 4000 ms"


def test_a_beat_ends_the_silence() -> None:
    """Each beat gives one more heartbeat timeout."""
    life = in_phase(Phase.LEASED)
    life.now_ms += 3_999
    life.beat()
    assert life.tick(3_999) is None


def test_what_came_first_ends_the_lease() -> None:
    """A tick that comes late decides as one in time would have: the timeout before a later silence."""
    life = Life()
    life.submit(timeout_ms=3_000)
    life.start()
    assert told(life.tick(3_600_000))[0] == facts.Failed
    life = Life()
    life.submit(timeout_ms=5_000)
    life.start()
    assert told(life.tick(3_600_000))[0] == facts.Lost


def test_silence_is_not_decided_while_something_is_unheard() -> None:
    """A receipt may be among the records not yet applied: ready and leased jobs wait until all is heard."""
    for phase in (Phase.READY, Phase.LEASED):
        life = in_phase(phase)
        assert life.tick(30 * 86_400_000, heard=False) is None
        assert life.tick() is not None
    life = in_phase(Phase.RETRYING)
    assert life.tick(1_000, heard=False) is not None


def test_an_outage_reprieves_every_lease() -> None:
    """After a restore a lease has one more heartbeat timeout, for its beats and for its receipt."""
    life = in_phase(Phase.LEASED)
    life.now_ms += 3_600_000
    step = life.restore()
    assert isinstance(step, Step)
    assert (told(step), step.durable) == ((facts.Reprieved, Phase.LEASED, ()), False)
    assert life.tick(3_999) is None
    assert told(life.tick(1))[0] == facts.Failed
    life = in_phase(Phase.READY)
    assert life.restore() == Step(life.job, (), (), durable=False)


# Cancelling.


@pytest.mark.parametrize(
    ("phase", "effects"),
    [(Phase.SCHEDULED, ()), (Phase.RETRYING, ()), (Phase.READY, (TellRelays(1),))],
)
def test_a_job_that_does_not_run_is_cancelled_at_once(phase: Phase, effects: tuple[Effect, ...]) -> None:
    """Its end has the asker's reason; a dispatch that is on the way is called off."""
    life = in_phase(phase)
    assert told(life.cancel("not needed")) == (facts.Cancelled, Phase.CANCELLED, effects)
    assert (life.row.end_reason, life.row.due_at_ms) == ("not needed", None)


@pytest.mark.parametrize(
    ("reason", "by", "said"),
    [
        ("why not", "ann", "why not"),
        (None, "ann", "cancelled by ann"),
        (None, None, "cancelled on request"),
        ("r" * 2_000, None, "r" * 1_000),
    ],
)
def test_a_cancel_says_why_or_who(reason: str | None, by: str | None, said: str) -> None:
    """The reason, else the asker, else that it was asked; never more than a row holds."""
    life = in_phase(Phase.READY)
    life.cancel(reason, by)
    assert life.row.end_reason == said


def test_a_running_attempt_is_asked_to_stop_and_may_still_succeed() -> None:
    """A cancel of a leased job is a request to its minion; work that was done counts."""
    life = in_phase(Phase.LEASED)
    assert told(life.cancel("stop")) == (facts.CancelRequested, Phase.LEASED, (TellRelays(1),))
    assert job.outstanding(life.row) == (TellRelays(1),)
    assert told(life.cancel("stop!")) == (facts.CancelRequested, Phase.LEASED, (TellRelays(1),))
    assert told(life.succeed()) == (facts.Succeeded, Phase.SUCCEEDED, ())


def test_a_running_attempt_that_is_terminated_ends_its_job_at_once() -> None:
    """What the function does then is called off, and its receipt comes too late."""
    life = in_phase(Phase.LEASED)
    assert told(life.cancel("now", terminate=True)) == (facts.Cancelled, Phase.CANCELLED, (TellRelays(1),))
    assert (life.row.end_reason, life.row.attempts[-1].outcome) == ("now", "withdrawn")
    assert isinstance(life.succeed(), Rejection)
    waiting = in_phase(Phase.RETRYING)
    assert told(waiting.cancel(terminate=True)) == (facts.Cancelled, Phase.CANCELLED, ())


def test_a_job_that_a_schedule_fired_tells_it_of_its_end() -> None:
    """Whatever the end; again when somebody asks again, and after a crash; and not before."""
    life = Life()
    assert told(life.submit(scheduled_by="tick")) == (facts.Admitted, Phase.READY, (DispatchJob(1),))
    assert told(life.submit(scheduled_by="tick")) == (facts.Deduplicated, Phase.READY, ())
    assert told(life.succeed()) == (facts.Succeeded, Phase.SUCCEEDED, (TellSchedule(),))
    assert job.outstanding(life.row) == (TellSchedule(),)
    assert told(life.submit(scheduled_by="tick")) == (facts.Deduplicated, Phase.SUCCEEDED, (TellSchedule(),))
    other = Life()
    other.submit(scheduled_by="tick")
    assert told(other.cancel())[2] == (TellRelays(1), TellSchedule())
    assert TellSchedule() not in job.outstanding(in_phase(Phase.SUCCEEDED).row)


@pytest.mark.parametrize("outcome", [each for each in Outcome if each != Outcome.SUCCESS])
def test_a_cancelled_attempt_that_does_not_succeed_ends_the_job(outcome: Outcome) -> None:
    """No other end of the attempt brings a retry."""
    life = in_phase(Phase.LEASED)
    life.cancel("stop")
    assert told(life.end(outcome)) == (facts.Cancelled, Phase.CANCELLED, ())
    assert life.row.end_reason == "stop"


@pytest.mark.parametrize("timeout_ms", [1_000, 60_000])
def test_a_cancelled_attempt_that_falls_silent_ends_the_job(timeout_ms: int) -> None:
    """Timeout and silence end a lease that was asked to stop, and call it off once more."""
    life = Life()
    life.submit(timeout_ms=timeout_ms)
    life.start()
    life.cancel("stop")
    assert told(life.tick(4_000)) == (facts.Cancelled, Phase.CANCELLED, (TellRelays(1),))


# Running again.


@pytest.mark.parametrize("phase", [Phase.DEAD, Phase.CANCELLED, Phase.EXPIRED])
def test_an_ended_job_begins_anew_when_someone_asks(phase: Phase) -> None:
    """Fresh counters, the epoch after the next, nothing of its end; what was tried stays in the history."""
    life = in_phase(phase)
    epoch, history = life.row.epoch, life.row.attempts
    assert told(life.retry()) == (facts.Retried, Phase.READY, (DispatchJob(epoch + 2),))
    row = life.row
    assert (row.attempt, row.failed, row.lost, row.snoozed) == (1, 0, 0, 0)
    assert {row.ended_at_ms, row.purge_at_ms, row.end_reason, row.cancel_reason} == {None}
    assert row.attempts[:-1] == history


def test_a_cancel_of_an_earlier_life_ends_no_attempt_of_the_next() -> None:
    """A job that was cancelled while it ran, and is run again, is retried like any other."""
    life = in_phase(Phase.LEASED)
    life.cancel("stop")
    life.end(Outcome.CANCELLED)
    life.retry()
    assert told(life.fail())[:2] == (facts.Failed, Phase.RETRYING)


def test_a_waiting_job_runs_now_when_someone_asks() -> None:
    """Retry takes away the wait and nothing else."""
    life = in_phase(Phase.RETRYING)
    assert told(life.retry(by="ann"))[:2] == (facts.Retried, Phase.READY)
    assert (life.row.attempt, life.row.failed, life.row.due_at_ms) == (2, 1, None)
    life = in_phase(Phase.SCHEDULED)
    life.retry()
    assert (life.row.phase, life.row.attempt, life.row.epoch) == (Phase.READY, 1, 1)


def test_a_job_that_succeeded_or_may_run_is_not_run_again() -> None:
    """After a success was accepted a job is never dispatched again."""
    for phase in (Phase.SUCCEEDED, Phase.READY, Phase.LEASED):
        life = in_phase(phase)
        before = life.row
        code, reason = refused(life.retry())
        assert code == RejectCode.NOT_NOW
        assert reason.startswith(f"retry of job job-1 refused in phase {phase}, epoch 1: ")
        assert life.row is before


def test_a_retry_lifts_an_expiry_and_renews_a_deadline() -> None:
    """What has run out must not end the job again before it began."""
    life = Life()
    life.submit(expires_at_ms=T0 + 1_000, ends_by_ms=T0 + 5_000)
    assert told(life.tick(1_000))[0] == facts.Expired
    life.retry()
    assert (life.row.spec.expires_at_ms, life.row.spec.ends_by_ms) == (None, T0 + 1_000 + 5_000)
    life = Life()
    life.submit(run_at_ms=T0 + 1_000, expires_at_ms=T0 + 2_000, ends_by_ms=T0 + 5_000)
    life.retry()
    assert (life.row.spec.expires_at_ms, life.row.spec.ends_by_ms) == (T0 + 2_000, T0 + 5_000)


# Deadlines.


@pytest.mark.parametrize(
    ("phase", "effects"),
    [
        (Phase.SCHEDULED, ()),
        (Phase.RETRYING, ()),
        (Phase.READY, (TellRelays(1),)),
        (Phase.LEASED, (TellRelays(1),)),
    ],
)
def test_the_total_deadline_ends_every_job_that_has_not_ended(
    phase: Phase, effects: tuple[Effect, ...]
) -> None:
    """With the time for all attempts used up the job is dead; an attempt that may run is called off."""
    life = in_phase(phase)
    life.job = replace(life.row, spec=replace(life.row.spec, ends_by_ms=T0 + 500))
    reason = "its total deadline passed"
    assert life.tick(499) is None
    assert told(life.tick(1)) == (facts.Died, Phase.DEAD, (WriteDeadLetter(reason), *effects))


def test_a_job_asked_to_stop_is_cancelled_by_its_deadline() -> None:
    """A cancel that was asked for is what people see at the end."""
    life = Life()
    life.submit(ends_by_ms=T0 + 500)
    life.start()
    life.cancel("stop")
    assert told(life.tick(500)) == (facts.Cancelled, Phase.CANCELLED, (TellRelays(1),))


def test_a_retry_that_could_only_come_too_late_is_not_waited_for() -> None:
    """A failure is final if the next attempt would begin at or after the total deadline."""
    for ends_by_ms, fact in ((T0 + 1_000, facts.Died), (T0 + 1_001, facts.Failed)):
        life = Life()
        life.submit(ends_by_ms=ends_by_ms)
        assert told(life.fail())[0] == fact
    assert life.row.end_reason is None


@pytest.mark.parametrize("phase", [Phase.SCHEDULED, Phase.READY, Phase.RETRYING])
def test_a_job_that_is_not_started_in_time_expires(phase: Phase) -> None:
    """Expiry counts while the job waits to be started, first or again, and goes before its due time."""
    life = in_phase(phase)
    life.job = replace(life.row, spec=replace(life.row.spec, expires_at_ms=T0 + 500))
    assert told(life.tick(100_000))[:2] == (facts.Expired, Phase.EXPIRED)


@pytest.mark.parametrize("end", [Outcome.LOST, Outcome.INTERRUPTED])
@pytest.mark.parametrize(("limit", "fact"), [("ends_by_ms", facts.Died), ("expires_at_ms", facts.Expired)])
def test_no_attempt_is_offered_when_its_time_is_over(end: Outcome, limit: str, fact: type[Fact]) -> None:
    """What would be offered again at once ends the job instead, once its expiry or deadline has passed."""
    life = Life()
    fields: dict[str, Any] = {limit: T0 + 1_000}
    life.submit(**fields)
    life.start()
    life.now_ms += 1_000
    assert told(life.end(end))[0] == fact


def test_a_late_tick_offers_nothing_that_is_over() -> None:
    """A due event for a job whose deadline passed in the meantime does not dispatch it."""
    for limit, fact in (("ends_by_ms", facts.Died), ("expires_at_ms", facts.Expired)):
        life = in_phase(Phase.RETRYING)
        life.job = replace(life.row, spec=replace(life.row.spec, **{limit: T0 + 1_000}))
        life.now_ms += 2_000
        assert told(life.apply(Due(*life.place(Source.TIMERS))))[0] == fact


def test_an_old_dispatch_is_sent_anew_with_a_new_epoch() -> None:
    """Before its topic forgets it, a dispatch that nobody took is called off and made again."""
    life = in_phase(Phase.READY)
    assert life.tick(defaults.DISPATCH_AGE_MS_MAX - 1) is None
    assert told(life.tick(1)) == (facts.Readied, Phase.READY, (DispatchJob(2), TellRelays(1)))
    assert life.row.attempt == 1
    assert [(attempt.epoch, attempt.outcome) for attempt in life.row.attempts] == [
        (1, "withdrawn"),
        (2, None),
    ]


def test_an_ended_job_is_kept_and_then_forgotten() -> None:
    """Its row goes after the retention; then nobody knows it."""
    life = in_phase(Phase.SUCCEEDED)
    assert life.tick(defaults.JOB_RETENTION_MS - 1) is None
    assert told(life.tick(1)) == (facts.Purged, None, ())
    assert refused(life.cancel())[0] == RejectCode.UNKNOWN_JOB


# Dispatched before the row says so: whoever saw the time come has died, and his row with him.


@pytest.mark.parametrize("phase", [Phase.SCHEDULED, Phase.RETRYING])
def test_a_word_about_the_next_epoch_of_a_waiting_job_proves_that_its_time_came(phase: Phase) -> None:
    """It counts as after the tick that is not read again yet: the same epoch and attempt, dispatched once."""
    waiting = in_phase(phase).row
    life = in_phase(phase)
    life.tick(10_000)
    decided = life.row
    for word in ("start", "end"):
        life = in_phase(phase)
        life.now_ms += 10_000
        step = (
            life.start(epoch=waiting.epoch + 1)
            if word == "start"
            else life.end(Outcome.SUCCESS, epoch=waiting.epoch + 1)
        )
        assert isinstance(step, Step), step
        assert [type(fact) for fact in step.facts] == [
            facts.Readied,
            facts.Started if word == "start" else facts.Succeeded,
        ]
        assert step.effects == ()
        assert (life.row.epoch, life.row.attempt) == (decided.epoch, decided.attempt)
        assert life.row.attempts[-1].dispatched_at_ms == waiting.due_at_ms
        place = life.place(Source.TIMERS)
        assert refused(life.apply(Due(*place)))[0] == RejectCode.NOT_NOW


def test_what_a_word_leads_to_is_dispatched() -> None:
    """An attempt that is lost before its time was decided again is followed by the next."""
    life = in_phase(Phase.SCHEDULED)
    step = life.end(Outcome.LOST, epoch=1)
    assert isinstance(step, Step), step
    assert step.effects == (DispatchJob(2),)
    step = in_phase(Phase.SCHEDULED).fail(epoch=1, non_retryable=True)
    assert isinstance(step, Step), step
    assert [type(effect) for effect in step.effects] == [WriteDeadLetter]


def test_a_word_that_says_nonsense_proves_nothing() -> None:
    """It is refused, and the job waits on."""
    life = in_phase(Phase.SCHEDULED)
    before = life.row
    assert refused(life.end("nonsense", epoch=1))[0] == RejectCode.BAD_FIELD
    assert life.row == before


def test_a_word_about_a_later_epoch_or_of_a_lane_proves_nothing() -> None:
    """Only the next epoch may have left, and that of a job in a lane never does."""
    life = in_phase(Phase.SCHEDULED)
    assert refused(life.start(epoch=2))[0] == RejectCode.WRONG_EPOCH
    life = Life()
    life.submit(run_at_ms=T0 + 1_000, lane="goes_on")
    assert refused(life.start(epoch=1))[0] == RejectCode.WRONG_EPOCH


def test_who_ends_after_his_time_came_calls_off_what_may_have_left() -> None:
    """Cancelled, expired or out of time: the relays do not begin the next epoch, and a retry passes it
    over.
    """
    for limit, fact in (("", facts.Cancelled), ("expires_at_ms", facts.Expired), ("ends_by_ms", facts.Died)):
        life = Life()
        limits: dict[str, Any] = {limit: T0 + 2_000} if limit else {}
        life.submit(run_at_ms=T0 + 1_000, **limits)
        life.now_ms += 2_000
        step = life.tick() if limit else life.cancel()
        assert isinstance(step, Step), step
        assert isinstance(step.facts[0], fact)
        assert TellRelays(1) in step.effects
        assert refused(life.start(epoch=1))[0] == RejectCode.WRONG_EPOCH
        assert told(life.retry())[2] == (DispatchJob(2),)


def test_a_job_that_left_and_then_got_another_time_runs_at_its_old_one() -> None:
    """The new time came too late for it."""
    life = in_phase(Phase.SCHEDULED)
    life.now_ms += 10_000
    life.reschedule(5_000)
    assert isinstance(life.start(epoch=1), Step)
    assert life.row.phase == Phase.LEASED


# Replays.


def test_a_replay_changes_nothing_and_brings_back_what_is_outstanding() -> None:
    """An applied event returns the same row, and the effects that a crash may have lost."""
    life = in_phase(Phase.READY)
    before = life.row
    assert job.step(before, life.events[-1]) == Step(before, (), (DispatchJob(1),), durable=False)
    life.start()
    assert job.step(life.row, life.events[0]) == Step(life.row, (), (), durable=False)


@pytest.mark.parametrize(
    ("phase", "effects"),
    [
        (Phase.SCHEDULED, ()),
        (Phase.READY, (DispatchJob(1),)),
        (Phase.LEASED, ()),
        (Phase.RETRYING, ()),
        (Phase.SUCCEEDED, ()),
        (
            Phase.DEAD,
            (WriteDeadLetter("attempt 1 failed with ValueError, not to be retried"), TellRelays(2)),
        ),
        (Phase.CANCELLED, (TellRelays(1), TellRelays(2))),
        (Phase.EXPIRED, (TellRelays(1),)),
    ],
)
def test_what_a_row_awaits_can_be_told_from_the_row(phase: Phase, effects: tuple[Effect, ...]) -> None:
    """No effect lives only in memory."""
    assert job.outstanding(in_phase(phase).row) == effects


def test_a_fact_that_is_not_in_the_table_cannot_be_folded() -> None:
    """The fold asserts: an impossible transition is an error of ours, never a row."""
    with pytest.raises(AssertionError, match="Succeeded is no transition from scheduled"):
        job.evolve(
            in_phase(Phase.SCHEDULED).job, facts.Succeeded(0, Source.RECEIPTS, 0, Receipt.__new__(Receipt))
        )


def test_a_tick_tells_a_row_at_most_one_thing() -> None:
    """The same tick asked twice finds nothing the second time."""
    life = in_phase(Phase.RETRYING)
    life.tick(1_000)
    row = replace(life.row, dispatched_at_ms=0)
    assert job.due(row, life.now_ms, offset=life.offsets[Source.TIMERS]) is None
    assert job.due(row, life.now_ms, offset=life.offsets[Source.TIMERS] + 1) is not None


@pytest.mark.parametrize(
    ("phase", "limits", "next_ms"),
    [
        (Phase.SCHEDULED, {}, T0 + 10_000),
        (Phase.SCHEDULED, {"expires_at_ms": T0 + 7}, T0 + 7),
        (Phase.SCHEDULED, {"ends_by_ms": T0 + 7}, T0 + 7),
        (Phase.READY, {}, T0 + defaults.DISPATCH_AGE_MS_MAX),
        (Phase.READY, {"expires_at_ms": T0 + 7}, T0 + 7),
        (Phase.LEASED, {}, T0 + 4_000),
        (Phase.LEASED, {"heartbeat_timeout_ms": 90_000}, T0 + 60_000),
        (Phase.LEASED, {"expires_at_ms": T0 + 7}, T0 + 4_000),  # it has been started
        (Phase.LEASED, {"ends_by_ms": T0 + 7}, T0 + 7),
        (Phase.RETRYING, {}, T0 + 1_000),
        (Phase.SUCCEEDED, {"expires_at_ms": T0 + 7, "ends_by_ms": T0 + 7}, T0 + defaults.JOB_RETENTION_MS),
    ],
)
def test_a_row_is_looked_at_when_the_first_of_its_times_comes(
    phase: Phase, limits: dict[str, Any], next_ms: int
) -> None:
    """One due time for each row: the least of all that may come in its phase."""
    life = in_phase(phase)
    row = replace(life.row, spec=replace(life.row.spec, **limits))
    assert job.next_due_ms(row) == next_ms
    assert job.due(row, next_ms - 1, offset=99) is None
    assert job.due(row, next_ms, offset=99) is not None


def test_a_time_event_without_a_job_is_refused() -> None:
    """Time brings nothing to nobody."""
    assert refused(job.step(None, PurgeDue(T0, Source.TIMERS, 0))) == (
        RejectCode.UNKNOWN_JOB,
        "PurgeDue refused: the job is not known in this partition; ended jobs are forgotten",
    )


# Jobs that are held.


@pytest.mark.parametrize("reason", sorted(job.HELD))
def test_a_held_job_is_ready_and_was_not_dispatched(reason: WaitReason) -> None:
    """It keeps its epoch, does not age as a dispatch does, and still expires."""
    life = Life()
    life.submit(expires_at_ms=T0 + 9_000)
    row = life.row
    held = job.held(row, reason)
    assert (held.phase, held.epoch, held.wait_reason) == (Phase.READY, row.epoch, reason)
    assert job.is_held(held)
    assert not job.is_held(row)
    assert not job.is_held(in_phase(Phase.SCHEDULED).row)
    assert job.next_due_ms(held) == T0 + 9_000
    assert job.next_due_ms(job.held(in_phase(Phase.READY).row, reason)) is None


def test_a_released_job_was_dispatched_then() -> None:
    """The dispatch counts from the tick that let it go, which the row remembers."""
    row = in_phase(Phase.READY).row
    released = job.released(job.held(row, WaitReason.PAUSED), T0 + 5_000, 17)
    assert (released.wait_reason, released.dispatched_at_ms, released.applied_timers) == (
        None,
        T0 + 5_000,
        17,
    )
    assert released.attempts[-1].dispatched_at_ms == T0 + 5_000
    assert released.epoch == row.epoch
    assert job.outstanding(released) == (DispatchJob(row.epoch),)


def test_only_a_ready_job_is_held_and_only_a_held_one_released() -> None:
    """Anything else is an error of ours."""
    ready = in_phase(Phase.READY).row
    with pytest.raises(AssertionError, match="only a ready job is held"):
        job.held(in_phase(Phase.LEASED).row, WaitReason.PAUSED)
    with pytest.raises(AssertionError, match="a job is held by its queue"):
        job.held(ready, WaitReason.RETRY)
    with pytest.raises(AssertionError, match="only a held job is released"):
        job.released(ready, T0, 1)

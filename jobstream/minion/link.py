"""What a minion and one relay owe each other: leases, credits, receipts, beats. The protocol, without a wire.

A Link outlives the sessions it has with its relay. It owns no thread, no socket and no clock: `session.py`
gives it messages and the time, and sends what it collects. All its methods belong to the session's thread but
`ended` and `progressed`, which any thread may call. It must never grant a credit that the minion could not
start a job on at once.
"""

import heapq
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from jobstream.context import Stop
from jobstream.functions import HEARTBEATS_PER_TIMEOUT, Function
from jobstream.minion import outcome
from jobstream.minion.beats import Beats, Key
from jobstream.minion.call_runs import CallLease, CallRuns, stop_of
from jobstream.minion.lease import Lease
from jobstream.minion.outbox import Outbox
from jobstream.minion.shares import NEVER_MS, Shares
from schemas.defaults import BEAT_AFTER_MS, HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS
from schemas.proto.relay_pb2 import (
    Beat,
    BeatBatch,
    Credit,
    Draining,
    FromMinion,
    FromRelay,
    FunctionRule,
    Hello,
    Job,
    Recall,
    Receipt,
    ReceiptBatch,
    Run,
    Welcome,
)

log = logging.getLogger(__name__)

NO_SESSION = -1
"""For leases that were given on a session with another relay."""
PROTOCOL = 1
"""Version of relay.proto that is spoken."""
BATCH_BEATS_MAX = 1_000
"""How many beats go in one message."""
ENDED_DEADLINES_MAX = 1_000
"""How many deadlines of leases that have ended are kept, above those of as many as are held."""
INTERVAL_MS_MIN = 50
"""Beats of one lease are never closer than this, whatever timeout a job came with."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a minion says of itself at every hello."""

    minion: str
    queues: tuple[str, ...]
    functions: dict[str, Function[..., Any]]
    capacity: int
    areas: tuple[str, ...] = ()
    sdk: str = ""


class Runner(Protocol):
    """What runs leases. Its methods are called by the session's thread and return at once."""

    def start(self, leases: list[Lease]) -> None:
        """Runs them; each is told to the link as ended, once, when its function has left its slot."""

    def stop(self, lease: Lease) -> None:
        """Makes the function notice that its lease shall stop; the lease says why."""

    def where(self, lease: Lease) -> str:
        """The stack of a function that runs, as text."""


class Link:
    """One relay, as the minion sees it over all sessions."""

    def __init__(
        self, offer: Offer, runner: Runner, shares: Shares | None = None, *, guest: bool = False
    ) -> None:
        """`shares` are those of all relays of the minion; a `guest` takes no jobs, and looks after leases
        that another relay gave.
        """
        self.offer = offer
        self.is_guest = guest
        self._shares = shares or Shares(offer.capacity)
        self._shares.join(self, self._ask_back, self._wake)
        self._ask_back_due: deque[int] = deque()
        self._brought: deque[tuple[list[Lease], list[tuple[Receipt, Lease]]]] = deque()
        self._gave_ms = NEVER_MS
        self.session = ""
        """Id of the session that is open, or was last."""
        self.open = False
        self.draining = False
        """The minion goes away: it takes no more jobs, from any session."""
        self.relay_draining = False
        """The relay goes away: it gives no more jobs on this session."""
        self.held: dict[Key, Lease] = {}
        """Leases that no receipt has ended."""
        self.occupied = 0
        """Slots in use: the functions of `held`, and those that still run though their lease has ended."""
        self.outbox = Outbox()
        self.wake: Callable[[], None] = lambda: None
        """Called from any thread when there is something to collect."""
        self.nudge: Callable[[], None] = lambda: None
        """The same when that may wait a moment for more of it."""
        self._runner = runner
        self.calls = CallRuns(self._wake)
        """Foreground calls of the session that is open."""
        self._sessions = 0
        self._granted = 0
        self._ended: deque[tuple[Lease, Receipt | None]] = deque()
        self._changed: deque[Lease] = deque()
        self._young: deque[Lease] = deque()
        self._behind: list[Lease] = []
        """Leases that waited for another when they were last looked at."""
        self._deadlines: list[tuple[int, int, Lease]] = []
        self._order = itertools.count()
        self._beats = Beats()
        self._beat_now: list[Key] = []
        self._beat_sent_ms = 0
        self._draining_due: int | None = None
        self._grace_ms = 0
        self.heartbeat_ms = HEARTBEAT_MS
        self.heartbeat_timeout_ms = HEARTBEAT_TIMEOUT_MS

    # Any thread.

    def ended(self, ends: Iterable[tuple[Lease, Receipt | None]], *, soon: bool = False) -> None:
        """These functions have left their slots; None: the lease had ended before. `soon`: nothing waits for
        word of them at the relay.
        """
        self._ended.extend(ends)
        if soon:
            self.nudge()
        else:
            self.wake()

    def progressed(self, lease: Lease) -> None:
        """Something changed that the next beat of this lease shall tell."""
        self._changed.append(lease)
        self.wake()

    def _wake(self) -> None:
        """`wake` is known only later."""
        self.wake()

    def _ask_back(self, up_to: int) -> None:
        """Another relay needs credits that this one has."""
        self._ask_back_due.append(up_to)
        self.wake()

    def take_over(self, leases: list[Lease], receipts: list[tuple[Receipt, Lease]]) -> None:
        """Leases and receipts of a link that has given them up. Before the thread of this one begins."""
        self._brought.append((leases, receipts))
        self._take_brought()

    # The session's thread.

    @property
    def has_something(self) -> bool:
        """True if it holds leases, or receipts that were not stored."""
        return bool(self.held or self.outbox or any(not lease.foreground for lease, _ in self._ended))

    @property
    def wanting(self) -> bool:
        """True if its relay has no credit, and the minion has room."""
        return self.open and not self._granted and not self.is_guest and not self._shares.is_full()

    def give_up(self, heir: "Link") -> tuple[list[Lease], list[tuple[Receipt, Lease]]]:
        """Its relay stays away: gives all it holds to another link, and holds nothing any more."""
        self._take_ended()
        leases = list(self.held.values())
        for lease in leases:
            lease.home, lease.notify = heir, heir.progressed
            lease.given_on = NO_SESSION
            self._beats.drop(lease.name)
        self.held.clear()
        self.occupied -= len(leases)
        self._share()
        return leases, self.outbox.give_up()

    def leave(self) -> None:
        """It needs no share of the capacity any more."""
        self._shares.leave(self)

    def _take_brought(self) -> None:
        while self._brought:
            leases, receipts = self._brought.popleft()
            for lease in leases:
                self.held[lease.name] = lease
                self.occupied += 1
                if lease.after is None:
                    self._watch(lease)
                else:
                    self._behind.append(lease)
            for receipt, lease in receipts:
                lease.given_on = NO_SESSION
                self.outbox.add(receipt, lease)
        self._share()

    def _share(self) -> None:
        self._shares.tell(
            self,
            occupied=self.occupied,
            granted=self._granted,
            is_open=self.open and not self.is_guest,
            busy_ms=self._gave_ms,
        )

    @property
    def settled(self) -> bool:
        """True if nothing runs under a lease, every receipt is stored, and no job is on its way to a minion
        that goes away.
        """
        return not (self.held or self.outbox or self._ended or self.calls or self._may_be_given)

    @property
    def _may_be_given(self) -> bool:
        """True if the relay has credits that it may have spent before it heard that the minion goes away."""
        return self.draining and self.open and self._granted > 0

    def hello(self) -> FromMinion:
        """The first message of a session."""
        self._take_ended()
        offer = self.offer
        held = [lease.held() for lease in self.held.values()]
        hello = Hello(
            protocol=PROTOCOL,
            minion=offer.minion,
            queues=offer.queues,
            functions=offer.functions,
            areas=offer.areas,
            capacity=offer.capacity,
            held=held,
            sdk=offer.sdk,
            calls=not self.is_guest,
            follows=True,
            rules=[
                FunctionRule(
                    function=name, coalesce=each.coalesce, cache_ms=each.cache_ms, cache_fields=each.cache_key
                )
                for name, each in offer.functions.items()
                if each.coalesce or each.cache_ms
            ],
        )
        return FromMinion(hello=hello)

    def welcomed(self, welcome: Welcome, now_ms: int) -> None:
        """A session is open."""
        self._sessions += 1
        self._granted = 0
        self.session = welcome.session
        self.open = True
        self.relay_draining = False
        self.heartbeat_ms = welcome.heartbeat_ms or HEARTBEAT_MS
        self.heartbeat_timeout_ms = welcome.heartbeat_timeout_ms or HEARTBEAT_TIMEOUT_MS
        self._draining_due = self._grace_ms if self.draining else None
        self.outbox.again()
        self._beats.resume(now_ms)
        self._beat_now.clear()
        self._beat_sent_ms = now_ms
        for lease in self.held.values():
            lease.forget_told()

    def broke(self) -> None:
        """The session is over, whoever ended it; leases go on."""
        self.open = False
        self._granted = 0
        self._stop_calls(self.calls.broke(), "the relay that its callers wait at went away")
        self._ask_back_due.clear()
        self._share()

    def drain(self, grace_ms: int) -> None:
        """The minion goes away: it tells so, and takes no more jobs."""
        self.draining = True
        self._grace_ms = grace_ms
        self._draining_due = grace_ms

    def hand_back(self) -> None:
        """Ends every lease as interrupted, with its last step, and lets its function know."""
        self._take_ended()
        for lease in list(self.held.values()):
            log.info("attempt handed back %s", ids(lease))
            self._close(lease, outcome.interrupted(lease), Stop.INTERRUPTED, "the minion goes away")
        self.calls.hand_back(
            lambda lease: self._stop_calls([lease], "the minion goes away"), outcome.interrupted
        )

    def receive(self, message: FromRelay, now_ms: int, wall_ms: int) -> None:
        """Takes one message in; what it asks for is done or ready to be collected afterwards."""
        match message.WhichOneof("message"):
            case "jobs":
                self._receive_jobs(message.jobs.jobs, now_ms, wall_ms)
            case "calls" | "runs_over" | "run_limit":
                self._receive_of_calls(message, now_ms, wall_ms)
            case "receipts_stored":
                self.outbox.stored(message.receipts_stored.up_to)
            case "recalled":
                self._granted = max(self._granted - message.recalled.count, 0)
                self._shares.recalled(self)
                self._share()
            case "cancel":
                self._cancel((message.cancel.job, message.cancel.epoch), message.cancel.reason)
            case "drain":
                self.relay_draining = True
                log.info("relay drains session=%s reason=%r", self.session, message.drain.reason)
            case "drop":
                for each in message.drop.leases:
                    self._drop((each.job, each.epoch), message.drop.reason)
            case other:
                log.warning(
                    "relay sent what this version does not know session=%s kind=%s", self.session, other
                )

    def has_to_say(self, message: FromRelay) -> bool:
        """True if something may be there to collect after this message. Calls that were begun give nothing
        yet, and every look costs them some of their time.
        """
        return message.WhichOneof("message") != "calls" or self.calls.unsaid

    def tick(self, now_ms: int) -> bool:
        """Ends what ran out of time, finds the beats that are due; True if there is something to collect."""
        self._take_ended()
        self._look_behind()
        while self._young and now_ms - self._young[0].received_ms >= BEAT_AFTER_MS:
            lease = self._young.popleft()
            if self.held.get(lease.name) is lease:
                self._arm(lease, now_ms)
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            lease = heapq.heappop(self._deadlines)[2]
            if self.held.get(lease.name) is lease:
                self._time_out(lease)
        if self.open:
            self._beat_now += self._beats.due(now_ms)
        return bool(
            self._beat_now
            or self.outbox.unsent
            or self.calls.unsaid
            or self.wanting
            or self._beat_is_due(now_ms)
        )

    def collect(self, now_ms: int) -> list[FromMinion]:
        """What shall be sent now, in this order: receipts, beats, credits; each is taken to be sent."""
        self._take_ended()
        self._take_changed(now_ms)
        found: list[FromMinion] = []
        if self._draining_due is not None:
            found.append(FromMinion(draining=Draining(grace_ms=self._draining_due)))
            self._draining_due = None
            if self._granted:  # its answer says that nothing more comes
                found.append(FromMinion(recall=Recall(up_to=self._granted)))
        if self.outbox.unsent:
            batches = self.outbox.batches(self._sessions)
            found += [FromMinion(receipts=ReceiptBatch(receipts=batch)) for batch in batches]
        found += self._collect_beats(now_ms)
        while self._ask_back_due:
            found.append(FromMinion(recall=Recall(up_to=self._ask_back_due.popleft())))
        more = self._credit(now_ms)
        self._granted += more
        runs = self.calls.collect()
        if runs is not None:
            runs.credit = more
            found.append(FromMinion(runs=runs))
        elif more > 0:
            found.append(FromMinion(credit=Credit(more=more)))
        return found

    # Foreground calls.

    def _receive_of_calls(self, message: FromRelay, now_ms: int, wall_ms: int) -> None:
        if message.HasField("calls"):
            self._receive_calls(message.calls.runs, now_ms, wall_ms)
        elif message.HasField("runs_over"):
            over = message.runs_over
            self._stop_calls(self.calls.over(over.runs), over.reason)
        else:
            self.calls.limit(message.run_limit.run, message.run_limit.timeout_ms, wall_ms)

    def _receive_calls(self, runs: Iterable[Run], now_ms: int, wall_ms: int) -> None:
        begin: list[Lease] = []
        for run in runs:
            lease = CallLease(
                run, session=self.session, given_on=self._sessions, received_ms=now_ms, wall_ms=wall_ms
            )
            self._granted = max(self._granted - 1, 0)
            self._gave_ms = now_ms
            refusal = self._refusal(lease)
            if refusal is not None:
                log.warning("call given back: %s %s", refusal, ids(lease))
                self.calls.refuse(lease)
                continue
            lease.home = self
            self.calls.hold(lease)
            self.occupied += 1
            begin.append(lease)
        if begin:
            self._share()
            self._runner.start(begin)

    def _stop_calls(self, leases: Iterable[CallLease], reason: str) -> None:
        """Stops what nobody waits for; each leaves its slot when it is told as ended."""
        for lease in leases:
            stop_of(lease, reason)
            self._runner.stop(lease)

    # Jobs.

    def _receive_jobs(self, jobs: Iterable[Job], now_ms: int, wall_ms: int) -> None:
        begin: list[Lease] = []
        for job in jobs:
            lease = Lease(
                job, session=self.session, given_on=self._sessions, received_ms=now_ms, wall_ms=wall_ms
            )
            self._granted = max(self._granted - 1, 0)
            self._gave_ms = now_ms
            if lease.name in self.held:
                log.warning("attempt was given twice and runs once %s", ids(lease))
                continue
            refusal = self._refusal(lease)
            if refusal is not None:
                log.warning("attempt handed back: %s %s", refusal, ids(lease))
                self.outbox.add(outcome.interrupted(lease), lease)
                continue
            self._hold(lease)
            begin.append(lease)
        if begin:
            self._runner.start(begin)

    def _refusal(self, lease: Lease) -> str | None:
        """Why the job cannot be taken, None if it can."""
        if self.draining:
            return "the minion goes away"
        if self._shares.is_full():
            return f"it is above the capacity of {self.offer.capacity}"
        if lease.function not in self.offer.functions:
            return f"this minion has no function {lease.function!r}"
        return None

    def _hold(self, lease: Lease) -> None:
        lease.home, lease.notify = self, self.progressed
        lease.interval_ms = self._interval_ms(lease)
        self.held[lease.name] = lease
        self.occupied += 1
        self._share()
        if lease.after is None:
            self._watch(lease)
        else:
            self._behind.append(lease)

    def _watch(self, lease: Lease) -> None:
        """The time of a lease has begun."""
        if lease.timeout_ms < BEAT_AFTER_MS:
            self._arm_deadline(lease)
        self._young.append(lease)

    def _look_behind(self) -> None:
        """Watches the leases that waited for another one and began meanwhile."""
        if self._behind:
            waiting = [lease for lease in self._behind if self.held.get(lease.name) is lease]
            self._behind = [lease for lease in waiting if lease.after is not None]
            for lease in waiting:
                if lease.after is None:
                    self._watch(lease)

    def _interval_ms(self, lease: Lease) -> int:
        """How far apart the lease's beats are: by the function's policy, but near enough for the job's own
        timeout.
        """
        policy = self.offer.functions[lease.function].heartbeat
        silence_ms = lease.heartbeat_timeout_ms or self.heartbeat_timeout_ms
        near_enough_ms = max(silence_ms // HEARTBEATS_PER_TIMEOUT, INTERVAL_MS_MIN)
        if policy == "off":
            return 0 if silence_ms >= lease.timeout_ms else near_enough_ms
        wanted_ms = self.heartbeat_ms if policy == "auto" else int(policy * 1_000)
        return min(wanted_ms, near_enough_ms)

    def _arm(self, lease: Lease, now_ms: int) -> None:
        """The attempt has lived for a second: from now on it beats, and its deadline is watched."""
        if lease.interval_ms:
            self._beats.add(lease.name, lease.interval_ms, lease.received_ms, now_ms)
        if lease.timeout_ms >= BEAT_AFTER_MS:
            self._arm_deadline(lease)

    def _arm_deadline(self, lease: Lease) -> None:
        heapq.heappush(self._deadlines, (lease.received_ms + lease.timeout_ms, next(self._order), lease))
        if len(self._deadlines) > 2 * len(self.held) + ENDED_DEADLINES_MAX:
            self._deadlines = [each for each in self._deadlines if self.held.get(each[2].name) is each[2]]
            heapq.heapify(self._deadlines)

    # Ends.

    def _take_ended(self) -> None:
        """Receipts of functions that ended; those whose lease had ended before only free their slots."""
        while self._ended:
            lease, receipt = self._ended.popleft()
            if lease.home is not self:  # it was given up while its function left
                assert isinstance(lease.home, Link)
                lease.home.ended(((lease, receipt),))
                continue
            self.occupied -= 1
            if isinstance(lease, CallLease):
                self.calls.ended(lease, receipt)
                continue
            if self.held.get(lease.name) is not lease:
                continue
            del self.held[lease.name]
            self._beats.drop(lease.name)
            assert receipt is not None, (
                f"an attempt that holds its lease must end with a receipt, got none: {ids(lease)}"
            )
            self.outbox.add(receipt, lease)

    def _time_out(self, lease: Lease) -> None:
        log.warning("attempt timed out timeout_ms=%d %s", lease.timeout_ms, ids(lease))
        receipt = outcome.timed_out(lease, self._runner.where(lease))
        self._close(lease, receipt, Stop.TIMED_OUT, receipt.error_message)

    def _cancel(self, name: Key, reason: str) -> None:
        lease = self.held.get(name)
        if lease is not None:
            log.info("attempt is cancelled %s", ids(lease))
            lease.ask_to_stop(Stop.CANCELLED, reason or "the job was cancelled")
            self._runner.stop(lease)

    def _drop(self, name: Key, reason: str) -> None:
        lease = self.held.get(name)
        if lease is not None:
            log.warning("attempt is no longer this minion's reason=%r %s", reason, ids(lease))
            self._close(lease, None, Stop.DROPPED, reason or "the lease was taken away")

    def _close(self, lease: Lease, receipt: Receipt | None, stop: Stop, reason: str) -> None:
        """Ends a lease whose function may run on; it leaves its slot when it is told as ended."""
        del self.held[lease.name]
        self._beats.drop(lease.name)
        if receipt is not None:
            self.outbox.add(receipt, lease)
        lease.ask_to_stop(stop, reason)
        self._runner.stop(lease)

    # Beats and credits.

    def _take_changed(self, now_ms: int) -> None:
        while self._changed:
            lease = self._changed.popleft()
            if self.held.get(lease.name) is lease:
                self._beats.add(lease.name, lease.interval_ms, lease.received_ms, now_ms)
                self._beats.changed(lease.name, now_ms)

    def _beat_is_due(self, now_ms: int) -> bool:
        """True if the session itself must show that it lives, since none of its leases did for so long."""
        return self.open and now_ms - self._beat_sent_ms >= self.heartbeat_ms

    def _collect_beats(self, now_ms: int) -> list[FromMinion]:
        beats = [self._beat(self.held[name]) for name in self._beat_now if name in self.held]
        self._beat_now.clear()
        if not beats and not self._beat_is_due(now_ms):
            return []
        self._beat_sent_ms = now_ms
        return [
            FromMinion(beats=BeatBatch(beats=beats[start : start + BATCH_BEATS_MAX]))
            for start in range(0, max(len(beats), 1), BATCH_BEATS_MAX)
        ]

    def _beat(self, lease: Lease) -> Beat:
        """The lease's beat, with what was not told on this session. The flag goes first: what changes now
        comes again.
        """
        lease.dirty = False
        beat = Beat(job=lease.job, epoch=lease.epoch)
        step, progress, checkpoint = lease.step, lease.progress, lease.checkpoint
        if lease.started_at_ms and not lease.told_started:
            beat.started_at_ms = lease.started_at_ms
            lease.told_started = True
        if step is not None and step is not lease.told_step:
            beat.step, beat.step_at_ms = step
            lease.told_step = step
            beat.progress = True
        if progress is not None and progress is not lease.told_progress:
            beat.done, beat.total = progress
            lease.told_progress = progress
            beat.progress = True
        if checkpoint is not None and checkpoint is not lease.told_checkpoint:
            beat.checkpoint = checkpoint
            lease.told_checkpoint = checkpoint
            beat.progress = True
        return beat

    def _credit(self, now_ms: int) -> int:
        self._share()
        if not self.open or self.is_guest or self.draining or self.relay_draining or self.outbox.full:
            return 0
        return self._shares.claim(self, now_ms)


def ids(lease: Lease) -> str:
    """The ids that every log line of an attempt carries."""
    return (
        f"job_id={lease.job} attempt={lease.attempt} epoch={lease.epoch} session={lease.session} "
        f"function={lease.function}"
    )

"""From the words of the minion protocol to the records of the topics, and back.

Owns the limits that a minion's words are held to. A value above its limit never stops a session: text is cut,
a checkpoint is left out, and a result becomes a failure that says so.
"""

from collections.abc import Mapping
from typing import Any, Final

from relay.core.session import Breach, Lease, Session
from schemas.defaults import (
    CHECKPOINT_BYTES_MAX,
    CONTENT_TYPE_CHARS_MAX,
    ERROR_MESSAGE_CHARS_MAX,
    ERROR_TRACE_CHARS_MAX,
    ERROR_TYPE_CHARS_MAX,
    NAME_CHARS_MAX,
    QUEUE,
    RESULT_BYTES_MAX,
    RETRY_AFTER_MS_MAX,
    SNOOZE_MS_MAX,
    STEP_CHARS_MAX,
    TIMEOUT_MS_MAX,
)
from schemas.events import Beat, Dispatch, Receipt
from schemas.keys import home
from schemas.names import BadName, check_function, check_id, check_key, check_queue
from schemas.proto import relay_pb2
from schemas.words import BeatKind, Outcome

EPOCH_MAX = (1 << 63) - 1
"""Largest epoch a record can hold."""

ATTEMPT_MAX = (1 << 31) - 1
"""Largest attempt a record can hold."""

OUTCOMES = {
    relay_pb2.SUCCESS: Outcome.SUCCESS,
    relay_pb2.FAILURE: Outcome.FAILURE,
    relay_pb2.SNOOZE: Outcome.SNOOZE,
    relay_pb2.CANCELLED: Outcome.CANCELLED,
    relay_pb2.INTERRUPTED: Outcome.INTERRUPTED,
}
"""What a minion may say of an attempt, and the word for it."""


def add_job(batch: relay_pb2.JobBatch, lease: Lease, dispatch: Dispatch) -> None:
    """Puts a dispatch into a message to the minion that got the lease. In place: a message that is put into
    another is copied.
    """
    batch.jobs.add(
        id=dispatch.job,
        epoch=dispatch.epoch,
        attempt=dispatch.attempt,
        key=dispatch.key,
        partition=dispatch.partition,
        queue=dispatch.queue,
        function=dispatch.function,
        args=dispatch.args or b"",
        content_type=dispatch.content_type,
        timeout_ms=dispatch.timeout_ms,
        assigned_at_ms=lease.assigned_at_ms,
        created_at_ms=dispatch.created_at_ms,
        checkpoint=dispatch.checkpoint or b"",
        trace=dispatch.trace or "",
        heartbeat_timeout_ms=dispatch.heartbeat_timeout_ms,
        leads=lease.leads,
    )
    if lease.after is not None:
        batch.jobs[-1].after_job, batch.jobs[-1].after_epoch = lease.after


def lease_of_held(held: relay_pb2.Held, session: Session, partitions: int) -> Lease:
    """A lease as its minion tells it; raises Breach when what it tells cannot be one of ours."""
    try:
        check_id(held.job)
        check_key(held.key)
        check_function(held.function)
        check_queue(held.queue or QUEUE)
    except BadName as bad:
        raise Breach(f"a held lease must name what it was told: {bad}") from None
    for name, value, least, most in (
        ("epoch", held.epoch, 1, EPOCH_MAX),
        ("attempt", held.attempt, 1, ATTEMPT_MAX),
        ("timeout_ms", held.timeout_ms, 1, TIMEOUT_MS_MAX),
        ("assigned_at_ms", held.assigned_at_ms, 1, EPOCH_MAX - TIMEOUT_MS_MAX),
    ):
        if not least <= value <= most:
            raise Breach(f"{name} of the held lease of {held.job} must be {least} to {most}, got {value}")
    if held.partition != home(held.key, partitions):
        raise Breach(
            f"the home of key {held.key} is partition {home(held.key, partitions)} of {partitions}, "
            f"the held lease of {held.job} says {held.partition}"
        )
    lease = Lease(
        held.job,
        held.epoch,
        held.attempt,
        held.key,
        held.partition,
        held.queue or QUEUE,
        held.function,
        held.timeout_ms,
        0,
        held.assigned_at_ms,
        session,
        spilled=False,
        window=None,
        offset=-1,
        ordered=True,
    )
    lease.started_at_ms = held.started_at_ms if held.started_at_ms > 0 else None
    return lease


def held_message(lease: Lease) -> relay_pb2.Held:
    """A lease, named to its minion."""
    return relay_pb2.Held(job=lease.job, epoch=lease.epoch)


def note_beat(lease: Lease, said: relay_pb2.Beat) -> None:
    """Keeps what a minion's beat tells about a lease, as its latest word."""
    if said.started_at_ms > 0:
        lease.started_at_ms = said.started_at_ms
    if said.step:
        lease.step = said.step[:STEP_CHARS_MAX]
    if said.step_at_ms > 0:
        lease.step_at_ms = said.step_at_ms
    if said.done > 0 or said.total > 0:
        lease.done = max(said.done, 0)
        lease.total = said.total if said.total > 0 else None
    if 0 < len(said.checkpoint) <= CHECKPOINT_BYTES_MAX:
        lease.checkpoint = said.checkpoint


def beat(lease: Lease, kind: BeatKind) -> Beat:
    """One lease in a Heartbeat record. An alive beat says no more than that; others tell where the attempt
    is.
    """
    if kind is BeatKind.ALIVE:
        said = lease.alive
        if said is None or (said.session, said.started_at_ms) != (lease.session.id, lease.started_at_ms):
            said = lease.alive = Beat(
                job=lease.job,
                key=lease.key,
                epoch=lease.epoch,
                attempt=lease.attempt,
                kind=kind.value,
                minion=lease.session.minion,
                session=lease.session.id,
                assigned_at_ms=lease.assigned_at_ms,
                started_at_ms=lease.started_at_ms,
                deadline_ms=lease.deadline_ms,
                spilled=lease.spilled,
            )
        return said
    return Beat(
        job=lease.job,
        key=lease.key,
        epoch=lease.epoch,
        attempt=lease.attempt,
        kind=kind.value,
        minion=lease.session.minion,
        session=lease.session.id,
        assigned_at_ms=lease.assigned_at_ms,
        started_at_ms=lease.started_at_ms,
        deadline_ms=lease.deadline_ms,
        spilled=lease.spilled,
        step=lease.step,
        step_at_ms=lease.step_at_ms,
        done=lease.done,
        total=lease.total,
        checkpoint=lease.checkpoint,
    )


def shown(name: str) -> str:
    """A name that a minion sent, fit for a sentence: quoted, and cut."""
    return repr(name[:NAME_CHARS_MAX])


def outcome_of(said: relay_pb2.Receipt) -> Outcome:
    """The word for a receipt's outcome; raises Breach for one that is none."""
    outcome = OUTCOMES.get(said.outcome)
    if outcome is None:
        raise Breach(
            f"the outcome in the receipt of {shown(said.job)} must be one of "
            f"{', '.join(sorted(word.name for word in OUTCOMES.values()))}, got {said.outcome}"
        )
    return outcome


def receipt_of_minion(said: relay_pb2.Receipt, lease: Lease, relay: str, now_ms: int) -> Receipt:
    """A minion's receipt for one of its leases, as a record."""
    outcome = outcome_of(said)
    result: bytes | None = said.result if said.result or said.result_type else None
    if result is not None and len(result) > RESULT_BYTES_MAX:
        ending = _too_large(said, lease, len(result))
        result = None
    elif outcome is Outcome.SUCCESS:
        ending = SUCCEEDED
    else:
        ending = _other_ending(said, outcome, lease)
    started_at_ms = said.started_at_ms
    done, total = said.done, said.total
    told = done > 0 or total > 0
    return Receipt(
        job=lease.job,
        key=lease.key,
        partition=lease.partition,
        attempt=lease.attempt,
        epoch=lease.epoch,
        at_ms=now_ms,
        minion=lease.session.minion,
        session=lease.session.id,
        relay=relay,
        assigned_at_ms=lease.assigned_at_ms,
        started_at_ms=started_at_ms if started_at_ms > 0 else lease.started_at_ms,
        run_ms=max(said.run_ms, 0) if started_at_ms > 0 else None,
        spilled=lease.spilled,
        result=result,
        result_type=said.result_type[:CONTENT_TYPE_CHARS_MAX] or None if result is not None else None,
        step=said.step[:STEP_CHARS_MAX] or lease.step,
        done=max(done, 0) if told else lease.done,
        total=(total if total > 0 else None) if told else lease.total,
        cached=True if said.cached and ending is SUCCEEDED else None,
        **ending,
    )


SUCCEEDED: Final[Mapping[str, Any]] = {"outcome": Outcome.SUCCESS.value}
"""How most attempts end: with nothing to say of errors, and no checkpoint for another attempt."""


def _too_large(said: relay_pb2.Receipt, lease: Lease, size_bytes: int) -> Mapping[str, Any]:
    return {
        **_other_ending(said, Outcome.FAILURE, lease),
        "error_type": "ResultTooLarge",
        "error_message": f"a result must have at most {RESULT_BYTES_MAX} bytes, got {size_bytes}",
        "non_retryable": True,
    }


def _other_ending(said: relay_pb2.Receipt, outcome: Outcome, lease: Lease) -> Mapping[str, Any]:
    """What a receipt says when the attempt was no success."""
    checkpoint = said.checkpoint if 0 < len(said.checkpoint) <= CHECKPOINT_BYTES_MAX else lease.checkpoint
    return {
        "outcome": outcome.value,
        "error_type": said.error_type[:ERROR_TYPE_CHARS_MAX] or None,
        "error_message": said.error_message[:ERROR_MESSAGE_CHARS_MAX] or None,
        "error_trace": said.error_trace[:ERROR_TRACE_CHARS_MAX] or None,
        "non_retryable": said.non_retryable,
        "retry_after_ms": min(said.retry_after_ms, RETRY_AFTER_MS_MAX) if said.retry_after_ms > 0 else None,
        "snooze_ms": min(max(said.snooze_ms, 0), SNOOZE_MS_MAX) if outcome is Outcome.SNOOZE else None,
        "checkpoint": checkpoint,
    }


def receipt_of_relay(lease: Lease, outcome: Outcome, reason: str, relay: str, now_ms: int) -> Receipt:
    """The relay's own word on a lease that ended without its minion's: lost, or never sent."""
    return Receipt(
        job=lease.job,
        key=lease.key,
        partition=lease.partition,
        attempt=lease.attempt,
        epoch=lease.epoch,
        outcome=outcome.value,
        at_ms=now_ms,
        minion=lease.session.minion,
        session=lease.session.id,
        relay=relay,
        assigned_at_ms=lease.assigned_at_ms,
        started_at_ms=lease.started_at_ms,
        spilled=lease.spilled,
        error_type="Lost" if outcome is Outcome.LOST else None,
        error_message=reason,
        step=lease.step,
        done=lease.done,
        total=lease.total,
        checkpoint=lease.checkpoint,
    )


def receipt_handed_back(dispatch: Dispatch, outcome: Outcome, relay: str, now_ms: int) -> Receipt:
    """The relay's word that it hands a dispatch back: no minion can run it here, or it must not run yet."""
    return Receipt(
        job=dispatch.job,
        key=dispatch.key,
        partition=dispatch.partition,
        attempt=dispatch.attempt,
        epoch=dispatch.epoch,
        outcome=outcome.value,
        at_ms=now_ms,
        relay=relay,
    )

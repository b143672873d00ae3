"""Receipts are kept until they are stored, and sent again on a new session under the same number."""

from jobstream.minion import outbox as module
from jobstream.minion.lease import Lease
from jobstream.minion.outbox import Outbox
from schemas.proto.relay_pb2 import Job, Receipt


def lease(job: str, given_on: int = 1) -> Lease:
    """A lease of a session."""
    return Lease(Job(id=job, epoch=4), session="s", given_on=given_on, received_ms=0, wall_ms=0)


def numbers(outbox: Outbox, session: int = 1) -> list[int]:
    """What is sent now."""
    return [receipt.number for batch in outbox.batches(session) for receipt in batch]


def filled(count: int) -> Outbox:
    """An outbox with so many receipts."""
    outbox = Outbox()
    for number in range(1, count + 1):
        outbox.add(Receipt(job=f"job-{number}", epoch=4), lease(f"job-{number}"))
    return outbox


def test_numbers_grow_by_one() -> None:
    """Receipts are numbered from 1, and sent once per session."""
    outbox = filled(3)
    assert (outbox.unsent, numbers(outbox)) == (True, [1, 2, 3])
    assert (outbox.unsent, numbers(outbox)) == (False, [])


def test_kept_until_stored() -> None:
    """Only what is stored is forgotten; a new session gets the rest again, with its lease."""
    outbox = filled(5)
    assert numbers(outbox) == [1, 2, 3, 4, 5]
    assert outbox.stored(2) == 2
    outbox.again()
    again = [receipt for batch in outbox.batches(2) for receipt in batch]
    assert [receipt.number for receipt in again] == [3, 4, 5]
    assert [receipt.lease.job for receipt in again] == ["job-3", "job-4", "job-5"]
    assert outbox.stored(5) == 3
    assert len(outbox) == 0


def test_a_receipt_of_this_session_names_no_lease() -> None:
    """The relay knows what it gave on this session."""
    outbox = Outbox()
    outbox.add(Receipt(job="a", epoch=4), lease("a", given_on=2))
    (batch,) = outbox.batches(2)
    assert not batch[0].HasField("lease")


def test_what_was_not_sent_cannot_be_stored() -> None:
    """A relay that confirms more than it got, or confirms again, takes nothing away."""
    outbox = filled(2)
    assert outbox.stored(2) == 0
    assert numbers(outbox) == [1, 2]
    assert outbox.stored(99) == 2
    assert outbox.stored(99) == 0
    outbox.again()
    assert not outbox.unsent


def test_batches_are_bounded() -> None:
    """A batch ends at its number of receipts, and with the receipt that reaches its size."""
    outbox = filled(module.BATCH_RECEIPTS_MAX + 1)
    assert [len(batch) for batch in outbox.batches(1)] == [module.BATCH_RECEIPTS_MAX, 1]
    large = Outbox()
    for number in range(5):
        large.add(Receipt(job=str(number), result=bytes(module.BATCH_BYTES_MAX // 2)), lease(str(number)))
    assert [len(batch) for batch in large.batches(1)] == [2, 2, 1]


def test_full_by_bytes_and_by_count() -> None:
    """An outbox is full when too many bytes wait, and no more when they are stored."""
    outbox = Outbox()
    while not outbox.full:
        outbox.add(Receipt(job="a", result=bytes(1024 * 1024)), lease("a"))
    assert len(outbox) <= module.KEPT_BYTES_MAX // (1024 * 1024)
    numbers(outbox)
    outbox.stored(2)
    assert not outbox.full


def test_sent_by_the_batch() -> None:
    """A batch that was not taken was not sent."""
    outbox = filled(module.BATCH_RECEIPTS_MAX + 1)
    next(outbox.batches(1))
    assert outbox.unsent
    assert numbers(outbox) == [module.BATCH_RECEIPTS_MAX + 1]

"""Receipts that a minion keeps until Kafka has them. Pure; it owns their numbers.

A receipt gets its number once and keeps it, however often it is sent. It must never forget one that was not
stored.
"""

from collections import OrderedDict
from collections.abc import Iterator

from jobstream.minion.lease import Lease
from schemas.proto.relay_pb2 import Receipt

BATCH_RECEIPTS_MAX = 512
"""How many receipts go in one message."""
BATCH_BYTES_MAX = 1024 * 1024
"""About how many bytes go in one message: a batch ends with the receipt that reaches it."""
KEPT_RECEIPTS_MAX = 20_000
"""How many may wait to be stored before the minion takes no more jobs."""
KEPT_BYTES_MAX = 64 * 1024 * 1024
"""How many bytes may wait so."""


class Outbox:
    """Receipts by number: those to send, and those that were sent and wait for ReceiptsStored."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[Receipt, Lease, int]] = OrderedDict()
        self._number = 0
        self._sent_up_to = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def full(self) -> bool:
        """True while so many wait that no more jobs should be taken."""
        return len(self._kept) >= KEPT_RECEIPTS_MAX or self._bytes >= KEPT_BYTES_MAX

    @property
    def unsent(self) -> bool:
        """True if some were not sent on this session."""
        return self._sent_up_to < self._number

    def add(self, receipt: Receipt, lease: Lease) -> None:
        """Numbers and keeps the receipt of a lease."""
        self._number += 1
        receipt.number = self._number
        size = receipt.ByteSize()
        self._kept[self._number] = (receipt, lease, size)
        self._bytes += size

    def batches(self, session: int) -> Iterator[list[Receipt]]:
        """What was not sent on this session, oldest first, in batches; each is taken to be sent when it is
        given.

        `session` counts the minion's sessions. A receipt for a job of an earlier one carries its lease along,
        since the relay may be another one.
        """
        batch: list[Receipt] = []
        batch_bytes = 0
        for number in range(self._sent_up_to + 1, self._number + 1):
            kept = self._kept.get(number)
            if kept is None:
                continue
            receipt, lease, size = kept
            if lease.given_on != session and not receipt.HasField("lease"):
                receipt.lease.CopyFrom(lease.held())
            batch.append(receipt)
            batch_bytes += size
            if len(batch) >= BATCH_RECEIPTS_MAX or batch_bytes >= BATCH_BYTES_MAX:
                self._sent_up_to = number
                yield batch
                batch, batch_bytes = [], 0
        self._sent_up_to = self._number
        if batch:
            yield batch

    def stored(self, up_to: int) -> int:
        """Forgets receipts up to this number that were sent; returns how many."""
        forgotten = 0
        while self._kept:
            number = next(iter(self._kept))
            if number > up_to or number > self._sent_up_to:
                break
            self._bytes -= self._kept.popitem(last=False)[1][2]
            forgotten += 1
        return forgotten

    def again(self) -> None:
        """The session broke: all that is kept shall be sent on the next one."""
        self._sent_up_to = next(iter(self._kept)) - 1 if self._kept else self._number

    def give_up(self) -> list[tuple[Receipt, Lease]]:
        """All that is kept, for another outbox; this one is empty then."""
        found = [(receipt, lease) for receipt, lease, _ in self._kept.values()]
        self._kept.clear()
        self._bytes = 0
        self._sent_up_to = self._number
        return found

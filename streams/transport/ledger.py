"""Which batches are where: with the agent, with the writer, confirmed, committed.

Owns the positions that may be committed. Takes the place of Faust's acks, gaps and `_new_offset`, which
commit past an event in flight (hazard H2) and acknowledge what raised (H5). Must never hold a position whose
batch is not confirmed. All of it runs in the event loop.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from faust.types import TP

from streams.transport.batch import Batch, Position, Record, Writes
from streams.transport.crash import Exit, die
from streams.transport.membership import Membership
from streams.transport.writer import Writer

RECORDS_MAX: Final = 10_000
"""Most records with the writer, so how far memory may be ahead of the log; a faster agent waits."""


class Ledger:
    """The batches: at most one with each agent, any number with the writer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._with_agents: set[Batch] = set()
        self._with_writer: deque[Batch] = deque()
        self._records = 0  # of these
        self._turn = asyncio.Event()
        self._turn.set()
        self._confirmed: dict[TP, int] = {}

    def deliver(
        self, records: Mapping[TP, Sequence[Record]], positions: Mapping[TP, Position], membership: Membership
    ) -> Batch:
        """A batch that is with the agent from now on."""
        batch = Batch(records, positions, membership, self._hand_over)
        self._with_agents.add(batch)
        self._turn.clear()
        return batch

    def take_back(self, batch: Batch) -> None:
        """The agent has not seen it and will not: whoever gets the partitions reads its records again."""
        self._gone(batch)

    async def turn(self) -> None:
        """Returns when no agent holds a batch."""
        await self._turn.wait()

    def is_idle(self) -> bool:
        """True if no agent holds a batch."""
        return self._turn.is_set()

    async def settled(self) -> None:
        """Returns when no batch is with an agent or with the writer."""
        await self._turn.wait()
        while self._with_writer:
            await self._with_writer[-1].written()

    def confirmed(self) -> dict[TP, int]:
        """The positions confirmed since the last call: all that lies before them was done and has left."""
        confirmed, self._confirmed = self._confirmed, {}
        return confirmed

    async def _hand_over(self, batch: Batch, writes: Writes) -> None:
        if batch not in self._with_agents:
            die(Exit.AGENT, f"a batch of {len(batch)} records was written twice, or after it was taken back")
        if writes.early:  # nothing at the broker refuses it
            batch.membership.check_alive()
            self._writer.send_early(writes.early)
        else:
            batch.membership.check()
        written = batch.written_future = self._writer.submit(batch, writes)
        written.add_done_callback(lambda _: self._confirm(batch))
        self._with_writer.append(batch)
        self._records += len(batch)
        while self._records > RECORDS_MAX:
            await self._with_writer[0].written()
        self._gone(batch)

    def _confirm(self, batch: Batch) -> None:
        self._with_writer.remove(batch)
        self._records -= len(batch)
        self._confirmed.update((tp, position.end) for tp, position in batch.positions.items())

    def _gone(self, batch: Batch) -> None:
        self._with_agents.discard(batch)
        if not self._with_agents:
            self._turn.set()

"""Which positions may be committed, and when the agent has to wait."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.transport import ledger as ledger_module
from streams.transport.batch import Batch, Position, Writes
from streams.transport.ledger import Ledger
from streams.transport.membership import Membership
from tests.unit.transport.conftest import Died

A0 = TP("a", 0)


class HeldWriter:
    """A writer whose confirmations the test gives."""

    def __init__(self) -> None:
        self.held: list[asyncio.Future[None]] = []
        self.early: list[Any] = []

    def submit(self, batch: Batch, writes: Writes) -> asyncio.Future[None]:
        """Takes it, and confirms nothing."""
        del batch, writes
        self.held.append(asyncio.get_running_loop().create_future())
        return self.held[-1]

    def send_early(self, outs: Any) -> None:
        """Notes it."""
        self.early.extend(outs)

    async def confirm(self, number: int) -> None:
        """Confirms one batch, and lets the ledger hear of it."""
        self.held[number].set_result(None)
        await asyncio.sleep(0)


@pytest.fixture
def writer() -> HeldWriter:
    """Confirms when told to."""
    return HeldWriter()


@pytest.fixture
def ledger(writer: HeldWriter) -> Ledger:
    """No batch yet."""
    return Ledger(writer)  # type: ignore[arg-type]


def deliver(ledger: Ledger, start: int, count: int = 1) -> Batch:
    """A batch of a/0."""
    records: Any = [SimpleNamespace(offset=start + number) for number in range(count)]
    membership = Membership(SimpleNamespace(group_id="g", generation=1, member_id="m"), None, 6.0)
    return ledger.deliver({A0: records}, {A0: Position(start, start + count)}, membership)


async def test_a_position_may_be_committed_when_its_batch_is_confirmed(
    ledger: Ledger, writer: HeldWriter
) -> None:
    """Neither delivery nor writing is enough; and each position is told once."""
    batch = deliver(ledger, 5, 3)
    assert ledger.confirmed() == {}
    await batch.write()
    assert ledger.confirmed() == {}
    await writer.confirm(0)
    assert ledger.confirmed() == {A0: 8}
    assert ledger.confirmed() == {}


@pytest.mark.parametrize("early", [(), (("t", 0, None, b"", ()),)])
async def test_a_worker_that_may_have_lost_its_partitions_sends_nothing_early(
    ledger: Ledger, writer: HeldWriter, died: type[Died], early: tuple[Any, ...]
) -> None:
    """No broker would refuse it: a worker that was stopped for longer than a session ends itself first."""
    batch = deliver(ledger, 5)
    batch.membership.heartbeat_at_s = time.monotonic() - 6.1
    if early:
        with pytest.raises(died, match="no heartbeat of g was answered for 6"):
            await batch.write(early=early)
    else:
        await batch.write()
    assert writer.early == []


async def test_what_waits_for_a_batch_hears_when_all_of_it_is_written(
    ledger: Ledger, writer: HeldWriter
) -> None:
    """Not when it was handed over."""
    batch, told = deliver(ledger, 5), list[int]()
    await batch.write()
    batch.when_written(lambda: told.append(1))
    await asyncio.sleep(0)
    assert told == []
    await writer.confirm(0)
    assert told == [1]


async def test_the_next_batch_waits_for_the_agent_and_not_for_the_writer(ledger: Ledger) -> None:
    """It is the agent's turn until it has handed over; that the broker has answered is not needed."""
    batch = deliver(ledger, 0)
    turn = asyncio.create_task(ledger.turn())
    await asyncio.sleep(0)
    assert not turn.done()
    await batch.write()
    await asyncio.wait_for(turn, 1)


async def test_settled_waits_for_agents_and_writer(ledger: Ledger, writer: HeldWriter) -> None:
    """Partitions are given away when the last batch is confirmed, and not before."""
    first, second = deliver(ledger, 0), None
    settled = asyncio.create_task(ledger.settled())
    await first.write()
    second = deliver(ledger, 1)
    await second.write()
    await writer.confirm(0)
    await asyncio.sleep(0)
    assert not settled.done()
    await writer.confirm(1)
    await asyncio.wait_for(settled, 1)


async def test_a_batch_taken_back_is_never_committed(ledger: Ledger, died: type[Died]) -> None:
    """An agent that writes it all the same ends the process."""
    batch = deliver(ledger, 0)
    ledger.take_back(batch)
    await asyncio.wait_for(ledger.settled(), 1)
    with pytest.raises(died):
        await batch.write()


async def test_a_batch_is_written_once(ledger: Ledger, died: type[Died]) -> None:
    """A second write would commit records for effects that came later."""
    batch = deliver(ledger, 0)
    await batch.write()
    with pytest.raises(died, match="twice"):
        await batch.write()


async def test_early_leaves_before_the_writer_takes_the_batch(ledger: Ledger, writer: HeldWriter) -> None:
    """It waits for nothing."""
    await deliver(ledger, 0).write(early=[("out", 0, b"k", b"v", ())])
    assert writer.early == [("out", 0, b"k", b"v", ())]


async def test_an_agent_ahead_of_the_broker_waits(
    ledger: Ledger, writer: HeldWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is ahead of the log by a bounded number of records."""
    monkeypatch.setattr(ledger_module, "RECORDS_MAX", 10)
    await deliver(ledger, 0, 10).write()
    second = asyncio.create_task(deliver(ledger, 10, 1).write())
    await asyncio.sleep(0)
    assert not second.done()
    await writer.confirm(0)
    await asyncio.wait_for(second, 1)


async def test_the_end_of_a_batch_that_was_not_written_cannot_be_waited_for(ledger: Ledger) -> None:
    """It would never come."""
    with pytest.raises(RuntimeError, match="must be written"):
        await deliver(ledger, 0).written()

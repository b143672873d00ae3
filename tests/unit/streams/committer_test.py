"""The Committer: nothing is committed before it is durable, and nothing runs before its row is."""

import asyncio
from collections.abc import Iterable, Mapping

import pytest

from streams import committer
from streams.committer import Committer, Place
from streams.record import Out, Record, Writes
from streams.writer import WriteFailed

ROW, RUN = Out("state", 0, b"k", b"row"), Out("dispatch", 0, b"k", b"run")
BOTH = Writes((ROW,), (RUN,))


def record(offset: int, topic: str = "requests") -> Record:
    """The record at an offset."""
    return Record(topic, 0, offset, 0, None, None)


class Broker:
    """Takes writes and commits; answers a write when it is let."""

    def __init__(self) -> None:
        self.journal: list[object] = []
        self.let = asyncio.Semaphore(0)
        self.fails = False

    async def write(self, outs: Iterable[Out]) -> None:
        """Notes what is written, and waits until it is let."""
        self.journal.append([out.topic for out in outs])
        await self.let.acquire()
        if self.fails:
            raise WriteFailed("not confirmed")

    async def commit(self, offsets: Mapping[Place, int]) -> bool:
        """Notes what is committed."""
        self.journal.append(dict(offsets))
        return True


async def turns() -> None:
    """Lets every other task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_rows_then_effects_then_offsets() -> None:
    """The stages follow one another, each when the one before is confirmed; the offset comes last."""
    broker = Broker()
    one = Committer(broker.write, broker.commit)
    loop = asyncio.create_task(one.write_for_ever())
    await one.put(record(7), BOTH)
    await turns()
    await one.commit()
    assert broker.journal == [["state"]]
    broker.let.release()
    await turns()
    await one.commit()
    assert broker.journal == [["state"], ["dispatch"]]
    broker.let.release()
    await one.settle()
    assert broker.journal == [["state"], ["dispatch"], {("requests", 0): 8}]
    loop.cancel()


async def test_what_comes_meanwhile_goes_together() -> None:
    """Records that are decided while a write is under way are written and committed as one group."""
    broker = Broker()
    one = Committer(broker.write, broker.commit)
    loop = asyncio.create_task(one.write_for_ever())
    await one.put(record(1), BOTH)
    await turns()
    for offset in (2, 3):
        await one.put(record(offset), BOTH)
    await one.put(record(9, "receipts"), Writes())
    broker.let.release()
    broker.let.release()
    await turns()
    assert broker.journal[2:] == [["state", "state"]]
    broker.let.release()
    broker.let.release()
    await one.settle()
    assert broker.journal[3:] == [["dispatch", "dispatch"], {("requests", 0): 4, ("receipts", 0): 10}]
    loop.cancel()


async def test_a_record_without_writes_is_committed() -> None:
    """A record that asks for nothing is done at once."""
    broker = Broker()
    one = Committer(broker.write, broker.commit)
    loop = asyncio.create_task(one.write_for_ever())
    await one.put(record(4), Writes())
    await one.settle()
    assert broker.journal == [{("requests", 0): 5}]
    loop.cancel()


async def test_writes_of_no_record_move_no_offset() -> None:
    """What is written because a queue came into being commits nothing."""
    broker = Broker()
    one = Committer(broker.write, broker.commit)
    loop = asyncio.create_task(one.write_for_ever())
    await one.put(None, BOTH)
    broker.let.release()
    broker.let.release()
    await one.settle()
    assert broker.journal == [["state"], ["dispatch"]]
    loop.cancel()


async def test_a_failed_write_ends_it() -> None:
    """Nothing is written or committed after a write that was not confirmed."""
    broker = Broker()
    broker.fails = True
    one = Committer(broker.write, broker.commit)
    loop = asyncio.create_task(one.write_for_ever())
    await one.put(record(1), BOTH)
    broker.let.release()
    with pytest.raises(WriteFailed):
        await loop
    await one.commit()
    assert broker.journal == [["state"]]


async def test_deciding_pauses_when_too_much_is_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent waits while the bound of pending records is reached, and goes on when they are taken over."""
    monkeypatch.setattr(committer, "PENDING_MAX", 2)
    broker = Broker()
    one = Committer(broker.write, broker.commit)
    await one.put(record(1), BOTH)
    full = asyncio.create_task(one.put(record(2), BOTH))
    await turns()
    assert not full.done()
    loop = asyncio.create_task(one.write_for_ever())
    await asyncio.wait_for(full, 5)
    loop.cancel()

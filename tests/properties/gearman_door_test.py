"""The Gearman door, fuzzed: whatever connections say, in whatever order, nothing breaks, nothing is left
behind, and a client and a worker who keep to the protocol are served all the while.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.doors.gearman.connection import Connection
from relay.doors.gearman.door import Door
from relay.doors.gearman.packets import HEADER, KINDS, RES, TABLE, P, request
from relay.switchboard import Switchboard
from tests.fakes.gearman import FakeDesk

ASKED = [kind for kind in TABLE if kind.asks]
WORDS = [
    b"",
    b"f",
    b"g",
    b"-",
    b"u",
    b"1",
    b"20",
    b"0.5",
    b"\xff",
    b"x" * 70,
    b"high",
    b"DC1,DC2",
    b"DC1,5",
    b"exceptions",
]


@dataclass
class Wire:
    """A transport that keeps what is written to it."""

    sent: bytearray = field(default_factory=bytearray)
    closing: bool = False

    def write(self, data: bytes) -> None:
        """Keeps it."""
        self.sent += data

    def close(self) -> None:
        """Is closing from now on."""
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closing

    def set_write_buffer_limits(self, high: int) -> None:
        """Has none."""

    def get_extra_info(self, name: str) -> Any:
        """A peer, and a socket that takes any option."""
        return ("127.0.0.1", 1) if name == "peername" else self

    def setsockopt(self, *_: int) -> None:
        """Does nothing."""

    def pause_reading(self) -> None:
        """Does nothing."""

    resume_reading = pause_reading

    def heard(self) -> list[tuple[P, list[bytes]]]:
        """Takes out the packets that were written."""
        found, data = [], bytes(self.sent)
        self.sent.clear()
        while data:
            magic, number, size = HEADER.unpack_from(data)
            assert magic == RES
            body, data = data[HEADER.size : HEADER.size + size], data[HEADER.size + size :]
            assert len(body) == size
            count = len(KINDS[P(number)].arguments)
            found.append((P(number), body.split(b"\0", count - 1) if count else []))
        return found


@st.composite
def said(draw: st.DrawFn) -> tuple[int, bytes]:
    """Which of some connections says what; the handles are those of the first jobs."""
    kind = draw(st.sampled_from(ASKED))
    words = st.one_of(st.sampled_from(WORDS), st.builds(lambda at: b"H:%d" % at, st.integers(1, 4)))
    data = request(kind.number, *(draw(words) for _ in kind.arguments))
    if draw(st.integers(0, 9)) == 0:
        data = draw(
            st.sampled_from(
                [b"status\n", b"show jobs\n", b"cancel job H:1\n", b"maxqueue f 1\n", b"\0\0\0\0" + bytes(8)]
            )
        )
    return draw(st.integers(0, 3)), data


def pair(door: Door) -> tuple[Connection, Wire]:
    """A connection and its wire."""
    connection, wire = door.connection(), Wire()
    connection.connection_made(cast("asyncio.Transport", wire))
    return connection, wire


async def served(
    door: Door, client: tuple[Connection, Wire], worker: tuple[Connection, Wire], data: bytes
) -> None:
    """A job of those who keep to the protocol goes through."""
    client[0].data_received(request(P.SUBMIT_JOB, b"good", b"", data))
    worker[0].data_received(request(P.GRAB_JOB))
    await asyncio.sleep(0)
    ((created, (handle,)),) = client[1].heard()
    assert created is P.JOB_CREATED
    (assigned,) = [each for each in worker[1].heard() if each[0] is not P.NOOP]
    assert assigned == (P.JOB_ASSIGN, [handle, b"good", data])
    worker[0].data_received(request(P.WORK_COMPLETE, handle, data))
    await asyncio.sleep(0)
    assert client[1].heard() == [(P.WORK_COMPLETE, [handle, data])]
    assert door.faults == 0


async def play(sayings: list[tuple[int, bytes]], vanish: list[int]) -> None:
    """Plays a history to its end."""
    board = Switchboard()
    door = Door(board, desk=FakeDesk(), version="1.0")
    door.prefix = b"H:"
    client, worker = pair(door), pair(door)
    worker[0].data_received(request(P.CAN_DO, b"good"))
    others = [pair(door) for _ in range(4)]
    for at, (who, data) in enumerate(sayings):
        connection, wire = others[who]
        if at in vanish or wire.closing:
            connection.connection_lost(None)
            others[who] = pair(door)
        elif wire.closing is False:
            connection.data_received(data)
        if at % 5 == 0:
            await served(door, client, worker, b"%d" % at)
    for connection, _ in others:
        connection.connection_lost(None)
    await served(door, client, worker, b"end")
    assert door.faults == 0
    assert (door.entries, board.calls.runs) == ({}, {})
    assert board.calls.workers == {worker[0].worker}
    board.close()


@settings(deadline=None)
@given(st.lists(said(), max_size=40), st.lists(st.integers(0, 40), max_size=3))
def test_nobody_feels_what_others_say(sayings: list[tuple[int, bytes]], vanish: list[int]) -> None:
    """Any packets from some connections, which may vanish: no fault, others are served, nothing is left."""
    asyncio.run(play(sayings, vanish))

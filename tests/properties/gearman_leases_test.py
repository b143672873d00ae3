"""Gearman workers that take durable jobs and calls in turn, whatever they say and whenever they go: nothing
breaks, no lease is forgotten, and every job has one end or waits.
"""

import asyncio
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.doors.gearman.connection import Connection
from relay.doors.gearman.door import Door
from relay.doors.gearman.packets import P, request
from schemas.settings import Settings
from tests.fakes.edge import EdgeRelay
from tests.fakes.gearman import FakeDesk
from tests.properties.gearman_door_test import Wire, pair, served

WORKERS: Final = 3

SAYINGS: Final[dict[str, tuple[P, tuple[bytes, ...]]]] = {
    "grab": (P.GRAB_JOB, ()),
    "grab-unique": (P.GRAB_JOB_UNIQ, ()),
    "sleep": (P.PRE_SLEEP, ()),
    "reset": (P.RESET_ABILITIES, ()),
    "can-f": (P.CAN_DO, (b"f",)),
    "can-g": (P.CAN_DO, (b"g",)),
    "cannot-f": (P.CANT_DO, (b"f",)),
    "submit": (
        P.SUBMIT_JOB,
        (
            b"f",
            b"",
            b"x",
        ),
    ),
    "submit-shared": (
        P.SUBMIT_JOB,
        (
            b"f",
            b"u",
            b"x",
        ),
    ),
}
ABOUT_A_JOB: Final[dict[str, tuple[P, tuple[bytes, ...]]]] = {
    "status": (
        P.WORK_STATUS,
        (
            b"1",
            b"2",
        ),
    ),
    "complete": (P.WORK_COMPLETE, (b"x",)),
    "fail": (P.WORK_FAIL, ()),
    "exception": (P.WORK_EXCEPTION, (b"no",)),
}
USUAL: Final = ("grab", "complete", "sleep", "fail")

WHO: Final = st.integers(0, WORKERS - 1)
STEPS: Final = st.one_of(
    st.tuples(WHO, st.sampled_from([*SAYINGS, *ABOUT_A_JOB, "vanish"])),
    st.tuples(WHO, st.sampled_from(USUAL)),
    st.tuples(st.integers(0, 5), st.sampled_from(["dispatch f", "dispatch g"])),
    st.tuples(st.sampled_from([1, 50, 400]), st.just("wait")),
)


class World:
    """A relay without Kafka whose clock is set by hand, and the workers at its Gearman door."""

    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000
        self.relay = EdgeRelay(Settings(relay="127.0.0.1:0"))
        self.relay.clock = self.relay.board.clock = lambda: self.now_ms  # type: ignore[assignment]
        self.relay.board.fault = self.relay.fault
        self.door = Door(self.relay.board, desk=FakeDesk(), bridge=self.relay, version="1.0")
        self.client, self.good = pair(self.door), pair(self.door)
        self.good[0].data_received(request(P.CAN_DO, b"good"))
        self.workers: list[tuple[Connection, Wire]] = []
        self.handles: list[list[bytes]] = []
        for at in range(WORKERS):
            self.workers.append(pair(self.door))
            self.handles.append([])
            if at:
                self.say(at, "can-f")
                self.say(at, "can-g")
        self.epochs: dict[str, int] = {}

    def step(self, number: int, what: str) -> None:
        """One thing that happens."""
        if what == "wait":
            self.wait(number)
        elif what.startswith("dispatch"):
            job = f"job-{number}"
            self.epochs[job] = self.epochs.get(job, 0) + 1
            self.relay.dispatch(job=job, key=job, function=what[-1], epoch=self.epochs[job])
        elif what == "vanish":
            self.workers[number][0].connection_lost(None)
            self.workers[number], self.handles[number] = pair(self.door), []
        else:
            self.say(number, what)

    def say(self, who: int, what: str) -> None:
        """A worker says something: of the job that it was given last, if of any."""
        connection, wire = self.workers[who]
        for number, arguments in wire.heard():
            if number in (P.JOB_ASSIGN, P.JOB_ASSIGN_UNIQ):
                self.handles[who].append(arguments[0])
        if what in SAYINGS:
            kind, words = SAYINGS[what]
            connection.data_received(request(kind, *words))
        else:
            kind, words = ABOUT_A_JOB[what]
            handle = self.handles[who][-1] if self.handles[who] else b"H:none"
            connection.data_received(request(kind, handle, *words))
            if what != "status" and self.handles[who]:
                self.handles[who].pop()
        self.relay.pump()
        assert not wire.closing

    def wait(self, ms: int) -> None:
        """Time goes by, and who is connected counts as alive."""
        self.now_ms += ms
        leases = self.door._leases
        assert leases is not None
        for session in leases._connections:
            session.heard_at_ms = self.now_ms
        self.relay.edge.tick(self.now_ms)
        self.relay.board.calls.tick(self.now_ms)
        self.relay.pump()

    def check_end(self) -> None:
        """Nothing is left of the workers but what waits."""
        leases, edge = self.door._leases, self.relay.edge
        assert leases is not None
        assert (self.door.entries, self.relay.board.calls.runs, edge.leases) == ({}, {}, {})
        assert set(leases._shifts) == {self.good[0]}
        assert len(leases._connections) == 1
        for job, epoch in self.epochs.items():
            ends = [each for each in self.relay.receipts if (each.job, each.epoch) == (job, epoch)]
            assert len(ends) == (0 if job in edge.router.parcels else 1)
        leases.close()


async def play(steps: list[tuple[int, str]]) -> None:
    """Plays a history to its end."""
    world = World()
    for number, what in steps:
        world.step(number, what)
        await asyncio.sleep(0)
        assert (world.door.faults, world.relay.faults) == (0, [])
    await served(world.door, world.client, world.good, b"meanwhile")
    for connection, _ in world.workers:
        connection.connection_lost(None)
    for _ in range(30):
        world.wait(1_000)
    await served(world.door, world.client, world.good, b"end")
    world.check_end()
    world.relay.board.close()


@settings(deadline=None)
@given(st.lists(STEPS, min_size=10, max_size=60))
def test_every_durable_job_has_one_end_or_waits(steps: list[tuple[int, str]]) -> None:
    """Jobs come, come again and are called off by later epochs, while workers do as they like."""
    asyncio.run(play(steps))

"""The relay's machine under random traffic: what holds after every step, and that everything ends at last."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from relay.core.session import Lease, Session, SessionPhase
from relay.core.window import Window
from schemas.defaults import RESUME_GRACE_MS
from schemas.events import Dispatch
from schemas.proto.relay_pb2 import Job
from tests.unit.relay.world import PARTITIONS, World, held

KEYS = st.sampled_from(["a", "b", "c", "d", "e"])
CAPACITY = 5
FUNCTIONS = st.sampled_from(["f", "g"])


class Minion:
    """What a minion knows: its jobs, and its session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.jobs: list[Job] = []


class EdgeMachine(RuleBasedStateMachine):
    """Minions come, work, break and return; dispatches are read, sent again, and read again after
    a rebalance.
    """

    minions = Bundle("minions")
    gone = Bundle("gone")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.live: list[Minion] = []
        self.log: dict[int, list[Dispatch]] = {number: [] for number in range(PARTITIONS)}
        self.granted: dict[str, int] = {}
        self.sent: dict[str, int] = {}

    @initialize(target=minions)
    def fleet(self) -> "MultipleResults[Minion]":
        """Two minions are there from the beginning, one of which can do everything."""
        both = self._join("m1", ["f", "g"], []), self._join("m2", ["f"], [])
        for minion in both:
            self.granted[minion.session.id] += 2
            self.world.credit(minion.session, 2)
        return multiple(*both)

    @rule(target=minions, name=st.sampled_from(["m1", "m2", "m3"]), functions=st.sets(FUNCTIONS, min_size=1))
    def hello(self, name: str, functions: set[str]) -> Minion:
        """A minion comes."""
        return self._join(name, sorted(functions), [])

    @rule(more=st.integers(1, 3))
    def credit(self, more: int) -> None:
        """Minions grant credits, never more than their capacity."""
        for minion in self.live:
            if minion.session.credits + more <= CAPACITY:
                self.granted[minion.session.id] += more
                self.world.credit(minion.session, more)
                self._receive(minion)

    @rule(keys=st.lists(KEYS, min_size=1, max_size=6), function=FUNCTIONS)
    def dispatch(self, keys: list[str], function: str) -> None:
        """New jobs are dispatched."""
        for key in keys:
            self._read(self.world.dispatch(key=key, function=function))

    @rule(data=st.data(), later=st.booleans())
    def dispatch_again(self, data: st.DataObject, later: bool) -> None:  # noqa: FBT001
        """A dispatch is sent again, or the job gets a later epoch."""
        known = [dispatch for dispatches in self.log.values() for dispatch in dispatches]
        if known:
            old = data.draw(st.sampled_from(known))
            epochs = [dispatch.epoch for dispatch in known if dispatch.job == old.job]
            epoch = max(epochs) + 1 if later else old.epoch
            again = self.world.dispatch(job=old.job, key=old.key, function=old.function, epoch=epoch)
            self._read(again)

    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """A minion answers one of its jobs."""
        if busy := [minion for minion in self.live if minion.jobs]:
            minion = data.draw(st.sampled_from(busy))
            job = data.draw(st.sampled_from(minion.jobs))
            minion.jobs.remove(job)
            self.world.answer(minion.session, job, lease=True)
            self._receive_all()

    @rule(target=gone, minion=consumes(minions))
    def breaks(self, minion: Minion) -> Minion:
        """A stream breaks."""
        self.world.breaks(minion.session)
        self.live.remove(minion)
        self._receive_all()
        return minion

    @rule(target=minions, minion=consumes(gone))
    def returns(self, minion: Minion) -> Minion:
        """A minion comes back with what it holds."""
        return self._join(minion.session.minion, sorted(minion.session.functions), minion.jobs)

    @rule(target=minions, minion=consumes(minions))
    def returns_early(self, minion: Minion) -> Minion:
        """A minion comes back before its break was seen; its old session is closed if it brings a
        lease along.
        """
        again = self._join(minion.session.minion, sorted(minion.session.functions), minion.jobs)
        if minion.session.phase is not SessionPhase.GONE:
            self.world.breaks(minion.session)
        self.live.remove(minion)
        self._receive_all()
        return again

    @rule(minion=minions)
    def drains(self, minion: Minion) -> None:
        """A minion wants no more."""
        self.world.edge.minion_drains(minion.session, self.world.now_ms)

    @rule(ms=st.sampled_from([20, 60, 400, 1_300]))
    def wait(self, ms: int) -> None:
        """Time passes; those who are connected are heard of."""
        self.world.wait(ms, *(minion.session for minion in self.live))
        self._receive_all()

    @rule(slow=st.booleans())
    def kafka(self, slow: bool) -> None:  # noqa: FBT001
        """Kafka becomes slow, or takes all that was written."""
        self.world.slow = slow
        if not slow:
            self.world.store()

    @rule(number=st.integers(0, PARTITIONS - 1))
    def rebalance(self, number: int) -> None:
        """A partition goes, and comes back: what is not committed is read again."""
        old = self.world.windows[number]
        self.world.edge.revoked([old])
        new = self.world.windows[number] = Window(old.topic, number, old.point)
        for offset, dispatch in enumerate(self.log[number]):
            self.world.edge.dispatched(new, offset, dispatch, 100, self.world.now_ms)
        self.world.settle()
        self._receive_all()

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A job is cancelled."""
        known = [dispatch for dispatches in self.log.values() for dispatch in dispatches]
        if known:
            self.world.cancel(data.draw(st.sampled_from(known)))

    @invariant()
    def no_session_above_its_credits(self) -> None:
        """Jobs that were sent never exceed the credits granted, nor leases the capacity."""
        for minion in self.live:
            session = minion.session
            assert session.credits >= 0
            assert self.sent[session.id] <= self.granted[session.id]
            assert len(session.leases) <= session.capacity

    @invariant()
    def one_live_lease_of_a_job(self) -> None:
        """Every lease belongs to one session, and every job has at most one."""
        leases: list[Lease] = []
        for minion in self.live:
            assert all(lease.session is minion.session for lease in minion.session.leases.values())
            leases += minion.session.leases.values()
        assert len({lease.job for lease in leases}) == len(leases)
        assert {lease.job for lease in leases} <= set(self.world.edge.leases)
        assert not set(self.world.edge.leases) & set(self.world.edge.router.parcels), (
            "leased, and waiting as well"
        )

    @invariant()
    def the_commit_point_waits(self) -> None:
        """Nothing is committed beyond a lease that was not told of, or a dispatch that waits."""
        for lease in self.world.edge.leases.values():
            if lease.window is not None and not lease.told:
                assert lease.window.closed or lease.window.point <= lease.offset
        for parcel in self.world.edge.router.parcels.values():
            assert parcel.window.point <= parcel.offset

    @invariant()
    def the_scheduler_knows_what_is_open(self) -> None:
        """What came in and is neither done nor timed out waits or runs, and nothing else does."""
        edge = self.world.edge
        for function in ("f", "g"):
            waiting = sum(parcel.dispatch.function == function for parcel in edge.router.parcels.values())
            running = sum(lease.function == function for lease in edge.leases.values())
            assert self.world.open(function) == waiting + running

    @invariant()
    def the_room_is_used(self) -> None:
        """Nothing waits that a session with room could run."""
        waiting = {(p.dispatch.queue, p.dispatch.function) for p in self.world.edge.router.parcels.values()}
        for minion in self.live:
            if minion.session.room() > 0:
                assert not any(minion.session.serves(queue, function) for queue, function in waiting)

    def teardown(self) -> None:
        """At last a minion comes that does everything: all offsets become finished, and nothing is left."""
        world = self.world
        world.slow = False
        world.store()
        for minion in list(self.live):
            world.breaks(minion.session)
        self.live.clear()
        world.wait(RESUME_GRACE_MS + 100)
        last = self._join("last", ["f", "g"], [])
        while world.edge.router.parcels:
            before = len(world.edge.router.parcels)
            self.granted[last.session.id] += 5
            world.credit(last.session, 5)
            self._receive(last)
            for job in last.jobs:
                world.answer(last.session, job)
            last.jobs.clear()
            assert len(world.edge.router.parcels) < before, "the lines do not get shorter"
        assert world.edge.leases == {}
        for number, window in world.windows.items():
            assert window.point == len(self.log[number]), f"partition {number} is not finished"
            assert (window.waiting, window.waiting_bytes) == (0, 0)

    def _join(self, name: str, functions: list[str], jobs: list[Job]) -> Minion:
        session = self.world.hello(
            name, functions=functions, capacity=CAPACITY, held=tuple(held(job) for job in jobs[:5])
        )
        minion = Minion(session)
        minion.jobs = [job for job in jobs[:5] if job.id in session.leases]
        self.live.append(minion)
        self.granted[session.id] = self.sent[session.id] = 0
        self._receive_all()
        return minion

    def _read(self, dispatch: Dispatch) -> None:
        self.log[dispatch.partition].append(dispatch)
        self.world.read(dispatch)
        self._receive_all()

    def _receive(self, minion: Minion) -> None:
        jobs = self.world.sent(minion.session)
        self.sent[minion.session.id] += len(jobs)
        for job in jobs:
            assert job.function in minion.session.functions
        minion.jobs += jobs
        minion.jobs = [job for job in minion.jobs if job.id in minion.session.leases]

    def _receive_all(self) -> None:
        for minion in self.live:
            self._receive(minion)


TestEdge = EdgeMachine.TestCase
TestEdge.settings = settings(deadline=None, max_examples=100, stateful_step_count=60)

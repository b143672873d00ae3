"""Key order over both machines: the state machine's partition and the relay's edge, with failures, broken
streams, a slow Kafka, and relays that die with what Kafka does not have yet.
"""

from collections import Counter, defaultdict

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from relay.core.finished import read
from relay.core.session import Session, SessionPhase
from relay.core.window import Window
from schemas.codec import decode, encode
from schemas.events import Dispatch, Receipt
from schemas.proto.relay_pb2 import FAILURE, INTERRUPTED, SUCCESS, Job
from schemas.words import LanePolicy, Outcome, Phase
from tests.fakes.desk import HOME, KEYS, Desk
from tests.unit.relay.world import World, held

QUEUE = "jobs.dispatch.default"
HOLD_MS = 500
FUNCTION = "mail.send"


class Minion:
    """A process: what it runs, and the receipts that no relay has acknowledged."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.session: Session | None = None
        self.jobs: dict[str, Job] = {}
        self.kept: list[tuple[int, Job, int]] = []
        self.ends: dict[tuple[str, int], int] = {}


class OrderMachine(RuleBasedStateMachine):
    """Two keys, two minions, one relay at a time."""

    policy = LanePolicy.GOES_ON
    capacity, credits = 100, 3

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(lanes={"default": self.policy})
        self.world = World()
        self.desk.now_ms = self.world.now_ms
        self.dispatches: list[Dispatch] = []
        self.read = 0
        self.told = self.beaten = self.announced = 0
        self.committed = (0, "")
        self.minions = [Minion("m1"), Minion("m2")]
        self.asked: dict[str, list[str]] = defaultdict(list)
        self.succeeded: dict[str, list[str]] = defaultdict(list)

    @initialize()
    def begin(self) -> None:
        """The minions connect."""
        for minion in self.minions:
            self._connect(minion)

    @rule(key=st.sampled_from(KEYS[:2]), count=st.integers(1, 4))
    def ask(self, key: str, count: int) -> None:
        """More jobs of a key."""
        for _ in range(count):
            id = f"{key}-{len(self.asked[key])}"
            self.asked[key].append(id)
            self.desk.request(id=id, key=key, attempts_max=100, lost_max=100)
        self._go_on()

    @rule(which=st.integers(0, 1), outcome=st.sampled_from([SUCCESS, SUCCESS, SUCCESS, FAILURE, INTERRUPTED]))
    def answer(self, which: int, outcome: int) -> None:
        """A minion ends a job."""
        minion = self.minions[which]
        if minion.session is not None and minion.jobs:
            self._answer(minion, next(iter(minion.jobs.values())), outcome)
            self.world.credit(minion.session, min(1, self.capacity - minion.session.credits))
            self._go_on()

    @rule(which=st.integers(0, 1))
    def breaks(self, which: int) -> None:
        """A stream breaks; the minion runs on."""
        minion = self.minions[which]
        if minion.session is not None:
            self.world.breaks(minion.session)
            minion.session = None
            self._go_on()

    @rule(which=st.integers(0, 1), dies=st.booleans())
    def returns(self, which: int, dies: bool) -> None:  # noqa: FBT001
        """A minion comes back, with what it runs or as a new process."""
        minion = self.minions[which]
        if minion.session is None:
            if dies:
                minion.jobs, minion.kept = {}, []
            self._connect(minion)
            self._go_on()

    @rule(slow=st.booleans())
    def kafka(self, slow: bool) -> None:  # noqa: FBT001
        """Kafka becomes slow, or takes all that was written."""
        self.world.slow = slow
        if not slow:
            self.world.store()
        self._go_on()

    @rule(ms=st.sampled_from([20, 400, 1_300, 5_000]))
    def wait(self, ms: int) -> None:
        """Time passes. A slow Kafka is late by less than the silence that makes an attempt lost: the word
        of one that was given up comes too late, though its relay went on by it.
        """
        self._wait(min(ms, 400) if self.world.slow else ms)
        self.world.store()
        self._go_on()

    @precondition(lambda self: self.world.now_ms >= self.world.windows[HOME].hold_until_ms)
    @rule(data=st.data())
    def relay_dies(self, data: st.DataObject) -> None:
        """Another relay takes its place; of what Kafka had not confirmed, the first few had got there.

        What is durable is also committed here, and no relay dies while it waits for minions to come back:
        what
        ended in the last commit interval, or was told to such a relay, may run again, whatever came after
        it. Nor does a minion bring what the relay before had given up: its success would come too late.
        """
        arrived = data.draw(st.integers(0, len(self.world.unstored)))
        for each in self.world.unstored[:arrived]:
            self.world.edge.stored(each)
        self._commit()
        lost = [each.event for each in self.world.unstored[arrived:]]
        old = self.world
        old.receipts = [each for each in old.receipts if each not in lost]
        old.heartbeats = [each for each in old.heartbeats if each not in lost]
        old.announcements = [each for each in old.announcements if each not in lost]
        old.unstored = []
        self._tell()
        self.world = World()
        self.world.now_ms = old.now_ms
        self.told = self.beaten = self.announced = 0
        self.read = self._end()
        point, text = self.committed
        window = Window(
            QUEUE,
            HOME,
            point,
            queue="default",
            end_at_start=self.read,
            finished=read(text, point) if text else None,
        )
        window.hold_until_ms = old.now_ms + HOLD_MS
        self.world.windows[HOME] = window
        self.world._offsets[HOME] = self.read  # the world numbers what comes later
        for offset, dispatch in enumerate(self._log()):
            self.world.edge.dispatched(window, offset, dispatch, 100, self.world.now_ms)
        self.world.settle()
        given_up = {each.job for each in old.receipts if each.outcome == Outcome.LOST}
        for minion in self.minions:
            minion.session = None
            minion.jobs = {id: job for id, job in minion.jobs.items() if id not in given_up}
            minion.kept = [each for each in minion.kept if each[1].id not in given_up]
        self._go_on()

    @invariant()
    def one_of_a_key_is_with_a_minion(self) -> None:
        """As far as the relay knows."""
        leases = self.world.edge.leases.values()
        counts = Counter(lease.key for lease in leases if lease.after is None)
        assert max(counts.values(), default=0) <= 1, counts

    def teardown(self) -> None:
        """At last all is well: everything succeeds, each key in the order in which it was asked for."""
        self.world.slow = False
        self.world.store()
        for minion in self.minions:
            if minion.session is None:
                self._connect(minion)
        for _ in range(400):
            if self.asked == self.succeeded:
                break
            for minion in self.minions:
                assert minion.session is not None
                for job in list(minion.jobs.values()):
                    if job.id in minion.jobs:
                        self._answer(minion, job, SUCCESS)
                self.world.credit(minion.session, self.capacity - minion.session.credits)
            self._wait(1_000)
        assert dict(self.asked) == dict(self.succeeded)

    # What both machines hear of each other.

    def _go_on(self) -> None:
        """Until neither has news for the other."""
        while True:
            self._tell()
            for minion in self.minions:
                self._receive(minion)
            log = self._log()
            if self.read == len(log):
                break
            for dispatch in log[self.read :]:
                self.read += 1
                self.world.read(dispatch)
        self._commit()

    def _commit(self) -> None:
        self.committed = self.world.windows[HOME].commit() or self.committed

    def _tell(self) -> None:
        """What is durable reaches the state machine."""
        waiting = [each.event for each in self.world.unstored]
        for receipt in self.world.receipts[self.told : len(self.world.receipts) - self._open(Receipt)]:
            self.told += 1
            self._put(self.desk.topics.receipts, receipt)
            row = self.desk.partition.jobs[receipt.job]
            if row.phase == Phase.SUCCEEDED and receipt.job not in self.succeeded[receipt.key]:
                self.succeeded[receipt.key].append(receipt.job)
        heartbeats = [each for each in self.world.heartbeats if each not in waiting]
        for beat in heartbeats[self.beaten :]:
            self.beaten += 1
            self._put(self.desk.topics.heartbeats, beat)
        announcements = [each for each in self.world.announcements if each not in waiting]
        for announcement in announcements[self.announced :]:
            self.announced += 1
            self._put(self.desk.topics.heartbeats, announcement)

    def _open(self, kind: type) -> int:
        return sum(isinstance(each.event, kind) for each in self.world.unstored)

    def _put(self, topic: str, event: object) -> None:
        self.desk.now_ms = max(self.desk.now_ms, self.world.now_ms)
        self.desk.put(topic, None, encode(event))

    def _log(self) -> list[Dispatch]:
        while (record := self.desk.log.read(QUEUE, HOME, len(self.dispatches))) is not None:
            self.dispatches.append(decode(record.value or b"", (Dispatch,)))
        return self.dispatches

    def _end(self) -> int:
        return self.desk.log.end(QUEUE, HOME)

    def _wait(self, ms: int) -> None:
        until_ms = self.world.now_ms + ms
        while self.world.now_ms < until_ms:
            live = [minion.session for minion in self.minions if minion.session is not None]
            self.world.wait(min(200, until_ms - self.world.now_ms), *live)
            self.world.edge.serve(self.world.windows.values(), self.world.now_ms)
            self.world.settle()
            self._tell()
            self.desk.tick(self.world.now_ms)
            self._go_on()

    # What minions do.

    def _connect(self, minion: Minion) -> None:
        leases = tuple(held(job) for job in minion.jobs.values())
        minion.session = self.world.hello(
            minion.name, functions=[FUNCTION], held=leases, capacity=self.capacity, follows=True
        )
        kept, minion.kept = minion.kept, []
        for _, job, outcome in kept:
            number = self.world.answer(minion.session, job, lease=True, outcome=outcome)
            minion.kept.append((number, job, outcome))
        self.world.credit(minion.session, self.credits)

    def _answer(self, minion: Minion, job: Job, outcome: int) -> None:
        assert minion.session is not None
        del minion.jobs[job.id]
        number = self.world.answer(minion.session, job, lease=True, outcome=outcome)
        minion.kept.append((number, job, outcome))

    def _receive(self, minion: Minion) -> None:
        if minion.session is None:
            return
        if minion.session.phase is SessionPhase.GONE:
            minion.session = None
            return
        stored = minion.session.outbox.stored_up_to
        minion.kept = [each for each in minion.kept if each[0] > stored]
        for note in self.world.notes(minion.session):
            for lease in note.drop.leases:
                if minion.jobs.pop(lease.job, None) is not None:
                    self._gone(minion, lease.job, lease.epoch)
        for job in self.world.sent(minion.session):
            minion.jobs[job.id] = job
            self._comes(minion, job)

    def _gone(self, minion: Minion, job: str, epoch: int) -> None:
        """A job is over without success."""

    def _comes(self, minion: Minion, job: Job) -> None:
        """A job begins: all before it have succeeded, as the state machine knows."""
        before = self.asked[job.key][: self.asked[job.key].index(job.id)]
        assert self.succeeded[job.key][: len(before)] == before, f"{job.id} began before its turn"
        assert not job.after_job, f"{minion.name} shall not wait"


class AheadMachine(OrderMachine):
    """The same where the next of a key begins before the receipt of the one before is durable: every job that
    begins comes after a success of all before it, of which a crash may have lost some.
    """

    policy = LanePolicy.AHEAD
    capacity = credits = 12

    def __init__(self) -> None:
        super().__init__()
        self.ended: set[str] = set()

    def _comes(self, minion: Minion, job: Job) -> None:
        if not job.after_job:
            self._begins(job)
        elif job.after_job not in minion.jobs:
            after = minion.ends.get((job.after_job, job.after_epoch))
            if after == SUCCESS:
                self._begins(job)
            else:
                self._answer(minion, job, INTERRUPTED)

    def _begins(self, job: Job) -> None:
        before = self.asked[job.key][: self.asked[job.key].index(job.id)]
        assert self.ended.issuperset(before), f"{job.id} began before its turn"

    def _answer(self, minion: Minion, job: Job, outcome: int) -> None:
        minion.ends[job.id, job.epoch] = outcome
        if outcome == SUCCESS:
            self.ended.add(job.id)
        super()._answer(minion, job, outcome)
        self._gone(minion, job.id, job.epoch)

    def _gone(self, minion: Minion, job: str, epoch: int) -> None:
        for each in list(minion.jobs.values()):
            if (each.after_job, each.after_epoch) == (job, epoch):
                self._comes(minion, each)


TestOrder = OrderMachine.TestCase
TestAhead = AheadMachine.TestCase
# The same histories each time: more of them are for whoever works on this.
TestOrder.settings = TestAhead.settings = settings(
    derandomize=True, max_examples=settings().max_examples // 12, stateful_step_count=30
)

"""One stream of a minion: its phase, its credits, its leases, and the numbers of its receipts.

Owns the rules that a session holds no more leases than its credits and its capacity allow, and that receipts
are acknowledged in order. Never sends anything: what shall be sent is put into the session's outbox.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from relay.core.call import Run, Worker
from relay.core.tokens import EVERYTHING, Denied, Grant, Scope
from relay.core.window import Progress, Window
from schemas.events import Beat, Dispatch
from schemas.proto import relay_pb2

KEPT_SHARE = 4
"""One of so many places of a session is kept for the other kind of work, at least one where there are two."""

WANTED_MS = 10_000
"""Jobs, or calls, that were given to a session or waited for it still want it for so long."""

NEVER_MS = -(1 << 62)


class Refusal(StrEnum):
    """Why a stream is ended by the relay, as one word; each is a gRPC status."""

    INVALID = "invalid"  # the minion broke the protocol
    VERSION = "version"  # it speaks another version
    FULL = "full"  # no place for another session
    SILENT = "silent"  # nothing came from it for too long
    LEAVING = "leaving"  # the relay goes away
    UNKNOWN = "unknown"  # nobody here knows its token
    FORBIDDEN = "forbidden"  # its token is not for that


class Breach(Exception):
    """A stream must end: the sentence says why, with the value that was found."""

    def __init__(self, sentence: str, refusal: Refusal = Refusal.INVALID) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.refusal = refusal


class SessionPhase(StrEnum):
    """Where a session is in its life. A stream that has not said hello is none yet."""

    READY = "ready"
    DRAINING = "draining"  # gets no more jobs
    GONE = "gone"  # its stream ended; what it held waits for its return


@dataclass(slots=True, eq=False)
class Lease:
    """An attempt held by a session. `window` and `offset` say which record is finished by it; None: not yet
    read.
    """

    job: str
    epoch: int
    attempt: int
    key: str
    partition: int
    queue: str
    function: str
    timeout_ms: int
    created_at_ms: int  # when the job was admitted; 0: not known
    assigned_at_ms: int
    session: "Session"
    spilled: bool
    window: Window | None
    offset: int
    ordered: bool = False  # its key runs one job at a time; also where that is not known
    leads: bool = False  # the next of its key may begin before its receipt is durable
    after: tuple[str, int] | None = None  # the lease of the same session that must succeed before it begins
    started_at_ms: int | None = None
    step: str | None = None
    step_at_ms: int | None = None
    done: int | None = None
    total: int | None = None
    checkpoint: bytes | None = None
    announced: bool = False  # `started` was written, perhaps not yet durable
    told: bool = False  # `started` is durable
    beating: bool = False  # has its place in the wheel of alive beats
    alive: Beat | None = None  # its last alive beat, said again as long as it is true
    over: bool = False

    @property
    def deadline_ms(self) -> int:
        """When the lease ends if no receipt came, relay's clock."""
        return self.assigned_at_ms + self.timeout_ms


@dataclass(slots=True)
class Outbox:
    """What a session's writer shall send next: jobs first, then the notes, then up to where receipts are
    stored.
    """

    jobs: list[tuple[Lease, Dispatch]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    notes: list[relay_pb2.FromRelay] = field(default_factory=list)
    stored_up_to: int = 0
    closing: Breach | None = None


class Session:
    """One stream of a minion that said hello."""

    __slots__ = (
        "_numbers",
        "allowed",
        "calls_wanted_ms",
        "capacity",
        "credits",
        "follows",
        "functions",
        "gave_call",
        "heard_at_ms",
        "id",
        "jobs_wanted_ms",
        "kept_for_calls",
        "kept_for_jobs",
        "leases",
        "leases_since_ms",
        "minion",
        "opened_at_ms",
        "outbox",
        "phase",
        "queues",
        "sdk",
        "seed",
        "worker",
    )

    def __init__(
        self,
        id: str,
        minion: str,
        queues: frozenset[str],
        functions: frozenset[str],
        capacity: int,
        *,
        seed: int,
        allowed: Grant = EVERYTHING,
        sdk: str = "",
    ) -> None:
        self.id = id
        self.minion = minion
        self.queues = queues
        self.functions = functions
        self.capacity = capacity
        self.seed = seed
        self.allowed = allowed
        self.sdk = sdk
        self.follows = False
        """It takes jobs that come after another of its leases."""
        self.credits = 0
        self.leases: dict[str, Lease] = {}
        self.leases_since_ms = 0
        self.heard_at_ms = 0
        self.opened_at_ms = 0
        self.phase = SessionPhase.READY
        self.outbox = Outbox()
        self.worker: Worker | None = None
        """Its side that runs foreground calls; None: it runs none."""
        self.jobs_wanted_ms = self.calls_wanted_ms = NEVER_MS
        """When jobs, and calls, last wanted it: they were given to it, or waited for it."""
        self.kept_for_jobs = self.kept_for_calls = False
        """While both do, some of its places are kept for each."""
        self.gave_call = False
        """What it was given last, where both waited: then it is the other one's turn."""
        self._numbers = Progress(1)

    def __repr__(self) -> str:
        return (
            f"Session({self.id} {self.minion} {self.phase} leases={len(self.leases)} credits={self.credits})"
        )

    def serves(self, queue: str, function: str) -> bool:
        """True if it can run such a job, whether or not it has room now."""
        return function in self.functions and queue in self.queues

    def check_allowed(self, queue: str, function: str) -> None:
        """Raises Breach unless its token is for such jobs, as of now."""
        if self.allowed.everything:
            return
        try:
            self.allowed.check(Scope.RUN, queue, function)
        except Denied as denied:
            raise Breach(f"minion {self.minion}: {denied.sentence}", Refusal.FORBIDDEN) from None

    def check_offer(self) -> None:
        """Raises Breach unless its token is for all that it serves."""
        for queue in sorted(self.queues):
            for function in sorted(self.functions):
                self.check_allowed(queue, function)

    def room(self) -> int:
        """How many more jobs it may be sent now."""
        if self.phase is not SessionPhase.READY:
            return 0
        free = min(self.credits, self.capacity - self.held())
        return min(free, self._most_of_one_kind() - len(self.leases)) if self.kept_for_calls else free

    def room_for_calls(self) -> int:
        """How many more foreground calls it may be sent now."""
        if self.phase is not SessionPhase.READY or self.worker is None:
            return 0
        free = min(self.credits, self.capacity - self.held())
        return min(free, self._most_of_one_kind() - len(self.worker.runs)) if self.kept_for_jobs else free

    def held(self) -> int:
        """What it runs: jobs and calls."""
        return len(self.leases) + (0 if self.worker is None else len(self.worker.runs))

    def _most_of_one_kind(self) -> int:
        """How many of its places jobs, or calls, may hold while the others want some too: so long work of
        one kind never shuts the other out. A single place they take in turns.
        """
        places = self.credits + self.held()
        return places - max(places // KEPT_SHARE, 1) if places > 1 else places

    def grant(self, more: int) -> None:
        """Adds credits; raises Breach if more are unspent than the minion's capacity."""
        if self.credits + more > self.capacity:
            raise Breach(
                f"unspent credits must be at most the capacity of {self.capacity}, "
                f"got {more} more with {self.credits} unspent"
            )
        self.credits += more

    def recall(self, up_to: int) -> int:
        """Takes unspent credits back; gives how many."""
        count = min(self.credits, up_to)
        self.credits -= count
        return count

    def hold(self, lease: Lease, now_ms: int) -> None:
        """Makes the lease this session's, without a credit: it held it before."""
        assert lease.job not in self.leases
        if not self.held():
            self.leases_since_ms = now_ms
        lease.session = self
        self.leases[lease.job] = lease

    def spend(self, lease: Lease, now_ms: int) -> None:
        """Makes the lease this session's, for one credit."""
        assert self.room() > 0, f"{self!r} has no room"
        self.credits -= 1
        self.hold(lease, now_ms)

    def spend_on_call(self, now_ms: int) -> None:
        """A foreground call was given to it, for one credit. It is among the worker's runs already."""
        self.credits -= 1
        self.gave_call = True
        if self.held() == 1:
            self.leases_since_ms = now_ms
        self.wanted(now_ms, by_calls=True)

    def wanted(self, now_ms: int, *, by_jobs: bool = False, by_calls: bool = False) -> None:
        """Jobs, or calls, want it: while both did lately, some of its places are kept for each."""
        if by_jobs:
            self.jobs_wanted_ms = now_ms
        if by_calls:
            self.calls_wanted_ms = now_ms
        if self.worker is not None:
            self.kept_for_jobs = now_ms - self.jobs_wanted_ms < WANTED_MS
            self.kept_for_calls = now_ms - self.calls_wanted_ms < WANTED_MS

    def refund(self) -> None:
        """A lease ended before it was sent: its credit was not used."""
        self.credits += 1

    def receive(self, number: int) -> None:
        """Takes in the number of a receipt; raises Breach if it is not above all before it on
        this session.
        """
        if number < self._numbers.next:
            raise Breach(
                f"receipt numbers must grow within a session from 1 on, "
                f"got {number} where at least {self._numbers.next} was due"
            )
        self._numbers.deliver(number)

    def stored(self, number: int) -> None:
        """Kafka has the receipt with this number; acknowledges it when it has all before it too."""
        before = self._numbers.finished
        self._numbers.done(number)
        if self._numbers.finished != before:
            self.outbox.stored_up_to = self._numbers.finished

    def silent_ms(self, now_ms: int) -> int:
        """For how long nothing came from it while it held leases or ran calls."""
        if not self.leases and (self.worker is None or not self.worker.runs):
            return 0
        return now_ms - max(self.heard_at_ms, self.leases_since_ms)

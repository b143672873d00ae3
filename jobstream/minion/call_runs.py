"""Foreground calls that a minion runs for the callers of one relay.

Owns what runs on one session, and what is said of it: words go to the relay in the order in which the
function said them, the end last. A run is over with its session, since its callers wait at that relay and
nowhere else. It must never keep a word for a later session.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from jobstream.context import Stop
from jobstream.errors import BadRequest
from jobstream.minion.lease import Lease
from schemas.defaults import CALL_BYTES_MAX, MIB, TIMEOUT_MS_MAX
from schemas.proto.relay_pb2 import INTERRUPTED, Job, Receipt, Run, RunBatch, RunStatus, RunWord

log = logging.getLogger(__name__)

UNSENT_BYTES_MAX = 64 * MIB
"""Data that waits to be sent to one relay; a function that says more is told so."""

ATTEMPT = 1
"""Calls are tried once."""


class CallLease(Lease):
    """A foreground call that this minion runs; nobody's lease, but run as one.

    Attributes:
        number: What its relay calls it.
    """

    __slots__ = ("number", "say_word")

    def __init__(self, run: Run, *, session: str, given_on: int, received_ms: int, wall_ms: int) -> None:
        job = Job(
            id=run.unique or f"{session}.{run.run}",
            epoch=ATTEMPT,
            attempt=ATTEMPT,
            function=run.function,
            args=run.args,
            content_type=run.content_type,
            timeout_ms=run.timeout_ms or TIMEOUT_MS_MAX,
            assigned_at_ms=run.called_at_ms,
            created_at_ms=run.called_at_ms,
            trace=run.trace,
        )
        super().__init__(job, session=session, given_on=given_on, received_ms=received_ms, wall_ms=wall_ms)
        self.foreground = True
        self.number = run.run
        self.say_word: Callable[[RunWord], None] = _nowhere

    def changed(self) -> None:
        """What a durable job would tell with its next heartbeat is told at once, if it is progress."""
        if self.progress is not None and self.progress is not self.told_progress:
            self.told_progress = self.progress
            done, total = self.progress
            self.say_word(RunWord(run=self.number, status=RunStatus(done=done, total=total)))

    def say(self, kind: str, data: bytes) -> None:
        """A piece of data, or a warning, to whoever waits; any thread. BadRequest: it is too much."""
        if len(data) > CALL_BYTES_MAX:
            raise BadRequest(
                f"{kind} of a call must be at most {CALL_BYTES_MAX} bytes, got {len(data)} bytes"
            )
        word = RunWord(run=self.number)
        if kind == "data":
            word.data = data
        else:
            word.warning = data
        self.say_word(word)


class CallRuns:
    """What runs on the session that is open. All methods belong to the session's thread but `say`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.runs: dict[int, CallLease] = {}
        self._wake = wake
        self._words: deque[RunWord] = deque()
        self._ends: list[RunWord] = []
        self._lock = threading.Lock()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self.runs or self._ends or self._words)

    @property
    def unsaid(self) -> bool:
        """True if something waits to be collected."""
        return bool(self._ends or self._words)

    def hold(self, lease: CallLease) -> None:
        """It runs here from now on."""
        lease.say_word = self.say
        self.runs[lease.number] = lease

    def refuse(self, lease: CallLease) -> None:
        """It is given back, not begun."""
        self._ends.append(RunWord(run=lease.number, end=Receipt(outcome=INTERRUPTED)))

    def say(self, word: RunWord) -> None:
        """A word of a run; any thread. BadRequest when too many wait to be sent."""
        size_bytes = word.ByteSize()
        with self._lock:
            if self._bytes + size_bytes > UNSENT_BYTES_MAX:
                raise BadRequest(
                    f"{self._bytes} bytes wait for the relay to take them: wait before more is said"
                )
            self._bytes += size_bytes
        self._words.append(word)
        self._wake()

    def ended(self, lease: CallLease, receipt: Receipt | None) -> None:
        """Its function has left; None, or a run that is not here any longer: nobody wants to know."""
        if self.runs.get(lease.number) is not lease:
            return
        del self.runs[lease.number]
        assert receipt is not None, "a call that is waited for must end with a receipt"
        receipt.ClearField("job")
        receipt.ClearField("epoch")
        self._ends.append(RunWord(run=lease.number, end=receipt))

    def over(self, numbers: Iterable[int]) -> list[CallLease]:
        """Nobody waits for these any more; those that run, which are to be stopped."""
        return [lease for number in numbers if (lease := self.runs.pop(number, None)) is not None]

    def limit(self, number: int, timeout_ms: int, wall_ms: int) -> None:
        """Its callers wait so long from now on; 0: they do not say."""
        lease = self.runs.get(number)
        if lease is not None:
            lease.timeout_ms = timeout_ms or TIMEOUT_MS_MAX
            lease.deadline_ms = wall_ms + lease.timeout_ms

    def hand_back(self, stop: Callable[[CallLease], Any], interrupted: Callable[[Lease], Receipt]) -> None:
        """The minion goes away: all that runs ends here, for its callers as lost."""
        for lease in list(self.runs.values()):
            self.ended(lease, interrupted(lease))
            stop(lease)

    def broke(self) -> list[CallLease]:
        """The session is over, and nothing is to be said any more; what ran, to be stopped."""
        running = list(self.runs.values())
        self.runs.clear()
        self._ends.clear()
        self._words.clear()
        with self._lock:
            self._bytes = 0
        return running

    def collect(self) -> RunBatch | None:
        """What is to be said now; None: nothing. Ends go last: what was said before them was put aside
        before.
        """
        ends, self._ends = self._ends, []
        words: list[RunWord] = []
        while self._words:
            words.append(self._words.popleft())
        if not words and not ends:
            return None
        if words:
            with self._lock:
                self._bytes -= min(sum(word.ByteSize() for word in words), self._bytes)
        return RunBatch(words=words + ends)


def stop_of(lease: CallLease, reason: str) -> None:
    """Lets its function know that nobody waits."""
    lease.ask_to_stop(Stop.DROPPED, reason or "nobody waits for the call any more")


def _nowhere(word: RunWord) -> None:
    raise AssertionError(f"a run must be held before anything is said of it, got {word.run}")

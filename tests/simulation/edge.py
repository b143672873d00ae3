"""The relay and its minions as a simulation needs them: attempts that end in every way an attempt can end.

Keeps the contract of the edge towards the streams service: a dispatch is forgotten only when its `started` or
its receipt is written; receipts and beats go to the home partition; an epoch that was called off is not
begun.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.codec import decode, encode
from schemas.events import Beat, Control, Dispatch, Heartbeat, Receipt
from schemas.words import BeatKind, Outcome
from streams.record import Out
from tests.fakes.log import Place

if TYPE_CHECKING:
    from tests.simulation.world import World

BEAT_MS = 1_000
FORGET = 0.01
"""How often a relay crashes, per step."""

WAYS = (
    *["quick"] * 6,
    *["long"] * 4,
    "failure",
    "failure",
    "final failure",
    "snooze",
    "interrupted",
    "unserved",
    "lost",
    "silent",
    "hangs",
    "zombie",
)
"""What a minion does with an attempt."""


@dataclass
class Attempt:
    """One lease."""

    dispatch: Dispatch
    way: str
    ends_ms: int
    assigned_ms: int
    beats_ms: int
    started: bool = False
    called_off: bool = False


class Edge:
    """One relay with all minions."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._places = [
            (world.topics.dispatch(queue), number)
            for queue in world.used
            for number in range(world.topics.partitions)
        ]
        self._positions: dict[Place, int] = {}
        self._committed: dict[Place, int] = {}
        self._controls = 0
        self._seen: set[tuple[str, int]] = set()
        self._called_off: set[tuple[str, int]] = set()
        self._attempts: list[Attempt] = []
        self.ran: dict[tuple[str, int], int] = {}
        """How often each (job, epoch) was begun."""

    @property
    def busy(self) -> bool:
        """True if there is something to read."""
        return bool(self._unread())

    def next_ms(self) -> int | None:
        """When a minion does something next."""
        times = [min(attempt.ends_ms, attempt.beats_ms) for attempt in self._attempts]
        return min(times, default=None)

    def step(self) -> None:
        """Reads, assigns, lets the minions go on; sometimes it crashes."""
        self._read_controls()
        if not self._world.calm and self._world.rng.random() < FORGET:
            self._crash()
        for place in self._unread():
            self._assign(place)
        for attempt in list(self._attempts):
            self._go_on(attempt)

    def _unread(self) -> list[Place]:
        end, read = self._world.log.end, self._positions
        return [place for place in self._places if end(*place) > read.get(place, 0)]

    def _crash(self) -> None:
        """A relay dies: what it had not started is read again by the next one; half of the minions are
        adopted.
        """
        rng = self._world.rng
        self._positions = dict(self._committed)
        self._attempts = [attempt for attempt in self._attempts if attempt.started and rng.random() < 0.5]
        self._seen = {(attempt.dispatch.job, attempt.dispatch.epoch) for attempt in self._attempts}

    def _read_controls(self) -> None:
        world = self._world
        while (record := world.log.read(world.topics.control, 0, self._controls)) is not None:
            self._controls += 1
            control = decode(record.value or b"", (Control,))
            self._called_off.add((control.job, control.epoch))

    def _assign(self, place: Place) -> None:
        world, rng = self._world, self._world.rng
        offset = self._positions.get(place, 0)
        record = world.log.read(*place, offset)
        assert record is not None
        self._positions[place] = offset + 1
        dispatch = decode(record.value or b"", (Dispatch,))
        known = (dispatch.job, dispatch.epoch)
        if known not in self._seen and known not in self._called_off:
            self._seen.add(known)
            self.ran[known] = self.ran.get(known, 0) + 1
            way = "quick" if world.calm else rng.choice(WAYS)
            spans = {"quick": 40, "long": 5_000, "hangs": 10**9, "zombie": 20_000, "silent": 10**9}
            ends_ms = world.now_ms + rng.randint(1, spans.get(way, 1_500))
            self._attempts.append(Attempt(dispatch, way, ends_ms, world.now_ms, world.now_ms + 50))
        self._commit(place)

    def _commit(self, place: Place) -> None:
        """Dispatches are done with when all before are started, ended, or called off; here: when none is
        open.
        """
        if all(attempt.started for attempt in self._attempts):
            self._committed[place] = self._positions[place]

    def _go_on(self, attempt: Attempt) -> None:
        world, now_ms = self._world, self._world.now_ms
        known = (attempt.dispatch.job, attempt.dispatch.epoch)
        if known in self._called_off and not attempt.called_off:
            attempt.called_off = True
            if attempt.way != "zombie" and world.rng.random() < 0.7:
                attempt.way, attempt.ends_ms = "cancelled", now_ms
        if world.calm and attempt.way in {"hangs", "silent", "zombie"}:
            attempt.ends_ms = min(attempt.ends_ms, now_ms)
        if now_ms >= attempt.ends_ms:
            self._end(attempt)
        elif now_ms >= attempt.beats_ms:
            if attempt.way not in {"silent", "zombie"} or not attempt.started:
                self._beat(attempt)
            attempt.beats_ms = now_ms + BEAT_MS

    def _beat(self, attempt: Attempt) -> None:
        world, dispatch = self._world, attempt.dispatch
        kind = BeatKind.ALIVE if attempt.started else BeatKind.STARTED
        if attempt.started and world.rng.random() < 0.3:
            kind = BeatKind.PROGRESS
        beat = Beat(
            job=dispatch.job,
            key=dispatch.key,
            epoch=dispatch.epoch,
            attempt=dispatch.attempt,
            kind=kind,
            minion="m",
            session="s",
            assigned_at_ms=attempt.assigned_ms,
            started_at_ms=attempt.assigned_ms + 1,
            deadline_ms=attempt.assigned_ms + dispatch.timeout_ms,
            step="somewhere" if kind == BeatKind.PROGRESS else None,
            checkpoint=b"c" if kind == BeatKind.PROGRESS else None,
        )
        heartbeat = Heartbeat(partition=dispatch.partition, relay="r", at_ms=world.now_ms, beats=(beat,))
        world.append([Out(world.topics.heartbeats, dispatch.partition, None, encode(heartbeat))])
        attempt.started = True

    def _end(self, attempt: Attempt) -> None:
        """Writes the receipt, now and then twice, and forgets the attempt."""
        self._attempts.remove(attempt)
        outcomes = {
            "failure": Outcome.FAILURE,
            "final failure": Outcome.FAILURE,
            "snooze": Outcome.SNOOZE,
            "interrupted": Outcome.INTERRUPTED,
            "unserved": Outcome.UNSERVED,
            "lost": Outcome.LOST,
            "cancelled": Outcome.CANCELLED,
        }
        world, dispatch = self._world, attempt.dispatch
        outcome = outcomes.get(attempt.way, Outcome.SUCCESS)
        receipt = Receipt(
            job=dispatch.job,
            key=dispatch.key,
            partition=dispatch.partition,
            attempt=dispatch.attempt,
            epoch=dispatch.epoch,
            outcome=outcome,
            at_ms=world.now_ms,
            assigned_at_ms=attempt.assigned_ms,
            result=f"{dispatch.job}/{dispatch.epoch}".encode() if outcome == Outcome.SUCCESS else None,
            error_type="Broken" if outcome == Outcome.FAILURE else None,
            non_retryable=attempt.way == "final failure",
            snooze_ms=700 if outcome == Outcome.SNOOZE else None,
        )
        for _ in range(2 if world.rng.random() < 0.1 else 1):
            world.append([Out(world.topics.receipts, dispatch.partition, None, encode(receipt))])

"""Key order at the edge: which dispatch of a lane (a queue with key order, and a key) may be given out.

Owns the rule that a lane has one job with a minion, or waiting for one, at a time, and goes on only after
success: a dispatch that comes after another is handed back unless that one succeeded here, or is before it in
the line. Never makes leases, and never looks at a clock.

Where a lane's jobs may begin before a receipt is durable, those that come next can be with the same minion
already, behind the one that runs: the minion begins each when the one before has succeeded, and hands it back
otherwise. The first of them is the holder as soon as the one before ended, in whatever way.
"""

import heapq
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import StrEnum

from relay.core.parcel import Parcel
from relay.core.window import Window
from schemas.proto import relay_pb2
from schemas.words import ORDER_KEY, ORDER_KEY_AHEAD

LANES_IDLE_MAX = 50_000
"""Lanes without a job whose last success is remembered (about 20 MB); of a forgotten one the next job is
handed back once.
"""

FOLLOWERS_MAX = 32
"""Jobs of one lane that are with a minion behind the one that runs."""

LANES_TOLD = 20
"""Lanes that the status names."""

Name = tuple[str, str]
"""Queue and key."""

Token = tuple[str, int]
"""Job and epoch."""


class Verdict(StrEnum):
    """What becomes of a dispatch."""

    RUN = "run"  # it holds its lane now
    WAIT = "wait"  # it stands in the line
    BACK = "back"  # whom it comes after did not succeed here


@dataclass(slots=True)
class Lane:
    """One key: who has its turn, who succeeded last, and who waits."""

    holder: Token | None = None
    last: Token | None = None
    line: list[Parcel] = field(default_factory=list)
    followers: deque[Token] = field(default_factory=deque)
    """With a minion behind the holder, in this order."""
    filled: int = 0
    """How many they were when some were given last: the next are when half of these are left, so that one
    message brings several.
    """
    quick: bool = False
    """Its last job succeeded soon, so what waits behind one is not kept from other minions for long."""

    def continues(self) -> bool:
        """True if the line goes on from what is with a minion; what is amiss further back is found later."""
        if not self.line or self.holder is None:
            return False
        return after_of(self.line[0]) == (self.followers[-1] if self.followers else self.holder)

    def may_follow(self, token: Token | None) -> bool:
        """True if a dispatch that comes after this one may run once the lane is free."""
        return token is None or token == self.last


@dataclass(frozen=True, slots=True)
class Turn:
    """What follows from an end."""

    run: Parcel | None
    back: list[Parcel]
    begun: Token | None = None
    """A follower whose turn came."""


class Lanes:
    """All lanes of a relay."""

    def __init__(self) -> None:
        self.parcels: dict[str, Parcel] = {}
        """What stands in a line, by job."""
        self._lanes: dict[Name, Lane] = {}
        self._idle: OrderedDict[Name, None] = OrderedDict()

    def __len__(self) -> int:
        """How many lanes have a job."""
        return len(self._lanes) - len(self._idle)

    def status(self) -> list[relay_pb2.LaneStatus]:
        """The LANES_TOLD lanes in which most stand in line, longest first."""
        lined = {name: lane for name, lane in self._lanes.items() if lane.line}
        longest = heapq.nlargest(LANES_TOLD, lined.items(), key=lambda each: len(each[1].line))
        return [
            relay_pb2.LaneStatus(
                queue=queue, key=key, job=lane.holder[0] if lane.holder else "", waiting=len(lane.line)
            )
            for (queue, key), lane in longest
        ]

    def admit(self, parcel: Parcel) -> Verdict:
        """Takes in a dispatch with key order."""
        name, after = name_of(parcel), after_of(parcel)
        lane = self._open(name)
        if lane.holder is None and not lane.line and lane.may_follow(after):
            lane.holder = token_of(parcel)
            return Verdict.RUN
        known = (
            after is None
            or after in (lane.last, lane.holder)
            or after in map(token_of, lane.line)
            or after in lane.followers
        )
        if not known:
            self._close(name, lane)
            return Verdict.BACK
        lane.line.append(parcel)
        self.parcels[parcel.dispatch.job] = parcel
        parcel.window.wait(parcel.size_bytes)
        return Verdict.WAIT

    def hold(self, name: Name, token: Token) -> None:
        """A job of a key runs already, by what its minion says."""
        lane = self._open(name)
        if lane.holder is None:
            lane.holder = token
        elif token != lane.holder and token not in lane.followers:
            lane.followers.append(token)

    def ended(self, name: Name, token: Token, *, success: bool, quick: bool = False) -> Turn:
        """A job of a key ended; that of another than the holder changes only what is known to have
        succeeded.
        """
        lane = self._open(name)
        begun: Token | None = None
        if lane.holder == token:
            lane.last = token if success else None
            lane.quick = success and quick
            lane.holder = begun = lane.followers.popleft() if lane.followers else None
        elif token in lane.followers:
            lane.followers.remove(token)
        elif success and lane.holder is None:
            lane.last = token
        turn = self._turn(name, lane, success=success)
        return Turn(turn.run, turn.back, begun)

    def hungry(self, name: Name) -> bool:
        """True if it is time to give out what comes next in a lane."""
        lane = self._lanes.get(name)
        return lane is not None and lane.quick and bool(lane.line) and len(lane.followers) * 2 <= lane.filled

    def next(self, name: Name) -> tuple[Token, Token, Parcel] | None:
        """What may be given to a minion behind what it has of the lane: the holder, whom it comes after, and
        the dispatch; None: nothing may.
        """
        lane = self._lanes.get(name)
        if lane is None or lane.holder is None or len(lane.followers) >= FOLLOWERS_MAX:
            return None
        before = lane.followers[-1] if lane.followers else lane.holder
        found = next((parcel for parcel in lane.line if after_of(parcel) == before), None)
        return None if found is None else (lane.holder, before, found)

    def follow(self, parcel: Parcel) -> None:
        """A dispatch out of its line is given to the minion of what it comes after."""
        lane = self._lanes[name_of(parcel)]
        lane.line.remove(parcel)
        lane.followers.append(token_of(parcel))
        lane.filled = len(lane.followers)
        self._gone(parcel)

    def remove(self, parcel: Parcel) -> None:
        """Takes a dispatch out of its line; `ended` says what follows."""
        self._lanes[name_of(parcel)].line.remove(parcel)
        self._gone(parcel)

    def forget(self, window: Window) -> None:
        """Drops all that waits from a partition that is no longer this relay's."""
        for parcel in [parcel for parcel in self.parcels.values() if parcel.window is window]:
            name = name_of(parcel)
            lane = self._lanes[name]
            lane.line.remove(parcel)
            self._gone(parcel)
            self._close(name, lane)

    def _turn(self, name: Name, lane: Lane, *, success: bool) -> Turn:
        run: Parcel | None = None
        if lane.holder is None:
            run = next((parcel for parcel in lane.line if lane.may_follow(after_of(parcel))), None)
            if run is not None:
                lane.line.remove(run)
                lane.holder = token_of(run)
                self._gone(run)
        if success and lane.continues():  # a long line is not looked through for each of its jobs
            return Turn(run, [])
        known = {lane.holder, lane.last, *lane.followers}
        stay: list[Parcel] = []
        back: list[Parcel] = []
        for parcel in lane.line:
            if after_of(parcel) is None or after_of(parcel) in known:
                known.add(token_of(parcel))
                stay.append(parcel)
            else:
                back.append(parcel)
                self._gone(parcel)
        lane.line = stay
        self._close(name, lane)
        return Turn(run, back)

    def _gone(self, parcel: Parcel) -> None:
        del self.parcels[parcel.dispatch.job]
        parcel.window.go(parcel.size_bytes)

    def _open(self, name: Name) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane()
        self._idle.pop(name, None)
        return lane

    def _close(self, name: Name, lane: Lane) -> None:
        """A lane without jobs is kept for what comes after its last one, as long as there is room."""
        if lane.holder is not None or lane.line:
            return
        if lane.last is None:
            del self._lanes[name]
            self._idle.pop(name, None)
            return
        self._idle[name] = None
        if len(self._idle) > LANES_IDLE_MAX:
            oldest, _ = self._idle.popitem(last=False)
            del self._lanes[oldest]


def in_order(parcel: Parcel) -> bool:
    """True if the dispatch is of a lane."""
    return parcel.dispatch.order in (ORDER_KEY, ORDER_KEY_AHEAD)


def leads(parcel: Parcel) -> bool:
    """True if the next of its lane may begin before its receipt is durable."""
    return parcel.dispatch.order == ORDER_KEY_AHEAD


def name_of(parcel: Parcel) -> Name:
    """The lane of a dispatch."""
    return parcel.dispatch.queue, parcel.dispatch.key


def token_of(parcel: Parcel) -> Token:
    """What others come after."""
    return parcel.dispatch.job, parcel.dispatch.epoch


def after_of(parcel: Parcel) -> Token | None:
    """Whom it comes after."""
    dispatch = parcel.dispatch
    if dispatch.after_job is None or dispatch.after_epoch is None:
        return None
    return dispatch.after_job, dispatch.after_epoch

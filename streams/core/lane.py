"""Lanes: jobs of one queue and key that run one at a time, in the order in which they took their places.

Owns who is in which lane and whose turn it is, as an index over the rows that any restart makes anew. Decides
nothing about a job's life, and keeps nothing that is not in the rows.

A lane dispatches up to `AHEAD` jobs at once, or `AHEAD_FAR` where its queue says so, each after the one
before it: the relay goes on to the next only when that one has succeeded, and hands the rest back otherwise.
Here a lane begins anew, with a job that comes after none, only when none of its jobs is with a relay any
more: so two of them never run at once, whatever became of a relay or of a receipt.
"""

from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice

from schemas.events import JobRow
from schemas.records import replace
from schemas.words import PHASES_TERMINAL, LanePolicy, Phase, WaitReason

AHEAD = 16
"""Jobs of one lane that are dispatched at once, the running one among them. More would let a lane go on for
longer without us; each is a hand-back when one before it fails.
"""

AHEAD_FAR = 128
"""The same where the next need not wait for a durable receipt: as many as may run while word of them comes
here and goes back.
"""

Name = tuple[str, str]
"""A lane: queue and key."""

Predecessor = tuple[str, int]
"""The job and epoch that must succeed first."""


def is_member(row: JobRow | None) -> bool:
    """True if the job has a place in a lane: it has not ended, and does not wait for its first time to come.

    A dead one keeps its place where the lane waits for it.
    """
    if row is None or row.spec.lane is None:
        return False
    if row.phase in PHASES_TERMINAL:
        return row.phase == Phase.DEAD and row.spec.lane == LanePolicy.WAITS
    return row.wait_reason != WaitReason.DELAY


def is_offered(row: JobRow) -> bool:
    """True if a relay has the job, or will have it."""
    return row.phase in (Phase.READY, Phase.LEASED)


def waits_for_turn(row: JobRow) -> bool:
    """True if nothing but its turn is missing."""
    return row.phase == Phase.SCHEDULED and row.wait_reason == WaitReason.LANE


class Lane:
    """The members of one lane in the order of their places, and which of them are offered."""

    __slots__ = ("members", "most", "offered")

    def __init__(self) -> None:
        self.members: OrderedDict[str, None] = OrderedDict()
        self.offered: set[str] = set()
        self.most = AHEAD
        """Of them that may be offered at once."""


class Lanes:
    """All lanes of a partition."""

    def __init__(self, jobs: Mapping[str, JobRow]) -> None:
        """`jobs` are the partition's rows, live."""
        self._jobs = jobs
        self._lanes: dict[Name, Lane] = {}
        self._restored: list[JobRow] = []
        self._next_place = 1

    def restore(self, row: JobRow) -> None:
        """Takes in one row after a restart; `begin` comes after the last."""
        if is_member(row):
            self._restored.append(row)

    def begin(self) -> list[Name]:
        """Finds all lanes anew from what was restored; gives their names."""
        restored, self._restored = self._restored, []
        for row in sorted(restored, key=lambda row: row.lane_place or 0):
            self._enter(row)
            self._next_place = max(self._next_place, (row.lane_place or 0) + 1)
        return list(self._lanes)

    def placed(self, row: JobRow) -> JobRow:
        """The row with a place if it is a member, without one if it is none."""
        if is_member(row):
            return replace(row, lane_place=self._next_place) if row.lane_place is None else row
        return row if row.lane_place is None else replace(row, lane_place=None)

    def keep(self, before: JobRow | None, after: JobRow | None) -> None:
        """A job is now so. `after` was `placed`."""
        if after is not None and is_member(after):
            assert after.lane_place is not None, f"job {after.spec.id} has no place"
            self._next_place = max(self._next_place, after.lane_place + 1)
            self._enter(after)
        elif before is not None and before.spec.lane is not None:
            self._leave(before)

    def turn(self, name: Name) -> tuple[bool, Predecessor | None]:
        """Whether a job that joins the lane now may be dispatched at once, and after whom."""
        lane = self._lanes.get(name)
        if lane is None:
            return True, None
        if len(lane.members) >= lane.most or len(lane.offered) < len(lane.members):
            return False, None
        return True, self._predecessor(next(reversed(lane.members)))

    def opening(self, name: Name) -> tuple[str, Predecessor | None] | None:
        """The job of the lane whose turn has come, and after whom; None if none may be dispatched now."""
        lane = self._lanes.get(name)
        if lane is None:
            return None
        before: str | None = None
        offered = 0
        for id in islice(lane.members, lane.most):
            if id in lane.offered:
                before, offered = id, offered + 1
            elif offered == len(lane.offered) and self._may_come(id, before):
                return id, None if before is None else self._predecessor(before)
            else:
                return None
        return None

    def _may_come(self, id: str, before: str | None) -> bool:
        """True if its turn has come: not twice behind the same dispatch. Handed back from there, its relay
        does not
        know whom it comes after (that one runs at another relay's minion, say), and would hand it back
        again and again for as long as that takes.
        """
        row = self._jobs[id]
        if not waits_for_turn(row):
            return False
        return before is None or (row.after_job, row.after_epoch) != self._predecessor(before)

    def _predecessor(self, id: str) -> Predecessor:
        return id, self._jobs[id].epoch

    def _enter(self, row: JobRow) -> None:
        id = row.spec.id
        lane = self._lanes.setdefault((row.spec.queue, row.spec.key), Lane())
        lane.members.setdefault(id)
        lane.most = AHEAD_FAR if row.spec.lane == LanePolicy.AHEAD else AHEAD
        if is_offered(row):
            lane.offered.add(id)
        else:
            lane.offered.discard(id)

    def _leave(self, row: JobRow) -> None:
        name = (row.spec.queue, row.spec.key)
        lane = self._lanes.get(name)
        if lane is None:
            return
        lane.members.pop(row.spec.id, None)
        lane.offered.discard(row.spec.id)
        if not lane.members:
            del self._lanes[name]

"""Which jobs of a partition stand in the way of a request that wants to be the only one of its kind.

An index over the rows that any restart makes anew. Equal requests have equal keys and so meet in one
partition, where one decision comes after the other: there is no race. Decides nothing about the job that
stands in the way, and keeps nothing that is not in the rows.
"""

from schemas.events import JobRow
from schemas.unique import Unique, While
from schemas.words import PHASES_TERMINAL, Phase

Name = tuple[str, str]
"""Partition key, and what must not be done twice."""


class Kin:
    """The jobs of one name that have not ended, and the one that was asked for last."""

    __slots__ = ("latest", "running", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[str, None] = {}
        self.running: dict[str, None] = {}
        self.latest: tuple[int, str] | None = None
        """When it was admitted, epoch ms, and its id."""


class Uniques:
    """All unique jobs of a partition."""

    def __init__(self) -> None:
        self._kin: dict[Name, Kin] = {}

    def keep(self, before: JobRow | None, after: JobRow | None) -> None:
        """A job is now so; None: it was not there, or is no more."""
        row = after or before
        if row is None or row.spec.unique is None:
            return
        name, id = (row.spec.key, row.spec.unique), row.spec.id
        kin = self._kin.setdefault(name, Kin())
        kin.waiting.pop(id, None)
        kin.running.pop(id, None)
        if after is None:
            if kin.latest is not None and kin.latest[1] == id:
                kin.latest = None
        else:
            kin.latest = max(kin.latest or (0, ""), (row.spec.created_at_ms, id))
            if after.phase == Phase.LEASED:
                kin.running[id] = None
            elif after.phase not in PHASES_TERMINAL:
                kin.waiting[id] = None
        if kin.latest is None and not kin.waiting and not kin.running:
            del self._kin[name]

    def holder(self, name: Name, unique: Unique, at_ms: int) -> str | None:
        """The job that stands in the way of another of this name at `at_ms`, epoch ms; None: none does."""
        kin = self._kin.get(name)
        if kin is None:
            return None
        if unique.while_ == While.WINDOW:
            assert unique.window_ms is not None, "a window has a length"
            if kin.latest is None or kin.latest[0] + unique.window_ms <= at_ms:
                return None
            return kin.latest[1]
        waiting, running = next(reversed(kin.waiting), None), next(reversed(kin.running), None)
        match unique.while_:
            case While.QUEUED:
                return waiting
            case While.RUNNING:
                return running
            case _:
                return waiting or running

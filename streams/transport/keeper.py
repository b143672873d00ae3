"""The Keeper: takes a snapshot of an owned partition when its tail has grown, and gives it back at a restore.

Owns when a snapshot is taken, and that all of it is committed before it counts. Must never hold up the agent
for longer than one chunk, nor be needed for anything: without a directory to write to there are no snapshots.

Why what it takes is right although rows change meanwhile: the end of the changelog is asked for *first*. All
that lies before it came from memory, so memory has it; all that changes in memory later lies behind it, and
is read again as the tail, the last row of each key. What may have been saved too early is what memory has and
the log has not, so the file gets its name only after every batch handed over until then was confirmed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from faust.types import TP

from streams.transport.snapshot import Bounds, Draft, Identity, Shelf

log = logging.getLogger(__name__)

LOOK_S: Final = 30.0
"""How often the tails are looked at."""

TAIL_RECORDS: Final = 10_000
"""A shorter tail is not worth a snapshot: it is read in some hundredths of a second."""

TAIL_SHARE: Final = 0.5
"""Nor one that is shorter than this, measured in rows that the partition has."""


class Saved(Protocol):
    """What a `PartitionState` has besides, if its table is to have snapshots."""

    layout: str
    """Names what the chunks mean; another one for another meaning."""

    @property
    def rows(self) -> Mapping[Any, Any]:
        """For their number."""

    def save(self) -> Iterator[bytes]:
        """All rows there are, in chunks of a millisecond's work. Rows may change between two of them."""

    def load(self, chunk: bytes) -> None:
        """The opposite, before anything is restored."""


class Log(Protocol):
    """What the Keeper asks of the changelogs; blocks."""

    def bounds(self, changelogs: Iterable[TP]) -> dict[TP, Bounds]:
        """Where each begins and ends."""

    def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Which incarnation of a topic it is."""


class Keeper:
    """Snapshots of the partitions of one worker."""

    def __init__(
        self, shelves: Mapping[str, Shelf], log: Log, confirmed: Callable[[], Awaitable[None]]
    ) -> None:
        """`shelves` by changelog topic; `confirmed` returns when all that was decided until it was called is
        durable.
        """
        self._shelves = shelves
        self._log = log
        self._confirmed = confirmed
        self._owned: dict[TP, Saved] = {}
        self._positions: dict[TP, int] = {}
        self._topic_ids: dict[str, str] = {}

    async def load(self, states: Mapping[TP, Any], bounds: Mapping[TP, Bounds]) -> dict[TP, int]:
        """Loads what can be trusted; the changelog is to be read from the positions given on, from its
        beginning where there is none. States of a table with snapshots are `Saved`.
        """
        self.forget()
        places = [tp for tp in states if tp.topic in self._shelves]
        if not places:
            return {}
        self._topic_ids = await asyncio.to_thread(self._log.topic_ids, {tp.topic for tp in places})
        for topic, shelf in self._shelves.items():
            shelf.keep_only({tp.partition for tp in places if tp.topic == topic})
        for tp in places:
            await self._load(tp, states[tp], bounds[tp])
        return dict(self._positions)

    async def _load(self, tp: TP, state: Saved, bounds: Bounds) -> None:
        snapshot = await asyncio.to_thread(self._shelves[tp.topic].take, self._identity(tp, state), bounds)
        if snapshot is None:
            return
        for chunk in snapshot.chunks():
            state.load(chunk)
            await asyncio.sleep(0)
        self._positions[tp] = snapshot.position

    def restored(self, states: Mapping[TP, Any]) -> None:
        """These are whole from now on."""
        self._owned = {tp: state for tp, state in states.items() if tp.topic in self._shelves}

    def forget(self) -> None:
        """Nothing is ours any more; what is being saved is dropped."""
        self._owned = {}
        self._positions = {}

    async def look(self) -> None:
        """Takes the snapshots that are worth it."""
        if not self._owned:
            return
        bounds = await asyncio.to_thread(self._log.bounds, list(self._owned))
        for tp, state in list(self._owned.items()):
            tail = bounds[tp].end - self._positions.get(tp, bounds[tp].first)
            if tail >= max(TAIL_RECORDS, TAIL_SHARE * len(state.rows)):
                await self.take(tp, state, bounds[tp].end)

    async def take(self, tp: TP, state: Saved, position: int) -> None:
        """Saves one partition as of `position`, the end of its changelog asked for just before."""
        draft: Draft | None = None
        try:
            draft = self._shelves[tp.topic].begin(self._identity(tp, state), position)
            if await self._save(tp, state, draft):
                draft.finish()
                draft = None
                self._positions[tp] = position
        except OSError as error:
            log.warning("no snapshot of %s/%d was taken: %s", tp.topic, tp.partition, error)
        except Exception:  # nobody needs one: the worker goes on, and the next restore reads more
            log.exception("no snapshot of %s/%d was taken, by a fault of ours", tp.topic, tp.partition)
        finally:
            if draft is not None:
                draft.drop()

    async def _save(self, tp: TP, state: Saved, draft: Draft) -> bool:
        """True if all of it is in the draft, is committed, and is still ours."""
        for chunk in state.save():
            draft.add(chunk)
            await asyncio.sleep(0)
            if self._owned.get(tp) is not state:
                return False
        await self._confirmed()
        return self._owned.get(tp) is state

    def _identity(self, tp: TP, state: Saved) -> Identity:
        return Identity(state.layout, tp.topic, self._topic_ids[tp.topic], tp.partition)

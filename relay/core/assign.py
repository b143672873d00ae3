"""Which session a key belongs to, and who is next when that one has no room.

Owns the choice alone: rendezvous hashing over the sessions that can run the job (Thaler and Ravishankar,
1998), so that a session's coming or going moves only the keys it gains or loses. Pure functions and a cache
of their values.
"""

import hashlib
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache, partial

from relay.core.session import Session

SLOTS = 4_096
"""Keys are folded into so many slots, so that the order of sessions is reckoned once for each slot."""

SEEDS_MAX = 4_000
"""Minions whose scores are remembered (16 KiB each)."""


def seed_of(name: str) -> int:
    """64 bits that stand for a minion's name; equal names have equal seeds, in every process."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


def slot_of(key: str) -> int:
    """The slot of a key."""
    return zlib.crc32(key.encode()) % SLOTS


@lru_cache(maxsize=SEEDS_MAX)
def scores_of(seed: int) -> "array[int]":
    """How much each slot is drawn to a seed: random numbers that the seed alone decides."""
    return array("I", hashlib.shake_128(seed.to_bytes(8)).digest(SLOTS * array("I").itemsize))


def rank(slot: int, sessions: Iterable[Session]) -> tuple[Session, ...]:
    """The sessions in the order in which the slot is drawn to them; those of one minion name by their ids."""
    return Ranking(sessions).order(slot)


class Ranking:
    """The order of a fixed set of sessions for each slot, reckoned when first asked for."""

    __slots__ = ("_homes", "_ranks", "_scores", "sessions")

    def __init__(self, sessions: Iterable[Session]) -> None:
        self.sessions = tuple(sessions)
        names = Counter(session.minion for session in self.sessions)
        # Sessions of one name are drawn to a slot by its name together, and among each other by their ids.
        self._scores = [
            (scores_of(session.seed), scores_of(seed_of(session.id)) if names[session.minion] > 1 else None)
            for session in self.sessions
        ]
        self._homes: dict[int, Session] = {}
        self._ranks: dict[int, tuple[Session, ...]] = {}

    def order(self, slot: int) -> tuple[Session, ...]:
        """All sessions, the home of the slot first."""
        ranked = self._ranks.get(slot)
        if ranked is None:
            found = sorted(range(len(self.sessions)), key=partial(self._drawn, slot), reverse=True)
            ranked = self._ranks[slot] = tuple(self.sessions[index] for index in found)
        return ranked

    def home(self, slot: int) -> Session | None:
        """The session that the slot belongs to; None if there is none at all."""
        home = self._homes.get(slot)
        if home is None and self.sessions:
            index = max(range(len(self.sessions)), key=partial(self._drawn, slot))
            home = self._homes[slot] = self.sessions[index]
        return home

    def choose(self, slot: int) -> Session | None:
        """The first session in the slot's order that has room; None if none has."""
        home = self.home(slot)
        if home is None or home.room() > 0:
            return home
        for session in self.order(slot):
            if session.room() > 0:
                return session
        return None

    def _drawn(self, slot: int, index: int) -> tuple[int, int, str]:
        """How much a slot is drawn to one of the sessions."""
        own, among = self._scores[index]
        return own[slot], among[slot] if among is not None else 0, self.sessions[index].id

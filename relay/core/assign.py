"""Which session a key belongs to, and who is next when that one has no room.

Owns the choice alone: rendezvous hashing over the sessions that can run the job (Thaler and Ravishankar,
1998), so that a session's coming or going moves only the keys it gains or loses. Pure functions and a cache
of their values.
"""

import hashlib
import zlib
from collections.abc import Iterable

from relay.core.session import Session

SLOTS = 4_096
"""Keys are folded into so many slots, so that the order of sessions is reckoned once for each slot."""

_MASK = (1 << 64) - 1


def seed_of(name: str) -> int:
    """64 bits that stand for a minion's name; equal names have equal seeds, in every process."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


def slot_of(key: str) -> int:
    """The slot of a key."""
    return zlib.crc32(key.encode()) % SLOTS


def score(slot: int, seed: int) -> int:
    """How much a slot is drawn to a seed: the finalizer of SplitMix64 over both."""
    mixed = (seed + slot * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)


def rank(slot: int, sessions: Iterable[Session]) -> tuple[Session, ...]:
    """The sessions in the order in which the slot is drawn to them; those of one minion name by their ids."""
    return tuple(
        sorted(
            sessions,
            key=lambda session: (score(slot, session.seed), score(slot, seed_of(session.id))),
            reverse=True,
        )
    )


class Ranking:
    """The order of a fixed set of sessions for each slot, reckoned when first asked for."""

    __slots__ = ("_ranks", "sessions")

    def __init__(self, sessions: Iterable[Session]) -> None:
        self.sessions = tuple(sessions)
        self._ranks: dict[int, tuple[Session, ...]] = {}

    def order(self, slot: int) -> tuple[Session, ...]:
        """All sessions, the home of the slot first."""
        ranked = self._ranks.get(slot)
        if ranked is None:
            ranked = self._ranks[slot] = rank(slot, self.sessions)
        return ranked

    def home(self, slot: int) -> Session | None:
        """The session that the slot belongs to; None if there is none at all."""
        ranked = self.order(slot)
        return ranked[0] if ranked else None

    def choose(self, slot: int) -> Session | None:
        """The first session in the slot's order that has room; None if none has."""
        for session in self.order(slot):
            if session.room() > 0:
                return session
        return None

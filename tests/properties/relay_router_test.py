"""What assignment promises, over random fleets and random traffic."""

from hypothesis import given
from hypothesis import strategies as st

from relay.core.assign import SLOTS, Ranking, rank, seed_of, slot_of
from relay.core.session import Session

NAMES = st.lists(
    st.integers(0, 40).map(lambda number: f"minion-{number}"), min_size=1, max_size=12, unique=True
)
KEYS = st.lists(st.text("abcdef0123456789", min_size=1, max_size=12), min_size=1, max_size=50)


def session(name: str, id: str = "", capacity: int = 10) -> Session:
    """A session that serves the function f of the queue q, and has no credits yet."""
    return Session(id or f"id-{name}", name, frozenset({"q"}), frozenset({"f"}), capacity, seed=seed_of(name))


@given(names=NAMES, keys=KEYS)
def test_a_minions_death_moves_only_its_keys(names: list[str], keys: list[str]) -> None:
    """Without one of the minions, every key that was not its own stays where it was."""
    fleet = [session(name) for name in names]
    dead, alive = fleet[0], fleet[1:]
    before, after = Ranking(fleet), Ranking(alive)
    for key in keys:
        home = before.home(slot_of(key))
        if home is not dead:
            assert after.home(slot_of(key)) is home


@given(names=NAMES, keys=KEYS)
def test_a_minion_that_reconnects_gets_its_keys_back(names: list[str], keys: list[str]) -> None:
    """The home of a key depends on the minions' names, not on their sessions or the order of their coming."""
    first = Ranking([session(name) for name in names])
    again = Ranking([session(name, id=f"other-{name}") for name in reversed(names)])
    for key in keys:
        one, other = first.home(slot_of(key)), again.home(slot_of(key))
        assert one is not None
        assert other is not None
        assert one.minion == other.minion


@given(count=st.integers(1, 6), slot=st.integers(0, SLOTS - 1))
def test_sessions_of_one_name_are_told_apart(count: int, slot: int) -> None:
    """Minions with equal names share the slots by their session ids, always in the same order."""
    fleet = [session("twin", id=f"id-{number}") for number in range(count)]
    assert rank(slot, fleet) == rank(slot, reversed(fleet))
    assert len(set(rank(slot, fleet))) == count


def test_slots_are_spread_over_minions() -> None:
    """Of ten minions none has more than a quarter above, or below, its share of the slots."""
    ranking = Ranking([session(f"minion-{number}") for number in range(10)])
    shares: dict[str, int] = {}
    for slot in range(SLOTS):
        home = ranking.home(slot)
        assert home is not None
        shares[home.minion] = shares.get(home.minion, 0) + 1
    assert len(shares) == 10
    assert all(0.75 * SLOTS / 10 < share < 1.25 * SLOTS / 10 for share in shares.values())


@given(names=NAMES, granted=st.lists(st.integers(0, 2), min_size=12, max_size=12), key=KEYS)
def test_a_key_stays_home_while_there_is_room(names: list[str], granted: list[int], key: list[str]) -> None:
    """The choice is the first in the key's order that has room, so the home if it has any."""
    fleet = [session(name) for name in names]
    for one, credit in zip(fleet, granted, strict=False):
        one.grant(credit)
    ranking = Ranking(fleet)
    chosen = ranking.choose(slot_of(key[0]))
    roomy = [one for one in ranking.order(slot_of(key[0])) if one.room() > 0]
    assert chosen is (roomy[0] if roomy else None)

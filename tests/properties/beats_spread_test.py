"""Heartbeats of very many leases: no second has more than twice the mean, whatever happens to the relay."""

from collections import Counter

import hypothesis.strategies as st
from hypothesis import given, settings

from jobstream.minion.beats import Beats
from schemas.defaults import BEAT_AFTER_MS

TICK_MS = 50
LEASES = 10_000


def beats_per_tick(beats: Beats, since_ms: int, until_ms: int) -> Counter[int]:
    """How many leases beat in each tick."""
    return Counter({now: len(beats.due(now)) for now in range(since_ms, until_ms, TICK_MS)})


def busiest_second(counts: Counter[int]) -> int:
    """The most beats in any 1,000 ms, wherever they begin."""
    ticks = sorted(counts)
    window = 1_000 // TICK_MS
    return max(sum(counts[tick] for tick in ticks[start : start + window]) for start in range(len(ticks)))


def test_ten_thousand_leases_and_a_restart() -> None:
    """10,000 leases that begin in the same moment, and a relay that is gone for 3 s: the busiest second has
    less than twice the mean, and nobody is silent for longer than two intervals.
    """
    beats = Beats()
    for number in range(LEASES):
        beats.add((f"01JB{number:022d}", 1), 1_000, started_ms=0, now_ms=0)
    before = beats_per_tick(beats, 0, 10_000)
    beats.resume(13_000)
    after = beats_per_tick(beats, 13_000, 23_000 + TICK_MS)
    for counts in (before, after):
        assert busiest_second(counts) <= 2 * LEASES
    assert sum(after.values()) == 10 * LEASES
    assert sum(before[tick] for tick in before if tick <= 2 * BEAT_AFTER_MS) == LEASES


@settings(max_examples=20)
@given(
    st.lists(st.integers(0, 10), min_size=1, max_size=6),
    st.lists(st.integers(1, 8_000), max_size=4),
    st.sampled_from([500, 1_000, 5_000]),
    st.integers(0, 10**9),
)
def test_any_bursts_and_restarts(waves: list[int], outages: list[int], interval_ms: int, seed: int) -> None:
    """Leases that come in bursts, with outages between: no second has more than twice the mean of the leases
    that live, plus what chance gives to so few.
    """
    beats = Beats()
    now_ms = 0
    leases = 0
    for wave, outage_ms in zip(waves, [*outages, *[0] * len(waves)], strict=False):
        for _ in range(wave * 50):
            beats.add((f"{seed}-{leases}", 1), interval_ms, now_ms, now_ms)
            leases += 1
        until_ms = now_ms + 6_000
        counts = beats_per_tick(beats, now_ms, until_ms)
        mean = leases * 1_000 / interval_ms
        assert busiest_second(counts) <= 2 * mean + 30
        now_ms = until_ms
        if outage_ms:
            now_ms += outage_ms
            beats.resume(now_ms)


@given(
    st.lists(st.tuples(st.integers(1, 400), st.booleans()), max_size=200),
    st.one_of(st.just(0), st.integers(1_000, 3_000)),
)
def test_no_lease_tells_twice_a_second(steps: list[tuple[int, bool]], interval_ms: int) -> None:
    """However progress and ticks fall: a lease without heartbeats tells changes a second apart, one with
    heartbeats beats at most twice in a second, and a change is told within about a second.
    """
    beats = Beats()
    key = ("job", 1)
    beats.add(key, interval_ms, 0, 0)
    now_ms, changed_ms, sent = 0, None, []
    for step_ms, changes in steps:
        now_ms += step_ms
        if changes:
            beats.changed(key, now_ms)
            changed_ms = now_ms if changed_ms is None else changed_ms
        if beats.due(now_ms):
            sent.append(now_ms)
            assert changed_ms is None or now_ms - changed_ms <= 1_000 + 400
            changed_ms = None
    in_a_second = [sum(at <= other < at + 1_000 for other in sent) for at in sent]
    assert max(in_a_second, default=0) <= (2 if interval_ms else 1)

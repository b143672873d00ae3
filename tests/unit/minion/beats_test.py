"""Which leases beat when: the first beat, the grid, changes, and what follows an outage. In virtual time."""

import itertools

from jobstream.minion.beats import PROGRESS_AFTER_MS, PROGRESS_EVERY_MS, STALE_MAX, Beats, Key, on_grid

KEY: Key = ("job-1", 1)


def beats_of(beats: Beats, since_ms: int, until_ms: int, every_ms: int = 50) -> list[int]:
    """When KEY beats, asked every 50 ms from `since_ms` to before `until_ms`."""
    return [now for now in range(since_ms, until_ms, every_ms) if KEY in beats.due(now)]


def test_the_grid_is_the_jobs_own() -> None:
    """The next time on a grid is after the given one, within an interval, and the same wherever one asks
    from.
    """
    for after_ms in (0, 17, 999, 12_345):
        at_ms = on_grid("job-1", 1_000, after_ms)
        assert after_ms < at_ms <= after_ms + 1_000
        assert at_ms % 1_000 == on_grid("job-1", 1_000, 0) % 1_000
    assert len({on_grid(f"job-{number}", 1_000, 0) for number in range(100)}) > 80


def test_no_beat_in_the_first_second() -> None:
    """An attempt beats once it has run a second, and within an interval from then."""
    beats = Beats()
    beats.add(KEY, 1_000, started_ms=5_000, now_ms=5_000)
    times = beats_of(beats, 5_000, 20_000)
    assert 6_000 < times[0] <= 7_050
    assert {b - a for a, b in itertools.pairwise(times)} == {1_000}


def test_a_dropped_lease_is_silent() -> None:
    """A lease that ended beats no more; one of the same name that begins again beats once per interval."""
    beats = Beats()
    beats.add(KEY, 1_000, 0, 0)
    beats.drop(KEY)
    assert beats_of(beats, 0, 10_000) == []
    assert beats.next_ms() is None
    beats.add(KEY, 1_000, 10_000, 10_000)
    beats.drop(KEY)
    beats.add(KEY, 1_000, 10_000, 10_000)
    assert len(beats_of(beats, 10_000, 22_000)) in (10, 11)
    assert len(beats) == 1


def test_dropped_leases_are_forgotten() -> None:
    """However far apart beats are, about as many times are remembered as there are leases."""
    beats = Beats()
    for number in range(3 * STALE_MAX):
        beats.add((f"job-{number}", 1), 3_600_000, 0, 0)
        beats.drop((f"job-{number}", 1))
    assert len(beats._heap) <= STALE_MAX + 1


def test_dropping_an_unknown_lease_is_nothing() -> None:
    """A lease that never lived long enough to beat may be dropped all the same."""
    Beats().drop(KEY)


def test_a_change_is_told_soon_and_seldom() -> None:
    """A change is told at once, the next not before a second has gone by, however many there are."""
    beats = Beats()
    beats.add(KEY, 0, 0, 0)
    told = []
    for now_ms in range(1_000, 6_000, 10):
        beats.changed(KEY, now_ms)
        if beats.due(now_ms):
            told.append(now_ms)
    assert told == [1_000, 2_000, 3_000, 4_000, 5_000]


def test_a_short_attempt_tells_by_its_receipt() -> None:
    """What changes in the first moments of an attempt waits: most attempts are over by then."""
    beats = Beats()
    beats.add(KEY, 1_000, 0, 0)
    beats.changed(KEY, 10)
    assert beats.next_ms() == PROGRESS_AFTER_MS
    assert beats.due(PROGRESS_AFTER_MS) == [KEY]


def test_a_lease_without_heartbeats_tells_changes_only() -> None:
    """An interval of 0 means no beats, but for changes."""
    beats = Beats()
    beats.add(KEY, 0, 0, 0)
    assert beats_of(beats, 0, 10_000) == []
    beats.changed(KEY, 10_000)
    assert beats_of(beats, 10_000, 20_000) == [10_000]


def test_telling_replaces_beating() -> None:
    """A lease that tells changes every second does not beat besides."""
    beats = Beats()
    beats.add(KEY, 1_000, 0, 0)
    sent = 0
    for now_ms in range(0, 10_000, 50):
        beats.changed(KEY, now_ms)
        sent += len(beats.due(now_ms))
    assert sent == 10


def test_a_beat_on_the_grid_tells_changes_too() -> None:
    """A change that waits for its turn goes with a beat that comes earlier, and is not told again."""
    beats = Beats()
    beats.add(KEY, 30_000, 0, 0)
    grid_ms = beats.next_ms()
    assert grid_ms is not None
    beats.changed(KEY, grid_ms - 30)
    assert beats.due(grid_ms - 30) == [KEY]
    beats.changed(KEY, grid_ms - 20)
    assert beats.due(grid_ms) == []
    assert beats.due(grid_ms - 30 + PROGRESS_EVERY_MS) == [KEY]


def test_an_outage_is_not_made_up_for() -> None:
    """After a new session has begun, every lease beats at its next place on the grid, once."""
    beats = Beats()
    beats.add(KEY, 1_000, 0, 0)
    first = beats_of(beats, 0, 5_000)
    beats.resume(30_000)
    times = beats_of(beats, 30_000, 35_000)
    assert len(times) == 5
    assert times[0] % 1_000 == first[0] % 1_000


def test_a_change_waits_for_the_grid_after_an_outage() -> None:
    """Changes that could not be told meanwhile are spread like beats, whether the lease has heartbeats or
    not.
    """
    beats = Beats()
    beats.add(KEY, 0, 0, 0)
    beats.changed(KEY, 5_000)
    beats.resume(9_000)
    assert beats.next_ms() == on_grid("job-1", PROGRESS_EVERY_MS, 9_000)


def test_a_stall_costs_one_beat() -> None:
    """If nobody asks for seconds, each lease beats once when somebody does, and then keeps to its grid."""
    beats = Beats()
    beats.add(KEY, 1_000, 0, 0)
    assert beats.due(10_000) == [KEY]
    assert len(beats_of(beats, 10_050, 15_050)) in (4, 5)

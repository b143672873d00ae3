"""Backoff: the curves as tables with their arithmetic, and the jitter."""

from statistics import mean

import pytest

from streams.core.retry import curve_ms, delay_ms, lot
from tests.life import spec


@pytest.mark.parametrize(
    ("kind", "initial_ms", "factor", "cap_ms", "delays_ms"),
    [
        # the delay after failure   1      2          3             4              5              6
        ("constant", 500, 9.0, 10**6, [500, 500, 500, 500, 500, 500]),
        ("linear", 500, 9.0, 10**6, [500, 2 * 500, 3 * 500, 4 * 500, 5 * 500, 6 * 500]),
        ("exponential", 500, 2.0, 10**6, [500, 500 * 2, 500 * 4, 500 * 8, 500 * 16, 500 * 32]),
        ("exponential", 500, 1.5, 10**6, [500, 750, 1_125, 1_687.5, 2_531.25, 3_796.875]),
        ("polynomial", 500, 2.0, 10**6, [500, 500 * 4, 500 * 9, 500 * 16, 500 * 25, 500 * 36]),
        ("polynomial", 500, 4.0, 10**6, [500, 500 * 16, 500 * 81, 500 * 256, 500 * 625, 500 * 1_296]),
        # the cap
        ("exponential", 500, 2.0, 3_000, [500, 1_000, 2_000, 3_000, 3_000, 3_000]),
        ("linear", 500, 1.0, 1_200, [500, 1_000, 1_200, 1_200, 1_200, 1_200]),
        ("constant", 500, 1.0, 100, [100, 100, 100, 100, 100, 100]),
    ],
)
def test_the_curves_without_jitter(
    kind: str, initial_ms: int, factor: float, cap_ms: int, delays_ms: list[float]
) -> None:
    """Each curve is its formula, bounded by the cap."""
    policy = spec(
        retry_kind=kind,
        retry_initial_ms=initial_ms,
        retry_factor=factor,
        retry_cap_ms=cap_ms,
        retry_jitter=0.0,
    )
    assert [curve_ms(policy, failures) for failures in range(1, 7)] == delays_ms
    assert [delay_ms(policy, failures=n, attempt=n) for n in range(1, 7)] == [round(ms) for ms in delays_ms]


def test_a_curve_beyond_all_numbers_is_its_cap() -> None:
    """The thousandth failure of the steepest curve is no overflow."""
    for kind in ("exponential", "polynomial"):
        policy = spec(retry_kind=kind, retry_factor=100.0, retry_cap_ms=5_000)
        assert curve_ms(policy, 1_000) == 5_000


def test_a_curve_that_does_not_exist_is_an_error() -> None:
    """Admission lets none through, so it is a fault of ours."""
    with pytest.raises(ValueError, match=r"retry_kind must be one of constant, .*, got 'square'"):
        curve_ms(spec(retry_kind="square"), 1)


def test_the_jitter_is_the_same_for_the_same_attempt_of_a_job() -> None:
    """A replay gives the same delay; another job or attempt another."""
    assert lot("job-1", 1) == lot("job-1", 1)
    assert len({lot(job, attempt) for job in ("a", "b", "c") for attempt in range(100)}) == 300


def test_the_jitter_spreads_evenly_over_its_share() -> None:
    """Delays lie within the share of the curve on both sides, and on average on it."""
    policies = [spec(id=f"job-{n}", retry_kind="constant", retry_jitter=0.1) for n in range(2_000)]
    delays = [delay_ms(policy, failures=1, attempt=1) for policy in policies]
    assert 900 <= min(delays) < 905
    assert 1_095 < max(delays) <= 1_100
    assert mean(delays) == pytest.approx(1_000, abs=5)


def test_a_retry_always_lies_ahead() -> None:
    """Full jitter on the shortest delay still waits a millisecond."""
    policies = [spec(id=f"job-{n}", retry_initial_ms=1, retry_jitter=1.0) for n in range(100)]
    assert {delay_ms(policy, failures=1, attempt=1) for policy in policies} == {1, 2}

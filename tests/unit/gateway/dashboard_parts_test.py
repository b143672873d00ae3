"""The pure parts of the dashboard: what is counted, how it is told and drawn; and the shared look."""

import asyncio
import xml.etree.ElementTree as ET
from contextlib import aclosing
from typing import Any

import pytest

from relay.doors.dashboard import draw, words
from relay.doors.dashboard.live import Live
from relay.doors.dashboard.pulse import BIN_S, BINS, FAILURES_MAX, WINDOW_S, Pulse
from relay.doors.http.problem import Problem
from schemas.events import Fact
from schemas.times import format_time
from tests.fakes.gateway import Gateway
from tests.waiting import eventually_async

NOW_MS = 1_800_000_000_000
NOW_S = NOW_MS // 1_000


def fact(kind: str, at_ms: int = NOW_MS, **fields: Any) -> Fact:
    """A fact about a job of the queue mail."""
    given = {"job": "j", "key": "k", "partition": 0, "queue": "mail", "function": "mail.send", **fields}
    return Fact(fact=kind, at_ms=at_ms, **given)


def everybody(_: str | None) -> bool:
    """Sees all queues."""
    return True


def test_rates_are_of_the_last_whole_seconds() -> None:
    """Ten of them; the one that goes on is not counted, nor what is older."""
    pulse = Pulse()
    for back_s in (0, 1, 10, 11):
        pulse.take(fact("succeeded", NOW_MS - back_s * 1_000, run_ms=back_s, queued_ms=1))
    assert pulse.queues["mail"].rates(NOW_S)["succeeded"] == 0.2
    assert pulse.queues["mail"].percentiles(NOW_MS) == {
        "wait_p50_ms": 1,
        "wait_p95_ms": 1,
        "run_p50_ms": 1,
        "run_p95_ms": 10,
    }
    bars = pulse.total(everybody).bars(NOW_S)["succeeded"]
    assert (len(bars), sum(bars), bars[-1], bars[-3:]) == (BINS, 3, 1, [1, 1, 1])


def test_partitions_come_mixed_and_the_latest_failure_counts() -> None:
    """Whatever the order in which facts are read."""
    pulse = Pulse()
    for job, at_ms in (("new", NOW_MS), ("old", NOW_MS - 60_000), ("older", NOW_MS - 90_000)):
        pulse.take(fact("failed", at_ms, job=job, error_type="E", error_message=job))
    (told,) = pulse.errors(everybody)
    assert (told["count"], told["job"], told["error_message"]) == (3, "new", "new")
    pulse.take(fact("succeeded", job="old"))
    assert pulse.errors(everybody)[0]["count"] == 2
    assert pulse.errors(lambda _: False) == []


def test_what_left_the_window_is_forgotten() -> None:
    """Counts, and failures beyond their number."""
    pulse = Pulse()
    for number in range(FAILURES_MAX + 10):
        pulse.take(fact("died", job=f"j{number}", error_type="E"))
    assert len(pulse.failures) == FAILURES_MAX
    pulse.forget(NOW_MS + (WINDOW_S + 2 * BIN_S) * 1_000)
    assert not pulse.failures
    assert not pulse.queues["mail"].seconds
    pulse.take(fact("schedule_fired", function=None, queue=None))
    assert list(pulse.queues) == ["mail"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (words.took(None), "–"),  # noqa: RUF001  # our dash
        (words.took(7), "7 ms"),
        (words.took(1_250), "1.25 s"),
        (words.took(59_960), "60.0 s"),
        (words.took(200_000), "3m 20s"),
        (words.took(90_000_000), "1d 1h"),
        (words.count(1_234_567), "1,234,567"),
        (words.count(12_345_678), "12.3 M"),
        (words.rate(0.25), "0.2"),
        (words.rate(1_234.5), "1,234"),
        (words.ago(format_time(NOW_MS - 3_200), format_time(NOW_MS)), "3 s ago"),
        (words.ago(format_time(NOW_MS + 302_000), format_time(NOW_MS)), "in 5m 2s"),
        (words.clock(format_time(NOW_MS), format_time(NOW_MS)), "08:00:00"),
        (words.percent(3, 0), None),
        (words.percent(30, 20), 100),
        (words.plain("a\x1b\u202eb\n\ue000"), "a\\u001b\\u202eb\n\\ue000"),
        (words.size(3_200), "3.1 KiB"),
    ],
)
def test_numbers_are_told_for_people(told: Any, expected: Any) -> None:
    """Short, with their unit; what can't be told is a dash."""
    assert told == expected


def test_pictures_are_sound_whatever_they_show() -> None:
    """Well-formed; names of minions are text; nothing of nothing divides by zero."""
    job: dict[str, Any] = {"created_at": format_time(NOW_MS), "now": format_time(NOW_MS), "ended_at": None}
    assert ET.fromstring(draw.timeline({**job, "attempts": []})) is not None  # noqa: S314  # our own
    attempt = {
        "attempt": 1,
        "outcome": '"><script>',
        "minion": "<b>",
        "dispatched_at": format_time(NOW_MS - 5_000),  # before it was asked for: clocks differ
        "assigned_at": format_time(NOW_MS),
        "started_at": None,
        "ended_at": format_time(NOW_MS),
    }
    drawn = draw.timeline({**job, "attempts": [attempt, {**attempt, "outcome": None, "ended_at": None}]})
    tree = ET.fromstring(drawn)  # noqa: S314  # our own
    titles = " ".join(each.text or "" for each in tree.iter("title"))
    assert "<script>" in titles
    assert "<script" not in drawn
    bars = dict.fromkeys(("admitted", "succeeded", "failed", "died"), [0] * BINS)
    for picture in (draw.chart(bars, BIN_S), draw.spark([0], [0], "a & b")):
        assert ET.fromstring(picture) is not None  # noqa: S314  # our own


async def test_workers_are_asked_once_however_many_look() -> None:
    """Fifty listeners share a look; with the last of them it ends."""
    gateway = Gateway(now_ms=NOW_MS)
    asked = [0]
    counts = gateway.pages.counts

    async def counted() -> dict[str, Any]:
        asked[0] += 1
        return await counts()

    gateway.pages.counts = counted  # type: ignore[method-assign]
    live = Live(gateway.pages, gateway.outlook)
    live.look_s = 0.05
    beats = [0] * 50

    async def listen(place: int) -> None:
        async with aclosing(live.beats()) as coming:
            async for _ in coming:
                beats[place] += 1
                if beats[place] == 5:
                    return

    async with asyncio.timeout(30):
        await asyncio.gather(*map(listen, range(50)))
    assert live.listeners == 0
    assert asked[0] <= 25, "each for itself would be 250"
    await live.__aexit__()


async def test_a_gateway_has_so_many_live_pages() -> None:
    """One more is told so, and may ask again later."""
    gateway = Gateway(now_ms=NOW_MS)
    gateway.live.listeners = 300
    with pytest.raises(Problem, match="at most 300 live pages"):
        await anext(gateway.live.beats())
    assert (await gateway.http.get("/dashboard/live?at=/dashboard/")).status_code == 503


async def test_a_look_that_fails_is_not_the_last_one() -> None:
    """What somebody answers that cannot be read is told in the log, and open pages go on after it."""
    gateway = Gateway(now_ms=NOW_MS)
    counts = gateway.pages.counts
    asked = [0]

    async def broken_once() -> dict[str, Any]:
        asked[0] += 1
        return {} if asked[0] == 1 else await counts()

    gateway.pages.counts = broken_once  # type: ignore[method-assign]
    live = Live(gateway.pages, gateway.outlook)
    live.look_s = 0.01
    async with asyncio.timeout(30), aclosing(live.beats()) as coming:
        await anext(coming)
    await live.__aexit__()


async def test_a_page_about_a_job_hears_of_its_facts() -> None:
    """And of nobody else's."""
    gateway = Gateway(now_ms=NOW_MS)
    live = Live(gateway.pages, gateway.outlook)
    live.look_s = 0.02
    heard: list[bool] = []

    async def listen() -> None:
        async with aclosing(live.beats("mine")) as coming:
            async for touched in coming:
                heard.append(touched)  # noqa: PERF401  # as they come

    task = asyncio.create_task(listen())
    await eventually_async(lambda: _holds(len(heard) > 1), timeout_s=20)
    assert not any(heard)
    await gateway.ask("POST", "/job", {"function": "f", "id": "mine"})
    await eventually_async(lambda: _holds(any(heard)), timeout_s=20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await live.__aexit__()


async def _holds(found: bool) -> bool:  # noqa: FBT001  # is what is asked
    return found

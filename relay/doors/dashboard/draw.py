"""Pictures drawn on the server: sparklines, the chart of what was done, the timeline of a job. Pure.

SVG without styles, scripts or links to elsewhere: colours come by class from the style sheet, so that light
and dark are its business. Each has a title that says in words what it shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from relay.doors.dashboard.words import clock, plain, rate, took
from schemas.times import parse_time

SPARK_WIDTH, SPARK_HEIGHT = 120, 22
CHART_WIDTH, CHART_HEIGHT, CHART_LEFT, CHART_BOTTOM = 1000, 160, 40, 18
LINE_WIDTH, LINE_LEFT, LINE_ROW, LINE_TOP = 1000, 80, 28, 10
TICKS = 4
ATTEMPTS_MAX = 40
"""Attempts that are drawn: the latest."""
BAR_MIN = 5.0
"""What is shorter than a pixel or two is seen all the same."""


def spark(done: Sequence[int], failed: Sequence[int], words: str) -> Markup:
    """Bars for a row of a table: what was done, and on top what failed."""
    most = max((a + b for a, b in zip(done, failed, strict=True)), default=0) or 1
    wide = SPARK_WIDTH / len(done)
    parts = []
    for place, (good, bad) in enumerate(zip(done, failed, strict=True)):
        x, high, low = place * wide, good * SPARK_HEIGHT / most, bad * SPARK_HEIGHT / most
        if good:
            parts.append(_rect(x, SPARK_HEIGHT - high, wide - 0.6, high, "done"))
        if bad:
            parts.append(_rect(x, SPARK_HEIGHT - high - low, wide - 0.6, low, "failed"))
    return _svg("spark", SPARK_WIDTH, SPARK_HEIGHT, words, parts)


def chart(bars: Mapping[str, Sequence[int]], bin_s: int) -> Markup:
    """Jobs per second over the window: done and failed as bars, those asked for as a line."""
    done, failed, asked = bars["succeeded"], bars["failed"], bars["admitted"]
    most = max(*(a + b for a, b in zip(done, failed, strict=True)), *asked, 1) / bin_s
    top = _round_up(most)
    wide, high = (CHART_WIDTH - CHART_LEFT) / len(done), CHART_HEIGHT - CHART_BOTTOM - 8
    base = CHART_HEIGHT - CHART_BOTTOM
    parts = []
    for tick in range(TICKS + 1):
        y = base - high * tick / TICKS
        parts.append(_line(CHART_LEFT, y, CHART_WIDTH, y, "grid"))
        if tick % 2 == 0:
            parts.append(_text(CHART_LEFT - 6, y + 4, rate(top * tick / TICKS), "axis end"))
    points = []
    for place, (good, bad, new) in enumerate(zip(done, failed, asked, strict=True)):
        x = CHART_LEFT + place * wide
        up, more = (number / bin_s / top * high for number in (good, bad))
        parts.append(_rect(x + 0.5, base - up, wide - 1, up, "done"))
        parts.append(_rect(x + 0.5, base - up - more, wide - 1, more, "failed"))
        points.append(f"{x + wide / 2:.1f},{base - new / bin_s / top * high:.1f}")
    parts.append(f'<polyline class="asked" points="{" ".join(points)}"/>')
    window_s = len(done) * bin_s
    for back_s in range(0, window_s + 1, window_s // 5):
        x = CHART_WIDTH - back_s / bin_s * wide
        words = "now" if back_s == 0 else f"-{back_s // 60} min"
        anchor = "end" if back_s == 0 else "start" if back_s == window_s else "middle"
        parts.append(_text(x, CHART_HEIGHT - 4, words, f"axis {anchor}"))
    return _svg("chart", CHART_WIDTH, CHART_HEIGHT, "Jobs per second over the last minutes", parts)


def timeline(job: dict[str, Any]) -> Markup:
    """The life of a job: from its request on, a row for each attempt: how it waited, how it ran."""
    attempts = job["attempts"][-ATTEMPTS_MAX:]
    began_ms, now_ms = parse_time(job["created_at"]), parse_time(job["now"])
    times = [
        parse_time(each[name])
        for each in attempts
        for name in ("dispatched_at", "assigned_at", "started_at", "ended_at")
        if each[name] is not None
    ]
    ended = job["ended_at"]
    until_ms = parse_time(ended) if ended is not None else max([now_ms, *times])
    until_ms = max(until_ms, began_ms + 1, *times) if times else max(until_ms, began_ms + 1)
    scale = (LINE_WIDTH - LINE_LEFT - 8) / (until_ms - began_ms)
    high = LINE_TOP + LINE_ROW * max(1, len(attempts)) + 20

    def at(time_ms: int) -> float:
        return LINE_LEFT + (max(time_ms, began_ms) - began_ms) * scale

    parts = []
    for tick in range(TICKS + 1):
        time_ms = began_ms + (until_ms - began_ms) * tick // TICKS
        x = at(time_ms)
        parts.append(_line(x, LINE_TOP - 6, x, high - 18, "grid"))
        place = "start" if tick == 0 else "end" if tick == TICKS else "middle"
        words = clock(job["created_at"], job["now"]) if tick == 0 else f"+{took(time_ms - began_ms)}"
        parts.append(_text(x, high - 4, words, f"axis {place}"))
    if not attempts:
        parts.append(_rect(at(began_ms), LINE_TOP + 5, at(until_ms) - at(began_ms), 12, "wait"))
        parts.append(_text(LINE_LEFT - 8, LINE_TOP + 15, "waiting", "label end"))
    for row, (before, each) in enumerate(zip([None, *attempts], attempts, strict=False)):
        if before is not None and before["ended_at"] and each["dispatched_at"]:
            y = LINE_TOP + row * LINE_ROW + 11
            parts.append(
                _line(
                    at(parse_time(before["ended_at"])), y, at(parse_time(each["dispatched_at"])), y, "pause"
                )
            )
        parts += _attempt(each, LINE_TOP + row * LINE_ROW, at, until_ms)
    words = f"Timeline of {len(attempts)} attempts over {took(until_ms - began_ms)}"
    return _svg("timeline", LINE_WIDTH, high, words, parts)


def _attempt(each: dict[str, Any], y: float, at: Any, until_ms: int) -> list[str]:
    """One row: a thin bar for the wait, a full one for the run, its end at the right of it."""
    sent, given, began, ended = (
        None if each[name] is None else parse_time(each[name])
        for name in ("dispatched_at", "assigned_at", "started_at", "ended_at")
    )
    parts = [_text(LINE_LEFT - 8, y + 15, f"attempt {each['attempt']}", "label end")]
    runs = began if began is not None else given
    if sent is not None:
        waited_until = runs if runs is not None else ended if ended is not None else until_ms
        title = f"waited {took(waited_until - sent)} for a minion"
        parts.append(_rect(at(sent), y + 9, max(at(waited_until) - at(sent), 1), 4, "wait", title))
    outcome = each["outcome"] or ("running" if runs is not None else "waiting")
    if runs is not None:
        over = ended if ended is not None else until_ms
        title = f"{outcome} after {took(over - runs)} at {each['minion'] or 'a minion'}"
        wide = max(at(over) - at(runs), BAR_MIN)
        parts.append(_rect(at(runs), y + 4, wide, 14, f"bar {_class(outcome)}", title, 3))
    return parts


def _class(outcome: str) -> str:
    return outcome if outcome.isascii() and outcome.isalpha() else "other"


def _svg(kind: str, wide: float, high: float, words: str, parts: Sequence[str]) -> Markup:
    """A picture with its words; everything in `parts` is ours or escaped."""
    head = f'<svg class="{kind}" viewBox="0 0 {wide:g} {high:g}" role="img" aria-label="{escape(words)}"'
    keep = ' preserveAspectRatio="none"' if kind == "spark" else ""
    return Markup(f"{head}{keep}>{''.join(parts)}</svg>")  # noqa: S704  # of our own parts and escaped words


def _rect(x: float, y: float, wide: float, high: float, kind: str, title: str = "", round_: int = 0) -> str:
    size = f'x="{x:.1f}" y="{y:.1f}" width="{max(wide, 0):.1f}" height="{max(high, 0):.1f}"'
    told = f"<title>{escape(plain(title))}</title>" if title else ""
    corner = f' rx="{round_}"' if round_ else ""
    return f'<rect class="{kind}" {size}{corner}>{told}</rect>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(plain(words))}</text>'


def _round_up(number: float) -> float:
    """The next number that reads well on an axis."""
    ten = 1.0
    while ten * 10 <= number:
        ten *= 10
    while ten > number:
        ten /= 10
    return next((step * ten for step in (1, 2, 4, 5, 10) if step * ten >= number), 10 * ten)

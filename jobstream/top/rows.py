"""What the tables of the terminal view say: an overview to rows of text. Pure.

A row is a key, which stays while what it stands for does, and its cells.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text

if TYPE_CHECKING:
    from types import ModuleType

Answer = Mapping[str, Any]

COLOURS = {
    "scheduled": "medium_purple1",
    "ready": "dodger_blue2",
    "leased": "cyan",
    "succeeded": "green3",
    "retrying": "gold3",
    "dead": "red1",
    "cancelled": "grey62",
    "expired": "tan",
}
"""Of phases; the same roles as in the dashboard."""

BLOCKS = " ▁▂▃▄▅▆▇█"
SPARK_BINS = 24
"""Bars of a row: the latest two minutes."""


class Row(NamedTuple):
    """A line of a table, and what it leads to."""

    key: str
    cells: tuple[Text, ...]
    leads_to: Mapping[str, str]
    """A query for jobs, or `job` and `key` of one."""


class Table(NamedTuple):
    """A tab of the view."""

    name: str
    columns: tuple[str, ...]
    rows: Callable[["ModuleType", Answer], Iterable[Row]]


def number(words: "ModuleType", found: float | None, colour: str = "", *, rate: bool = False) -> Text:
    """A number at the right; zero is grey, what can't be told a dash."""
    text = words.rate(found) if rate else words.count(found)
    return Text(text, style="grey50" if not found else colour, justify="right")


def spark(done: list[int], failed: list[int]) -> Text:
    """Bars in one line; red where something failed."""
    lately = list(zip(done, failed, strict=True))[-SPARK_BINS:]
    most = max((a + b for a, b in lately), default=0) or 1
    text = Text()
    for good, bad in lately:
        high = (good + bad) * (len(BLOCKS) - 1)
        text.append(BLOCKS[-(-high // most)], style="red1" if bad else "green3")
    return text


def pair(words: "ModuleType", low: float | None, high: float | None) -> Text:
    """Two percentiles."""
    if low is None:
        return Text(words.NONE, style="grey50", justify="right")
    return Text(f"{words.took(low)} · {words.took(high)}", justify="right")


def _queues(words: "ModuleType", told: Answer) -> Iterable[Row]:
    for each in told["queues"]:
        held = each["phases"] or {}
        name = Text(each["queue"])
        if each["paused"]:
            name.append(" paused", style="gold3")
        phases = (number(words, held.get(phase), COLOURS[phase]) for phase in _SHOWN)
        yield Row(each["queue"], (name, *phases, *_lately(words, each)), {"queue": each["queue"]})


def _functions(words: "ModuleType", told: Answer) -> Iterable[Row]:
    for each in told["functions"]:
        cells = (
            Text(each["function"]),
            Text(each["queue"], style="grey62"),
            number(words, each["waiting"], COLOURS["ready"]),
            number(words, each["running"], COLOURS["leased"]),
            *_lately(words, each),
        )
        query = {"function": each["function"], "queue": each["queue"]}
        yield Row(f"{each['queue']}/{each['function']}", cells, query)


def _minions(words: "ModuleType", told: Answer) -> Iterable[Row]:
    for each in told["minions"]:
        quiet = {"ready": "green3", "draining": "gold3"}.get(each["phase"], "red1")
        cells = (
            Text(words.plain(each["minion"])),
            Text(each["phase"], style=quiet),
            number(words, each["leases"], COLOURS["leased"]),
            number(words, each["capacity"]),
            number(words, each["credits"]),
            Text(words.took(each["heard_ms"]), justify="right"),
            Text(", ".join(each["queues"])),
            Text(words.plain(each["sdk"]), style="grey62"),
            Text(each["relay"], style="grey62"),
        )
        yield Row(f"{each['relay']}/{each['session']}", cells, {})


def _failing(words: "ModuleType", told: Answer) -> Iterable[Row]:
    for each in told["errors"]:
        cells = (
            Text(f"{each['count']} x", justify="right"),
            Text(words.plain(each["error_type"]), style="red1"),
            Text(each["function"]),
            Text(words.ago(each["at"], told["now"]), style="grey62", justify="right"),
            Text(words.plain(each["error_message"]).replace("\n", " ")[:160]),
        )
        key = f"{each['queue']}/{each['function']}/{each['error_type']}"
        yield Row(key, cells, {"job": each["job"], "key": each["key"]})


def _lately(words: "ModuleType", each: Answer) -> tuple[Text, ...]:
    return (
        number(words, each["in_per_s"], rate=True),
        number(words, each["done_per_s"], "green3", rate=True),
        number(words, each["failed_per_s"], "red1", rate=True),
        pair(words, each["wait_p50_ms"], each["wait_p95_ms"]),
        pair(words, each["run_p50_ms"], each["run_p95_ms"]),
        spark(each["bars"]["succeeded"], each["bars"]["failed"]),
    )


def of_job(words: "ModuleType", job: Answer, now: str) -> Row:
    """A line of a list of jobs."""
    how = job["waiting_for"] or job["located"] or job["error_message"] or job["end_reason"] or ""
    cells = (
        Text(job["phase"], style=COLOURS.get(job["phase"], "")),
        Text(job["function"]),
        Text(words.plain(job["id"])),
        number(words, job["attempt"]),
        Text(words.ago(job["created_at"], now), style="grey62", justify="right"),
        Text(words.plain(how).replace("\n", " ")[:160]),
    )
    return Row(f"{job['key']}/{job['id']}", cells, {"job": job["id"], "key": job["key"]})


_SHOWN = ("ready", "leased", "retrying", "dead")
_LATELY = ("In/s", "Done/s", "Failed/s", "Start p50 · p95", "Run p50 · p95", "Lately")
JOB_COLUMNS = ("Phase", "Function", "Job", "Attempt", "Asked", "How it stands")

TABLES = (
    Table("Queues", ("Queue", "Waiting", "Running", "Retrying", "Dead", *_LATELY), _queues),
    Table("Functions", ("Function", "Queue", "Waiting", "Running", *_LATELY), _functions),
    Table(
        "Minions",
        ("Minion", "State", "Leases", "Capacity", "Credits", "Heard", "Queues", "Version", "Relay"),
        _minions,
    ),
    Table("Failing", ("Count", "Error", "Function", "Last", "Message"), _failing),
)

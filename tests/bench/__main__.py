"""`make bench`: measures on this machine, shows a table, and adds JSON lines to `build/bench.jsonl`.

Owns the list of benchmarks, what is shown, and the end. A benchmark that fails is told, and the others go on.
What was measured is kept even when Ctrl-C ends the rest.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench import agents, jobs, latency, minions, timers
from tests.bench.figures import FILE, Figure, Say, append, surroundings

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130
RUNS: Final = 3
WHOLE_FROM: Final = 100
"""Figures as large as this are shown without decimals."""


@dataclass(frozen=True)
class Benchmark:
    """Figures that one measurement gives together."""

    names: tuple[str, ...]
    measure: Callable[[int, Say], Awaitable[list[Figure]]]


BENCHMARKS: Final = (
    Benchmark(("jobs_per_s", "cpu_us_per_job", "librdkafka_produce_per_s"), jobs.measure),
    Benchmark(
        ("submit_to_start_ms_p50", "submit_to_start_ms_p99", "kafka_hop_ms_p50", "kafka_hop_ms_p99"),
        latency.measure,
    ),
    Benchmark(("timer_lateness_ms_p50", "timer_lateness_ms_p99"), timers.measure),
    Benchmark(
        (
            "agent_events_per_s",
            "agent_events_per_s_stock",
            "agent_cpu_us_per_event",
            "agent_cpu_us_per_event_stock",
        ),
        agents.measure,
    ),
    Benchmark(("minion_jobs_per_s", "minion_cpu_us_per_job"), minions.measure),
)
NAMES: Final = tuple(name for benchmark in BENCHMARKS for name in benchmark.names)


def main() -> int:
    """Runs what was chosen; 0 if all of it could be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=NAMES, default=NAMES, help=f"of {', '.join(NAMES)}"
    )
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help=f"of each [{RUNS}]")
    given = parser.parse_args()
    if given.runs < 1:
        parser.error(f"--runs must be 1 or more, got {given.runs}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(stderr=True)
    chosen = [each for each in BENCHMARKS if set(each.names) & set(given.only)]
    table = _table()
    try:
        failed = [each for each in chosen if not _run(each, given.runs, console, table)]
    except KeyboardInterrupt:
        console.print("stopped; what was measured before is kept")
        _show(table)
        return EXIT_INTERRUPTED
    _show(table)
    return EXIT_FAILED if failed else 0


def _run(benchmark: Benchmark, runs: int, console: Console, table: Table) -> bool:
    """Measures, writes and shows one benchmark; False if it failed."""
    around, load_1m = surroundings(), os.getloadavg()[0]
    title = benchmark.names[0]
    with console.status(title) as status:
        try:
            figures = asyncio.run(
                _measured(benchmark, runs, lambda what: status.update(f"{title}: {what} ..."))
            )
        except Exception as error:  # noqa: BLE001  # told, and the others go on
            console.print(f"[red]{title} failed: {type(error).__name__}: {error}", soft_wrap=True)
            return False
    names = tuple(each.name for each in figures)
    assert names == benchmark.names, f"{title} must give the figures it is listed with, got {names}"
    append(figures, around, load_1m)
    _add(table, figures)
    for each in figures:
        console.print(f"{each.name}: {_number(each.median)} {each.unit}", highlight=False)
    return True


async def _measured(benchmark: Benchmark, runs: int, say: Say) -> list[Figure]:
    """The figures; in a coroutine, since asyncio.run wants one."""
    return await benchmark.measure(runs, say)


def _table() -> Table:
    table = Table(title="others: CPU that went elsewhere")
    for column in ("figure", "unit"):
        table.add_column(column, no_wrap=True)
    for column in ("median", "min", "max", "others"):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _add(table: Table, figures: Sequence[Figure]) -> None:
    for each in figures:
        others = each.more.get("others_cpu_percent")
        table.add_row(
            each.name,
            each.unit,
            *map(_number, (each.median, min(each.values), max(each.values))),
            f"{max(others):.0f} %" if others else "",
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:.2f}"


def _show(table: Table) -> None:
    if table.row_count:
        Console().print(table)
        print(f"added to {FILE}")


if __name__ == "__main__":
    sys.exit(main())

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

from tests.bench import (
    agents,
    calls,
    gearman,
    jobs,
    kills,
    lanes,
    latency,
    listing,
    minions,
    peers,
    pending,
    relay,
    schedules,
    timers,
)
from tests.bench.figures import FILE, Figure, Say, Unavailable, append, over, surroundings

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
    Benchmark(schedules.names("schedule"), schedules.spread),
    Benchmark(schedules.names("schedule_burst"), schedules.burst),
    Benchmark(pending.NAMES, pending.measure),
    Benchmark(relay.NAMES, relay.measure),
    Benchmark(relay.MEMORY_NAMES, relay.measure_memory),
    Benchmark(kills.NAMES, kills.measure),
    Benchmark(lanes.NAMES, lanes.measure),
    Benchmark(lanes.AHEAD_NAMES, lanes.measure_ahead),
    Benchmark(lanes.RELAY_NAMES, lanes.relay_alone),
    Benchmark(listing.NAMES, listing.measure),
    Benchmark(agents.NAMES, agents.measure),
    Benchmark(gearman.NAMES, gearman.measure),
    Benchmark(calls.NAMES, calls.measure),
    Benchmark(("minion_jobs_per_s", "minion_cpu_us_per_job"), minions.measure),
    *(
        Benchmark(
            (
                f"{peer}_jobs_per_s",
                f"{peer}_cpu_us_per_job",
                f"{peer}_submit_to_start_ms_p50",
                f"{peer}_submit_to_start_ms_p99",
            ),
            peers.measures(peer),
        )
        for peer in ("celery", "dramatiq")
    ),
)
RATIOS: Final = (
    ("gearman_calls_per_s", "gearmand_calls_per_s"),
    ("call_ms_p50", "grpc_ping_ms_p50"),
    ("call_ms_p99", "grpc_ping_ms_p99"),
    ("gearman_call_us_p50", "gearmand_call_us_p50"),
    ("gearman_background_per_s", "gearmand_background_sqlite_per_s"),
    ("relay_push_per_s", "grpc_push_per_s"),
    ("relay_receipts_per_s", "grpc_receipts_per_s"),
    ("agent_events_per_s", "agent_events_per_s_stock"),
    ("jobs_per_s", "celery_jobs_per_s"),
    ("jobs_per_s", "dramatiq_jobs_per_s"),
)
"""Of figures that were measured in one run, one over the other."""
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
    chosen = [each for each in BENCHMARKS if set(each.names) & set(given.only)]
    report = Report()
    try:
        failed = [each for each in chosen if not _run(each, given.runs, report)]
    except KeyboardInterrupt:
        report.console.print("stopped; what was measured before is kept")
        return EXIT_INTERRUPTED
    finally:
        report.show()
    return EXIT_FAILED if failed else 0


def _run(benchmark: Benchmark, runs: int, report: "Report") -> bool:
    """Measures, writes and shows one benchmark; False if it failed."""
    around, load_1m = surroundings(), os.getloadavg()[0]
    title = benchmark.names[0]
    with report.console.status(title) as status:
        try:
            figures = asyncio.run(
                _measured(benchmark, runs, lambda what: status.update(f"{title}: {what} ..."))
            )
        except Unavailable as missing:
            report.console.print(f"[yellow]{title} skipped: {missing}", soft_wrap=True)
            return True
        except Exception as error:  # noqa: BLE001  # told, and the others go on
            report.console.print(f"[red]{title} failed: {type(error).__name__}: {error}", soft_wrap=True)
            return False
    names = tuple(each.name for each in figures)
    assert names == benchmark.names, f"{title} must give the figures it is listed with, got {names}"
    figures += report.ratios(figures)
    append(figures, around, load_1m)
    report.add(figures)
    return True


async def _measured(benchmark: Benchmark, runs: int, say: Say) -> list[Figure]:
    """The figures; in a coroutine, since asyncio.run wants one."""
    return await benchmark.measure(runs, say)


class Report:
    """What this run has found so far, shown as it comes and as a table at the end."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._figures: dict[str, Figure] = {}

    def ratios(self, figures: Sequence[Figure]) -> list[Figure]:
        """The ratios that can be told now that these figures are there too."""
        known = {**self._figures, **{each.name: each for each in figures}}
        return [
            over(known[name], known[other])
            for name, other in RATIOS
            if name in known and other in known and {name, other} - self._figures.keys()
        ]

    def add(self, figures: Sequence[Figure]) -> None:
        """Takes figures, and tells their medians."""
        for each in figures:
            self._figures[each.name] = each
            self.console.print(f"{each.name}: {_number(each.median)} {each.unit}", highlight=False)

    def show(self) -> None:
        """The table, if there is anything in it."""
        if not self._figures:
            return
        table = Table(title="others: CPU that went elsewhere")
        for column in ("figure", "unit"):
            table.add_column(column, no_wrap=True)
        for column in ("median", "min", "max", "others"):
            table.add_column(column, justify="right", no_wrap=True)
        for each in self._figures.values():
            others = each.more.get("others_cpu_percent")
            shown = map(_number, (each.median, min(each.values), max(each.values)))
            table.add_row(each.name, each.unit, *shown, f"{max(others):.0f} %" if others else "")
        Console().print(table)
        print(f"added to {FILE}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())

"""What the demo prints at its end: what became of the jobs, and what the library measures, both ways.

Pure: makes tables and lines of what it is given, and must print nothing itself.
"""

from collections import defaultdict
from collections.abc import Mapping

from rich.table import Table

from jobstream.demo.measure import Measure
from jobstream.demo.tally import Tally, percentile
from schemas.words import FactKind, Phase

PACKAGES_SHOWN = 8


def outcome(tally: Tally, per_second: float, idle_ms: list[int]) -> Table:
    """Return the table of what happened.

    Args:
        tally: All facts.
        per_second: Files measured per second, from submit to the end of the last.
        idle_ms: Waits from submit to start of jobs that were submitted one by one to an idle system.
    """
    table = Table(title="What happened", show_header=False, title_justify="left")
    phases = tally.phases()
    for phase in Phase:
        if phases[phase]:
            table.add_row(f"jobs {phase.value}", str(phases[phase]))
    waits = [story.start_ms for story in tally.stories.values() if story.start_ms is not None]
    table.add_section()
    table.add_row("attempts that failed and were retried", str(tally.facts(FactKind.FAILED)))
    table.add_row("attempts lost with their minion, and rescued", str(tally.facts(FactKind.LOST)))
    table.add_row("fires of the cron schedule", str(tally.fires))
    table.add_section()
    table.add_row("files measured per second, killed minion included", f"{per_second:.0f}")
    table.add_row(
        "submit to start, all at once, p50 / p99", f"{percentile(waits, 0.5)} / {percentile(waits, 0.99)} ms"
    )
    table.add_row(
        "submit to start, idle, p50 / p99", f"{percentile(idle_ms, 0.5)} / {percentile(idle_ms, 0.99)} ms"
    )
    return table


def library(by_jobs: Mapping[str, Measure], directly: Mapping[str, Measure]) -> Table:
    """Return the measured library: the largest packages and the whole, by jobs and directly.

    Args:
        by_jobs: Measure of each package, from the results of jobs.
        directly: The same, measured in this process.
    """
    table = Table(title="The standard library, measured by jobs and directly", title_justify="left")
    for head in ("package", "files", "lines", "functions", "classes", "directly"):
        table.add_column(head, justify="left" if head in ("package", "directly") else "right")
    largest = sorted(directly, key=lambda name: directly[name].lines, reverse=True)[:PACKAGES_SHOWN]
    for name in largest:
        _row(table, name, by_jobs.get(name, Measure()), directly[name])
    table.add_section()
    _row(table, "all", sum(by_jobs.values(), Measure()), sum(directly.values(), Measure()))
    return table


def _row(table: Table, name: str, by_jobs: Measure, directly: Measure) -> None:
    verdict = "equal" if by_jobs == directly else f"[red]differs: {directly}"
    counts = (by_jobs.files, by_jobs.lines, by_jobs.functions, by_jobs.classes)
    table.add_row(name, *(f"{count:,}" for count in counts), verdict)


def by_package(measures: Mapping[str, Measure], packages: Mapping[str, str]) -> dict[str, Measure]:
    """Add up the measures of files by package; both mappings are by file, or by job."""
    sums: dict[str, Measure] = defaultdict(Measure)
    for name, one in measures.items():
        sums[packages[name]] += one
    return dict(sums)


def last_line(tally: Tally, lost: int) -> str:
    """Return the line that says it all."""
    phases = tally.phases()
    return (
        f"demo: {len(tally.stories)} jobs, {phases[Phase.SUCCEEDED]} succeeded, {phases[Phase.DEAD]} dead, "
        f"{phases[Phase.CANCELLED]} cancelled, {lost} lost"
    )

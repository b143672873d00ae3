"""The demo's course: a cluster, minions, jobs, trouble, and the reckoning. Owns the order and what is shown.

Must never report what it did not see: figures come from the topic of facts, results from receipts.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from jobstream.client import Client, Job
from jobstream.cluster.up import Cluster
from jobstream.demo import plan, report
from jobstream.demo.fleet import Fleet
from jobstream.demo.functions import chime, hello, measure_file, survey
from jobstream.demo.measure import Measure, library, measure, package, sources
from jobstream.demo.tail import FactTail
from jobstream.demo.tally import Story, Tally
from schemas.topics import Topics
from schemas.words import FactKind, Phase

MINIONS = ("minion-1", "minion-2", "minion-3")
VICTIM = "minion-2"
SPARE = "minion-4"
CONCURRENCY = 4
"""Jobs that one minion runs at once."""
KILL_AT = 0.3
"""Share of the files after which the victim is killed."""
IDLE_JOBS = 50
"""Jobs that are submitted one by one to the idle system, to measure its latency."""
PREFIX = "demo."
"""Of the demo's topics; its cluster is its own, whatever the settings of this machine say."""
SCHEDULE = "demo-chime"
CRON = "* * * * * *"
LOOK_S = 0.1
"""How often the screen is brought up to date, seconds."""
PATIENCE_S = 90.0
"""How long the jobs may take altogether before the demo says what is missing, seconds."""


@dataclass
class Course:
    """What the demo has done so far, and what it works with."""

    client: Client
    fleet: Fleet
    tail: FactTail
    progress: Progress
    files: list[Path]
    packages: dict[str, str] = field(default_factory=dict)
    """Package of each measured file, by job id."""
    asked: list[Job] = field(default_factory=list)
    seconds: float = 0.0
    idle_ms: list[int] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        """Print a line above the bars."""
        _say_on(self.progress.console)(sentence)


def main(data: Path, files_max: int | None = None) -> int:
    """Run the demo on a cluster of its own; 0 if nothing was lost and the results are equal, else 1.

    Args:
        data: Folder for the broker's data and all logs; it is emptied first.
        files_max: Measure no more files than these, the first ones; None: all.
    """
    console = Console()
    shutil.rmtree(data, ignore_errors=True)
    files = sources(library())[:files_max]
    console.print(
        f"{len(files)} files of the standard library; logs are in {data}", soft_wrap=True, highlight=False
    )
    with Cluster.start(data=data, prefix=PREFIX, free_ports=True, say=_say_on(console)) as cluster:
        topic = Topics(cluster.prefix).facts
        with (
            Fleet(cluster.relay, data, CONCURRENCY) as fleet,
            FactTail(cluster.bootstrap, topic) as tail,
        ):
            client = Client(
                f"kafka://{cluster.bootstrap}", prefix=cluster.prefix, web=f"http://{cluster.web}"
            )
            course = asyncio.run(_run(console, client, fleet, tail, files))
        return _reckon(console, course)


def _say_on(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(f"  {line}", soft_wrap=True, highlight=False)


async def _run(console: Console, client: Client, fleet: Fleet, tail: FactTail, files: list[Path]) -> Course:
    bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    for name in MINIONS:
        fleet.start(name)
    async with client:
        with Progress(*bars, console=console) as progress:
            course = Course(client, fleet, tail, progress, files)
            await client.schedule(SCHEDULE, CRON, chime, within=10)
            await _ask(course)
            await _see_through(course)
            await _probe(course)
            await client.unschedule(SCHEDULE, within=10)
            await _until(
                course, lambda tally: tally.ended() == len(tally.stories), "the last jobs of the schedule"
            )
    return course


async def _ask(course: Course) -> None:
    """Submit everything, and cancel the one that is to be cancelled."""
    root = library()
    wanted = plan.measures(root, course.files)
    begun = time.monotonic()
    jobs = await course.client.submit_many(wanted)
    course.packages = {job.id: package(root, path) for job, path in zip(jobs, course.files, strict=True)}
    troublemakers = await course.client.submit_many(plan.troublemakers())
    course.asked = [*jobs, *troublemakers]
    course.say(f"{len(course.asked)} jobs accepted by Kafka in {time.monotonic() - begun:.2f} s")
    await course.client.cancel(
        plan.CANCELLED_ID, key=plan.CANCELLED_ID, reason="the demo changed its mind", within=30
    )
    course.say(f"{plan.CANCELLED_ID} was cancelled before its time came")


async def _see_through(course: Course) -> None:
    """Watch until every job that was asked for has ended, with a murder on the way."""
    begun = time.monotonic()
    measured = course.progress.add_task("files measured", total=len(course.files))
    surveyed = course.progress.add_task("survey", total=None)
    murder = asyncio.create_task(_murder(course))
    thaw = asyncio.create_task(_thaw(course))

    def all_ended(tally: Tally) -> bool:
        done = tally.ended(measure_file.name)
        course.progress.update(measured, completed=done)
        _show_survey(course.progress, surveyed, tally)
        if done == len(course.files) and not course.seconds:
            course.seconds = time.monotonic() - begun
        stories = tally.stories
        return all(job.id in stories and stories[job.id].ended for job in course.asked)

    await _until(course, all_ended, "jobs that were asked for")
    await asyncio.gather(murder, thaw)


def _show_survey(progress: Progress, task: TaskID, tally: Tally) -> None:
    """Show the steps and the progress that heartbeats carry."""
    story: Story | None = tally.running(survey.name)
    if story is not None and story.step is not None:
        progress.update(
            task, description=f"survey at {story.step}", completed=story.done or 0, total=story.total
        )
    elif tally.ended(survey.name):
        progress.update(task, description="survey done", completed=1, total=1)


async def _murder(course: Course) -> None:
    """Kill a minion in the middle of its work, and start another in its place."""
    await _until(
        course, lambda tally: tally.ended(measure_file.name) >= KILL_AT * len(course.files), "the first files"
    )
    course.fleet.kill(VICTIM)
    course.fleet.start(SPARE)
    course.say(f"{VICTIM} was killed with SIGKILL in the middle of its jobs; {SPARE} takes its place")


async def _thaw(course: Course) -> None:
    """Wait until the minion that froze has lost its job, then let it go on: too late, and harmless."""

    def rescued(tally: Tally) -> bool:
        silent = [story for story in tally.stories.values() if story.function == "demo.silent"]
        return bool(silent) and all(story.ended for story in silent)

    await _until(course, lambda _: bool(course.fleet.frozen()), "the minion that freezes")
    course.say(f"{course.fleet.frozen()[0]} froze and answers nobody")
    await _until(course, rescued, "the rescue of the frozen minion's job")
    course.fleet.thaw()
    course.say("its job was rescued and ran elsewhere; the minion was woken, too late to do harm")


async def _probe(course: Course) -> None:
    """Submit jobs one by one to the idle system, and note how long each waited for its start."""
    jobs = []
    for number in range(IDLE_JOBS):
        job = await course.client.submit(hello.request(f"number {number}"))
        await job.result(timeout=PATIENCE_S)
        jobs.append(job.id)
    await _until(course, lambda tally: all(_started(tally, job) for job in jobs), "the facts of single jobs")
    with course.tail.lock:
        waits = [course.tail.tally.stories[job].start_ms for job in jobs]
    course.idle_ms = [wait for wait in waits if wait is not None]


def _started(tally: Tally, job: str) -> bool:
    return job in tally.stories and tally.stories[job].ended


class Impatient(Exception):
    """Something that must happen did not."""


async def _until(course: Course, check: Callable[[Tally], bool], what: str) -> None:
    """Look at the tally again and again until `check` is true of it.

    Raises:
        Impatient: It took too long.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with course.tail.lock:
            if check(course.tail.tally):
                return
            phases = course.tail.tally.phases()
        if time.monotonic() > deadline:
            raise Impatient(f"waited {PATIENCE_S:.0f} s for {what} in vain; jobs by phase: {dict(phases)}")
        await asyncio.sleep(LOOK_S)


def _reckon(console: Console, course: Course) -> int:
    """Compare with the truth, print all, and say whether it is right."""
    tally = course.tail.tally
    results = {job: Measure(**fields) for job, fields in tally.results(measure_file.name).items()}
    by_jobs = report.by_package(results, course.packages)
    directly = _measure_directly(console, course.files)
    lost = sum(not _started(tally, job.id) for job in course.asked)
    lost += sum(not story.ended for story in tally.stories.values())
    console.print(report.outcome(tally, len(course.files) / course.seconds, course.idle_ms))
    console.print(report.library(by_jobs, directly))
    faults = wrong(tally, by_jobs, directly, lost)
    for sentence in faults:
        console.print(f"[red]{sentence}")
    print(report.last_line(tally, lost), flush=True)
    return 1 if faults else 0


def wrong(
    tally: Tally, by_jobs: Mapping[str, Measure], directly: Mapping[str, Measure], lost: int
) -> list[str]:
    """Say what is not as it must be."""
    phases = tally.phases()
    expected = {
        "jobs were lost": lost == 0,
        "the results of the jobs differ from what was measured directly": by_jobs == directly,
        "exactly one job had to end as a dead letter": phases[Phase.DEAD] == 1,
        "exactly one job had to be cancelled": phases[Phase.CANCELLED] == 1,
        "an attempt had to be lost and rescued": tally.facts(FactKind.LOST) > 0,
        "an attempt had to fail and be retried": tally.facts(FactKind.FAILED) > 0,
        "the schedule had to fire": tally.fires > 0,
    }
    return [sentence for sentence, right in expected.items() if not right]


def _measure_directly(console: Console, files: list[Path]) -> dict[str, Measure]:
    """Measure the same files in processes of our own, without Jobstream."""
    root = library()
    with (
        Progress(console=console, transient=True) as progress,
        ProcessPoolExecutor(mp_context=get_context("spawn")) as pool,
    ):
        measured = progress.track(
            pool.map(measure, files, chunksize=16), total=len(files), description="the same, directly"
        )
        measures = {str(path): one for path, one in zip(files, measured, strict=True)}
    return report.by_package(measures, {str(path): package(root, path) for path in files})

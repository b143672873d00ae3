"""The verbs about jobs: submit, status, list, cancel, retry. They speak to Kafka and to the status pages."""

import sys
import time
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from jobstream.cli import read, show, status_view
from jobstream.cli.exits import Exit
from jobstream.cli.options import (
    AsJson,
    Bootstrap,
    Deadline,
    ExpiresAfter,
    Prefix,
    Priority,
    ResultRetention,
    Retention,
    Retrying,
    Tags,
    Web,
    settings_of,
)

if TYPE_CHECKING:
    from jobstream.client import Client, Job
    from jobstream.functions import Submission
    from schemas.settings import Settings

WATCH_S = 0.5
"""How often status --watch looks."""

Key = Annotated[
    str | None, typer.Option("--key", help="Partition key: jobs with the same key belong together.")
]
KeyOfJob = Annotated[
    str | None, typer.Option("--key", help="The job's partition key, if it has one of its own.")
]
Id = Annotated[str, typer.Argument(help="Id of the job.", show_default=False)]


def client_of(settings: "Settings") -> "Client":
    """A client with these settings."""
    from jobstream.client import Client

    return Client(f"kafka://{settings.bootstrap}", prefix=settings.prefix, web=f"http://{settings.web}")


def run(coroutine: Coroutine[Any, Any, int]) -> int:
    """Runs what needs an event loop; the exit code."""
    import asyncio

    return asyncio.run(coroutine)


def submit(  # a job's options are its flags
    function: Annotated[str, typer.Argument(help="Name of the function.", show_default=False)],
    args: Annotated[
        str | None,
        typer.Argument(
            help="Its arguments: a JSON object (by name) or array (by position); - reads standard input.",
            show_default=False,
        ),
    ] = None,
    *,
    key: Key = None,
    queue: Annotated[str | None, typer.Option("--queue", help="Queue; `default` if left out.")] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="Id of the job; made if left out. Safe to repeat.")
    ] = None,
    delay: Annotated[
        float | None, typer.Option(parser=read.duration, metavar="TIME", help="Not before so long.")
    ] = None,
    run_at: Annotated[
        datetime | None, typer.Option(parser=read.moment, metavar="RFC3339", help="Not before then.")
    ] = None,
    expires_at: Annotated[
        datetime | None, typer.Option(parser=read.moment, metavar="RFC3339", help="Not started after then.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(parser=read.duration, metavar="TIME", help="Allowed for one attempt.")
    ] = None,
    deadline: Deadline = None,
    expires_after: ExpiresAfter = None,
    attempts: Annotated[int | None, typer.Option(metavar="N", help="How many attempts may fail.")] = None,
    retry_policy: Retrying = None,
    tag: Tags = None,
    priority: Priority = None,
    retention: Retention = None,
    result_retention: ResultRetention = None,
    unique: Annotated[
        str | None,
        typer.Option(
            metavar="WHILE",
            help="No other job of this function and arguments while one is queued, running, or both.",
        ),
    ] = None,
    unique_window: Annotated[
        float | None,
        typer.Option(parser=read.duration, metavar="TIME", help="Nor within so long of the last one."),
    ] = None,
    unique_field: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This argument alone counts; may be repeated.")
    ] = None,
    replaces: Annotated[
        bool, typer.Option("--replace", help="With --unique: a job that still waits is cancelled for this.")
    ] = False,
    lines: Annotated[
        bool, typer.Option("--lines", help="Each line of standard input is the arguments of one job.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end, and print the result.")] = False,
    within: Annotated[
        float, typer.Option(parser=read.duration, metavar="TIME", help="How long --wait waits.")
    ] = "60s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """Ask for a job.

    Prints the id once Kafka has the job; with --wait, the result as JSON. Exits 1 if the job ends otherwise
    than by success, 3 if Kafka does not answer, 4 if it has not ended in time.

    ```
    jobstream submit mail.send '{"to": "a@b.c"}' --key orders-17
    jobstream submit report.make '[2027, "Q1"]' --delay 5m --attempts 3
    jobstream submit resize --lines --wait < arguments.jsonl
    ```
    """
    options: dict[str, Any] = {
        "key": key,
        "queue": queue,
        "id": id,
        "delay": delay,
        "run_at": run_at,
        "expires_at": expires_at,
        "timeout": timeout,
        "deadline": deadline,
        "tags": tag or None,
        "expires_after": expires_after,
        "priority": priority,
        "retention": retention,
        "result_retention": result_retention,
        "retry": _retry_of(retry_policy, attempts),
        "unique": _unique_of(unique, unique_window, unique_field, replaces=replaces),
    }
    if lines and (args is not None or id is not None):
        raise typer.BadParameter(
            "--lines reads the arguments of many jobs: give neither ARGS nor --id with it"
        )
    given = (read.arguments(line) for line in _stdin_lines()) if lines else [_one(args)]
    settings = settings_of(bootstrap=bootstrap, prefix=prefix, web=web)
    return run(_submit(settings, function, given, options, within if wait else None, json=json))


def _retry_of(policy: Any, attempts: int | None) -> Any:
    """The retry policy, with the number of attempts if that is told by itself."""
    from dataclasses import replace

    from jobstream.functions import Retry

    if attempts is None:
        return policy
    return Retry(attempts=attempts) if policy is None else replace(policy, attempts=attempts)


def _unique_of(only: str | None, window_s: float | None, fields: list[str] | None, *, replaces: bool) -> Any:
    """What makes the job unique; None: it is not."""
    from jobstream.functions import Unique

    if only is None and window_s is None:
        if fields or replaces:
            raise typer.BadParameter(
                "--unique-field and --replace must come with --unique or --unique-window"
            )
        return None
    then: Any = "replace" if replaces else "duplicate"
    return Unique(only=cast("Any", only), window=window_s, fields=tuple(fields or ()), then=then)


def _one(args: str | None) -> Any:
    if args is None:
        return None
    return read.arguments(sys.stdin.read() if args == "-" else args)


def _stdin_lines() -> Iterator[str]:
    return (line for line in sys.stdin if line.strip())


async def _submit(
    settings: "Settings",
    function: str,
    given: Any,
    options: dict[str, Any],
    within_s: float | None,
    *,
    json: bool,
) -> int:
    from jobstream.functions import Options, Submission, option_fields

    fields = option_fields(
        cast("Options", {name: value for name, value in options.items() if value is not None})
    )
    submissions = (Submission(function=function, args=args, **fields) for args in given)
    async with client_of(settings) as client:
        if options["unique"] is not None and within_s is None:
            for submission in submissions:
                await _print_decided(client, submission, json=json)
            return Exit.OK
        jobs = await client.submit_many(submissions)
        if within_s is not None:
            return await _print_results(jobs, within_s, json=json)
        for job in jobs:
            _print_submitted(job, json=json)
    return Exit.OK


async def _print_results(jobs: "list[Job]", within_s: float, *, json: bool) -> int:
    """Waits for all jobs, and prints what came of each; NO if one ended otherwise than by success."""
    from jobstream.cli import progress_view
    from jobstream.errors import WaitTimedOut

    ends_at = time.monotonic() + within_s
    if jobs and progress_view.is_wanted(json=json):
        await progress_view.watch(jobs, within_s)
    code, late = Exit.OK, []
    for job in jobs:
        try:
            if not await _print_result(job, max(0.0, ends_at - time.monotonic()), json=json):
                code = Exit.NO
        except WaitTimedOut:
            late.append(job.id)
    if late:
        others = f" and {len(late) - 1} more" if late[1:] else ""
        raise WaitTimedOut(
            f"job {late[0]}{others} had not ended after {within_s:g} s; it goes on all the same"
        )
    return code


async def _print_decided(client: "Client", submission: "Submission", *, json: bool) -> None:
    """Asks for a job that is unique, and tells what came of it: its id, or the job that is the answer."""
    job, outcome, other = await client.submit_decided(submission)
    if json:
        named = {"id": job.id, "key": job.key, "partition": job.partition}
        show.as_json({**named, "outcome": outcome, "other": other})
        return
    print(job.id)
    if outcome != "accepted":
        show.talk(
            f"jobstream: {outcome} of {other}" if outcome == "duplicate" else f"jobstream: replaced {other}"
        )


def _print_submitted(job: "Job", *, json: bool) -> None:
    if json:
        show.as_json({"id": job.id, "key": job.key, "partition": job.partition})
    else:
        print(job.id)


async def _print_result(job: "Job", within_s: float, *, json: bool) -> bool:
    """Waits for one job; True if it succeeded. The sentence of a failure is told, and in JSON part of the
    answer.
    """
    from jobstream.errors import JobEnded

    place = {"id": job.id, "key": job.key, "partition": job.partition}
    try:
        result = await job.result(within_s)
    except JobEnded as error:
        if json:
            show.as_json({**place, "ended": type(error).__name__, "error": str(error)})
        else:
            show.talk(f"jobstream: {error}")
        return False
    show.as_json({**place, "ended": "succeeded", "result": result} if json else result)
    return True


def status(
    id: Id,
    *,
    key: KeyOfJob = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until the job has ended.")
    ] = False,
    json: AsJson = False,
    web: Web = None,
) -> int:
    """Where a job is: its phase, why it waits, and each attempt with its minion and times.

    Exits 1 if no such job is kept, 3 if the status pages do not answer.

    ```
    jobstream status 01KCW3V5E0Q9X2N8Y4T6R7S1AB
    jobstream status orders-17 --watch
    ```
    """
    from jobstream.client.address import web_of
    from jobstream.client.pages import Pages

    pages = Pages(web_of(f"http://{settings_of(web=web).web}"))
    if watch:
        status_view.watch(lambda: pages.status(id, key), WATCH_S)
        return Exit.OK
    found = pages.status(id, key)
    if json:
        show.as_json(found)
    else:
        status_view.show_job(found)
    return Exit.OK


def list_jobs(
    queue: Annotated[str | None, typer.Argument(help="A queue; counts of all queues if left out.")] = None,
    *,
    phase: Annotated[str | None, typer.Option(help="Only jobs in this phase, as `dead`.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="How many at most.")] = 50,
    json: AsJson = False,
    web: Web = None,
) -> int:
    """The jobs of a queue, the newest first; without a queue, how many jobs are in which phase.

    ```
    jobstream list
    jobstream list default --phase dead --limit 10
    ```
    """
    from jobstream.client.address import web_of
    from jobstream.client.pages import Pages

    pages = Pages(web_of(f"http://{settings_of(web=web).web}"))
    found = pages.counts() if queue is None else pages.list(queue, phase, limit)
    if json:
        show.as_json(found)
    elif queue is None:
        status_view.show_counts(found)
    else:
        status_view.show_jobs(found)
    return Exit.OK


def cancel(
    id: Id,
    *,
    key: KeyOfJob = None,
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    within: Annotated[
        float, typer.Option(parser=read.duration, metavar="TIME", help="How long to wait for the answer.")
    ] = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """Ask to cancel a job. One that waits is cancelled at once; one that runs is asked to stop.

    Without --key the key is looked up on the status pages. Exits 1 if the job has ended or is unknown, 4 if
    the service does not answer in time.

    ```
    jobstream cancel 01KCW3V5E0Q9X2N8Y4T6R7S1AB --reason "wrong address"
    ```
    """
    settings = settings_of(bootstrap=bootstrap, prefix=prefix, web=web)
    return run(_command(settings, "cancel", id, key, reason, within, json=json))


def retry(
    id: Id,
    *,
    key: KeyOfJob = None,
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    within: Annotated[
        float, typer.Option(parser=read.duration, metavar="TIME", help="How long to wait for the answer.")
    ] = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """Run a job again now: one that is dead, cancelled or expired, or one that waits for its time.

    Without --key the key is looked up on the status pages. Exits 1 if the job cannot be run again or is
    unknown, 4 if the service does not answer in time.

    ```
    jobstream retry 01KCW3V5E0Q9X2N8Y4T6R7S1AB
    ```
    """
    settings = settings_of(bootstrap=bootstrap, prefix=prefix, web=web)
    return run(_command(settings, "retry", id, key, reason, within, json=json))


def reschedule(
    id: Id,
    run_at: Annotated[
        datetime | None, typer.Option(parser=read.moment, metavar="RFC3339", help="Not before then.")
    ] = None,
    *,
    delay: Annotated[
        float | None, typer.Option(parser=read.duration, metavar="TIME", help="Not before so long from now.")
    ] = None,
    key: KeyOfJob = None,
    reason: Annotated[str | None, typer.Option(help="Why, for people.")] = None,
    within: Annotated[
        float, typer.Option(parser=read.duration, metavar="TIME", help="How long to wait for the answer.")
    ] = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """Run a job at another time: one that waits, or that no minion has yet.

    Exits 1 if the job runs, has ended or is unknown, 4 if the service does not answer in time.

    ```
    jobstream reschedule 01KCW3V5E0Q9X2N8Y4T6R7S1AB --delay 2h --reason "the mail server is down"
    ```
    """
    if (run_at is None) == (delay is None):
        raise typer.BadParameter("reschedule must be given one of --run-at and --delay")
    at = run_at if delay is None else datetime.now(UTC) + timedelta(seconds=delay)
    assert at is not None
    settings = settings_of(bootstrap=bootstrap, prefix=prefix, web=web)
    return run(_reschedule(settings, id, at, key, reason, within, json=json))


async def _reschedule(
    settings: "Settings",
    id: str,
    at: datetime,
    key: str | None,
    reason: str | None,
    within_s: float,
    *,
    json: bool,
) -> int:
    async with client_of(settings) as client:
        fact = await client.reschedule(id, at, key=key, reason=reason, within=within_s)
    assert fact is not None
    if json:
        show.as_json({"id": fact.job, "key": fact.key, "fact": fact.fact, "next_at_ms": fact.next_at_ms})
    else:
        print(f"{fact.job}: waits until {show.clock(fact.next_at_ms)}")
    return Exit.OK


async def _command(
    settings: "Settings",
    name: str,
    id: str,
    key: str | None,
    reason: str | None,
    within_s: float,
    *,
    json: bool,
) -> int:
    async with client_of(settings) as client:
        ask = client.cancel if name == "cancel" else client.retry
        fact = await ask(id, key=key, reason=reason, within=within_s)
    assert fact is not None
    if json:
        show.as_json({"id": fact.job, "key": fact.key, "fact": fact.fact, "phase": fact.phase})
    else:
        print(f"{fact.job}: {fact.fact.replace('_', ' ')}")
    return Exit.NO if name == "cancel" and fact.fact not in ("cancelled", "cancel_requested") else Exit.OK

"""The verbs about schedules: list, show, create, pause, resume, trigger, backfill, simulate, apply, remove.

They speak to Kafka and to the status pages; simulate computes here, with the code of the service.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from jobstream.cli import read, show, status_view
from jobstream.cli.exits import Exit
from jobstream.cli.jobs import client_of, run
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
    from jobstream.client import Client
    from jobstream.functions import Options
    from jobstream.schedules import Overlaps
    from schemas.events import Fact

app = typer.Typer(
    name="schedules",
    help="Jobs that recur: list, show, create or replace, pause, trigger, backfill, simulate, remove.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Id = Annotated[str, typer.Argument(help="Id of the schedule.", show_default=False)]
Within = Annotated[
    float, typer.Option(parser=read.duration, metavar="TIME", help="How long to wait for the answer.")
]


Note = Annotated[str | None, typer.Option("--note", "-m", help="Why, for people.")]
Overlap = Annotated[
    str | None,
    typer.Option(
        metavar="POLICY",
        help="While a job of an earlier fire runs: skip, buffer_one, buffer_all, cancel_other,"
        " terminate_other or allow_all.",
    ),
]
Zone = Annotated[str, typer.Option(metavar="ZONE", help="IANA name of the zone that cron is read in.")]
Also = Annotated[list[str] | None, typer.Option(metavar="CRON", help="Another expression; may be repeated.")]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="CRON", help="No fire at its times; may be repeated.")
]
StartAt = Annotated[
    datetime | None, typer.Option(parser=read.moment, metavar="RFC3339", help="No fire before then.")
]
EndAt = Annotated[
    datetime | None, typer.Option(parser=read.moment, metavar="RFC3339", help="No fire after then.")
]
Jitter = Annotated[
    float | None,
    typer.Option(parser=read.duration, metavar="TIME", help="A fire is put off by up to so long."),
]


@app.command("list")
def list_schedules(*, json: AsJson = False, web: Web = None) -> int:
    """Every schedule with its next fire.

    ```
    jobstream schedules list
    ```
    """
    from jobstream.client.address import web_of
    from jobstream.client.pages import Pages

    found = Pages(web_of(f"http://{settings_of(web=web).web}")).schedules()
    if json:
        show.as_json(found)
    else:
        status_view.show_schedules(found)
    return Exit.OK


@app.command()
def create(  # a schedule's options are its flags
    id: Id,
    cron: Annotated[
        str,
        typer.Argument(help="Five or six fields, @hourly and friends, or @every 90m/5m.", show_default=False),
    ],
    function: Annotated[str, typer.Argument(help="Name of the function.", show_default=False)],
    args: Annotated[
        str | None, typer.Argument(help="Its arguments: a JSON object or array.", show_default=False)
    ] = None,
    *,
    timezone: Zone = "UTC",
    also: Also = None,
    exclude: Exclude = None,
    start_at: StartAt = None,
    end_at: EndAt = None,
    jitter: Jitter = None,
    overlap: Overlap = None,
    runs: Annotated[int | None, typer.Option(metavar="N", help="So many fires, then no more.")] = None,
    pause_on_failure: Annotated[
        bool, typer.Option("--pause-on-failure", help="It pauses itself when a job of it dies.")
    ] = False,
    queue: Annotated[str | None, typer.Option(help="Queue; `default` if left out.")] = None,
    key: Annotated[str | None, typer.Option(help="Partition key of its jobs; the id if left out.")] = None,
    attempts: Annotated[int | None, typer.Option(metavar="N", help="How many attempts may fail.")] = None,
    timeout: Annotated[
        float | None, typer.Option(parser=read.duration, metavar="TIME", help="Allowed for one attempt.")
    ] = None,
    retry_policy: Retrying = None,
    deadline: Deadline = None,
    expires_after: ExpiresAfter = None,
    priority: Priority = None,
    tag: Tags = None,
    retention: Retention = None,
    result_retention: ResultRetention = None,
    catchup: Annotated[
        float | None,
        typer.Option(
            parser=read.duration, metavar="TIME", help="A fire missed by less than this still happens."
        ),
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="No fires for now.")] = False,
    note: Annotated[str | None, typer.Option(help="Free words.")] = None,
    within: Within = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """Create a schedule, or replace the one of that id.

    Exits 1 if the service refuses it, as for a bad cron expression, 4 if it does not answer in time.

    ```
    jobstream schedules create nightly "30 2 * * *" report.make '{"days": 1}' --timezone Europe/Berlin
    ```
    """
    arguments = None if args is None else read.arguments(args)
    settings = settings_of(bootstrap=bootstrap, prefix=prefix, web=web)
    options = {
        "retry": retry_policy,
        "deadline": deadline,
        "expires_after": expires_after,
        "priority": priority,
        "tags": tag or None,
        "retention": retention,
        "result_retention": result_retention,
    }
    given = {name: found for name, found in options.items() if found is not None}

    async def ask() -> int:
        async with client_of(settings) as client:
            fact = await client.schedule(
                id,
                (cron, *(also or ())),
                function,
                arguments,
                timezone=timezone,
                excluded=exclude or (),
                start_at=start_at,
                end_at=end_at,
                jitter=jitter,
                overlap=cast("Overlaps", overlap),
                runs_max=runs,
                pause_on_failure=pause_on_failure,
                queue=queue,
                key=key,
                attempts=attempts,
                timeout=timeout,
                options=cast("Options", given),
                catchup_window=catchup,
                paused=paused,
                note=note,
                within=within,
            )
        assert fact is not None
        if json:
            show.as_json({"id": id, "next_fire_at_ms": fact.next_at_ms})
        else:
            print(f"{id}: saved, next fire {show.clock(fact.next_at_ms) or 'none'}")
        return Exit.OK

    return run(ask())


@app.command("show")
def show_schedule(id: Id, *, json: AsJson = False, web: Web = None) -> int:
    """One schedule: when it fires, what runs, and what became of its latest fires and why.

    ```
    jobstream schedules show nightly
    ```
    """
    found = _page(id, web)
    if json:
        show.as_json(found)
    else:
        status_view.show_schedule(found)
    return Exit.OK


@app.command()
def pause(
    id: Id,
    *,
    note: Note = None,
    within: Within = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """No more fires for now. What runs goes on; what waits is given up.

    ```
    jobstream schedules pause nightly --note "the warehouse is being moved"
    ```
    """
    return _ask(
        id,
        lambda client: client.pause_schedule(id, note, within=within),
        json=json,
        bootstrap=bootstrap,
        prefix=prefix,
        web=web,
    )


@app.command()
def resume(
    id: Id,
    *,
    note: Note = None,
    within: Within = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """Fires again, from now on; nothing is made up for (backfill does that).

    ```
    jobstream schedules resume nightly
    ```
    """
    return _ask(
        id,
        lambda client: client.resume_schedule(id, note, within=within),
        json=json,
        bootstrap=bootstrap,
        prefix=prefix,
        web=web,
    )


@app.command()
def trigger(
    id: Id,
    *,
    overlap: Overlap = None,
    note: Note = None,
    within: Within = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """One more fire, now; also of a paused schedule. It overlaps as the schedule says, or as --overlap does.

    ```
    jobstream schedules trigger nightly
    jobstream schedules trigger nightly --overlap allow_all
    ```
    """
    return _ask(
        id,
        lambda client: client.trigger_schedule(
            id, overlap=cast("Overlaps", overlap), reason=note, within=within
        ),
        json=json,
        bootstrap=bootstrap,
        prefix=prefix,
        web=web,
    )


@app.command()
def backfill(
    id: Id,
    since: Annotated[
        datetime,
        typer.Argument(parser=read.moment, metavar="SINCE", help="The fires after this.", show_default=False),
    ],
    until: Annotated[
        datetime,
        typer.Argument(parser=read.moment, metavar="UNTIL", help="Up to this.", show_default=False),
    ],
    *,
    overlap: Annotated[
        str | None,
        typer.Option(metavar="POLICY", help="buffer_all, one after the other, or allow_all at once."),
    ] = None,
    note: Note = None,
    within: Within = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """The fires of a range in the past, which did not happen. Those whose job is still known run no more.

    ```
    jobstream schedules backfill nightly 2026-11-01T00:00:00Z 2026-11-08T00:00:00Z
    ```
    """
    return _ask(
        id,
        lambda client: client.backfill_schedule(
            id, since, until, overlap=cast("Any", overlap), reason=note, within=within
        ),
        json=json,
        bootstrap=bootstrap,
        prefix=prefix,
        web=web,
    )


@app.command()
def simulate(
    cron: Annotated[
        list[str] | None, typer.Argument(help="Expressions; or --id.", show_default=False)
    ] = None,
    *,
    id: Annotated[
        str | None, typer.Option("--id", help="Of a schedule that exists, in place of expressions.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", help="How many fires.")] = 10,
    after: Annotated[
        datetime | None,
        typer.Option(parser=read.moment, metavar="RFC3339", help="After then; now if left out."),
    ] = None,
    timezone: Zone = "UTC",
    exclude: Exclude = None,
    start_at: StartAt = None,
    end_at: EndAt = None,
    jitter: Jitter = None,
    json: AsJson = False,
    web: Web = None,
) -> int:
    """The next fires, with marks where daylight saving takes one away or doubles it. Nothing is written.

    ```
    jobstream schedules simulate "30 2 * * *" --timezone Europe/Berlin --after 2026-03-28T00:00:00Z
    jobstream schedules simulate --id nightly
    ```
    """
    from jobstream.cli import simulation

    at = datetime.now(UTC) if after is None else after
    if (id is None) == (not cron):
        raise typer.BadParameter("simulate takes expressions, or --id: one of the two")
    if id is not None:
        plan = simulation.of_page(_page(id, web))
    else:
        plan = simulation.of_flags(cron or (), timezone, exclude or (), start_at, end_at, jitter)
    found = simulation.coming(plan, at, count)
    if json:
        show.as_json(found)
    else:
        status_view.show_coming(found)
    return Exit.OK


@app.command()
def apply(
    modules: Annotated[
        list[str], typer.Argument(help="Modules that declare functions, as `shop.mails`.", show_default=False)
    ],
    *,
    within: Within = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """Put in force what `@function(schedule=...)` of modules declares. A part of a deployment.

    What a module declared before and does not any more goes on, and is shown as orphaned: remove it, or
    declare it again.

    ```
    jobstream schedules apply shop.mails shop.reports
    ```
    """
    from jobstream.minion.modules import load

    settings = settings_of(bootstrap=bootstrap, prefix=prefix, web=web)
    found = {module: load([module]) for module in modules}

    async def ask() -> int:
        told = {}
        async with client_of(settings) as client:
            for module, functions in found.items():
                told[module] = await client.declare_schedules(functions, module, within=within)
        shown = {
            module: {"declared": done.declared, "orphaned": done.orphaned} for module, done in told.items()
        }
        if json:
            show.as_json(shown)
            return Exit.OK
        for module, done in shown.items():
            for what, ids in done.items():
                print(f"{module}: {what} {', '.join(ids) or 'none'}")
        return Exit.OK

    return run(ask())


@app.command("delete", hidden=True)
@app.command()
def remove(
    id: Id,
    *,
    within: Within = "5s",  # type: ignore[assignment]  # read by its parser
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    web: Web = None,
) -> int:
    """Remove a schedule. Its jobs that were fired go on. `delete` is the same.

    ```
    jobstream schedules remove nightly
    jobstream schedules delete nightly
    ```
    """
    settings = settings_of(bootstrap=bootstrap, prefix=prefix, web=web)

    async def ask() -> int:
        async with client_of(settings) as client:
            await client.unschedule(id, within=within)
        if json:
            show.as_json({"id": id, "removed": True})
        else:
            print(f"{id}: removed")
        return Exit.OK

    return run(ask())


def _ask(
    id: str, ask: "Callable[[Client], Awaitable[Fact | None]]", *, json: bool, **where: str | None
) -> int:
    """Asks something of a schedule, and shows what came of it."""
    settings = settings_of(**where)

    async def asked() -> int:
        async with client_of(settings) as client:
            fact = await ask(client)
        assert fact is not None, "an answer was waited for"
        what = fact.fact.removeprefix("schedule_")
        if json:
            show.as_json({"id": id, "what": what, "reason": fact.reason, "next_fire_at_ms": fact.next_at_ms})
        else:
            print(f"{id}: {what}" + (f", {fact.reason}" if fact.reason else ""))
        return Exit.OK

    return run(asked())


def _page(id: str, web: str | None) -> dict[str, Any]:
    """What the status pages say of one schedule."""
    from jobstream.client.address import web_of
    from jobstream.client.pages import Pages

    (found,) = Pages(web_of(f"http://{settings_of(web=web).web}")).schedules(id)["schedules"]
    return dict(found)

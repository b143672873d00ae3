"""The verbs about schedules: list, create, remove."""

from typing import Annotated

import typer

from jobstream.cli import read, show, status_view
from jobstream.cli.exits import Exit
from jobstream.cli.jobs import client_of, run
from jobstream.cli.options import AsJson, Bootstrap, Prefix, Web, settings_of

app = typer.Typer(
    name="schedules",
    help="Jobs that recur: list, create or replace, remove.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Id = Annotated[str, typer.Argument(help="Id of the schedule.", show_default=False)]
Within = Annotated[
    float, typer.Option(parser=read.duration, metavar="TIME", help="How long to wait for the answer.")
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
def create(
    id: Id,
    cron: Annotated[
        str, typer.Argument(help="Five or six fields, or @hourly and friends.", show_default=False)
    ],
    function: Annotated[str, typer.Argument(help="Name of the function.", show_default=False)],
    args: Annotated[
        str | None, typer.Argument(help="Its arguments: a JSON object or array.", show_default=False)
    ] = None,
    *,
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="IANA name of the zone that cron is read in.")
    ] = "UTC",
    queue: Annotated[str | None, typer.Option(help="Queue; `default` if left out.")] = None,
    key: Annotated[str | None, typer.Option(help="Partition key of its jobs; the id if left out.")] = None,
    attempts: Annotated[int | None, typer.Option(metavar="N", help="How many attempts may fail.")] = None,
    timeout: Annotated[
        float | None, typer.Option(parser=read.duration, metavar="TIME", help="Allowed for one attempt.")
    ] = None,
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

    async def ask() -> int:
        async with client_of(settings) as client:
            fact = await client.schedule(
                id,
                cron,
                function,
                arguments,
                timezone=timezone,
                queue=queue,
                key=key,
                attempts=attempts,
                timeout=timeout,
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
    """Remove a schedule. Its jobs that were fired go on.

    ```
    jobstream schedules remove nightly
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

"""The verb `redrive`: chooses among dead letters, asks for each again, and tells what came of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from jobstream.cli import read, show
from jobstream.cli.exits import Exit
from jobstream.cli.jobs import client_of, run
from jobstream.cli.options import AsJson, Bootstrap, Prefix, settings_of
from jobstream.errors import CommandRefused, JobstreamError

if TYPE_CHECKING:
    import asyncio

    from jobstream.client import Client
    from schemas.events import DeadLetter

AT_ONCE = 50
"""How many jobs are asked for at a time."""
NOT_NOW = "not_now"
"""Code of a refusal: the job is not dead any more."""


@dataclass(frozen=True)
class Wanted:
    """Which letters; what is empty or None wants all."""

    ids: frozenset[str]
    queue: str | None
    function: str | None
    error: str | None

    def fits(self, letter: "DeadLetter") -> bool:
        """True if the letter is wanted."""
        return (
            (not self.ids or letter.job in self.ids)
            and self.queue in (None, letter.queue)
            and self.function in (None, letter.function)
            and (self.error is None or self.error in letter.reason or self.error in letter.errors)
        )


def redrive(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of dead jobs; all that fit the flags if left out.")
    ] = None,
    *,
    queue: Annotated[str | None, typer.Option("--queue", help="Only of this queue.")] = None,
    function: Annotated[str | None, typer.Option("--function", help="Only of this function.")] = None,
    error: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only if the reason or an error has this in it.")
    ] = None,
    since: Annotated[
        float,
        typer.Option(parser=read.duration, metavar="TIME", help="Only what died no longer ago."),
    ] = "1d",  # type: ignore[assignment]  # read by its parser
    everything: Annotated[bool, typer.Option("--all", help="All, where no other flag says which.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which; change nothing.")] = False,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> int:
    """Run dead jobs again, by their dead letters: those of an id, a queue, a function or an error.

    A job that is still kept (a day after its death) is run again itself; of an older one, whose letter is
    kept for 90 days, a new job `<id>@redriven-<time of death>` is made. Jobs that are not dead any more are
    skipped. Exits 1 if no letter fits, or a job could not be run again.

    ```
    jobstream redrive --function mail.send --error SMTPServerDisconnected --dry-run
    jobstream redrive 01KCW3V5E0Q9X2N8Y4T6R7S1AB
    jobstream redrive --all --since 2h
    ```
    """
    if not (ids or queue or function or error or everything):
        raise typer.BadParameter(
            "redrive must be told which: give ids, --queue, --function, --error or --all"
        )
    settings = settings_of(bootstrap=bootstrap, prefix=prefix)
    wanted = Wanted(frozenset(ids or ()), queue, function, error)
    return run(_redrive(client_of(settings), wanted, since, dry_run=dry_run, json=json))


async def _redrive(client: "Client", wanted: Wanted, since_s: float, *, dry_run: bool, json: bool) -> int:
    """Redrives what is wanted; the exit code."""
    import asyncio

    async with client:
        letters = [letter for letter in await client.dead_letters(since_s) if wanted.fits(letter)]
        if dry_run:
            done = [(letter, "dead", letter.reason) for letter in letters]
        else:
            gate = asyncio.Semaphore(AT_ONCE)
            done = await asyncio.gather(*(_one(client, letter, gate) for letter in letters))
    rows = [
        {"id": letter.job, "function": letter.function, "queue": letter.queue, "done": what, "detail": detail}
        for letter, what, detail in done
    ]
    if json:
        show.as_json(rows)
    elif rows:
        show.table(None, tuple(rows[0]), [tuple(row.values()) for row in rows])
    if not rows:
        show.talk("jobstream: no dead letter fits; --since says how far back to look (1d if left out)")
    return Exit.NO if not rows or any(row["done"] == "failed" for row in rows) else Exit.OK


async def _one(
    client: "Client", letter: "DeadLetter", gate: "asyncio.Semaphore"
) -> "tuple[DeadLetter, str, str]":
    """Asks for one; what came of it, in a word and a sentence."""
    async with gate:
        try:
            job = await client.redrive(letter)
        except CommandRefused as error:
            return letter, "skipped" if error.code == NOT_NOW else "failed", str(error)
        except JobstreamError as error:
            return letter, "failed", str(error)
    return (letter, "runs again", "") if job.id == letter.job else (letter, "new job", job.id)

"""The verbs that ask the HTTP service: search, history, queues, duties, facts, cancel-many, and those about
dead letters.

They need no Kafka: what they say is what the service answers.
"""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from jobstream.cli import show
from jobstream.cli.exits import Exit
from jobstream.cli.options import AsJson, Http
from jobstream.cli.service import Token, ask, lines

letters = typer.Typer(
    name="letters",
    help="Dead letters: jobs that were given up. List, show, discard; `redrive` runs them again.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Queue = Annotated[str | None, typer.Option("--queue", help="Only of this queue.")]
Function = Annotated[str | None, typer.Option("--function", help="Only of this function.")]
Key = Annotated[str | None, typer.Option("--key", help="Only of this partition key.")]
Tag = Annotated[str | None, typer.Option("--tag", help="Only with this tag.")]
Phase = Annotated[str | None, typer.Option("--phase", help="Only in this phase, as `dead`.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="From this time on: `2026-11-20 09:00`, RFC 3339.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Until before this time.")]
Limit = Annotated[int, typer.Option(metavar="N", help="How many at most.")]
Error = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Only if the reason or an error has this in it.")
]
Reason = Annotated[str | None, typer.Option(help="Why, for people.")]


def search(
    *,
    queue: Queue = None,
    phase: Phase = None,
    function: Function = None,
    key: Key = None,
    tag: Tag = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    json: AsJson = False,
    http: Http = None,
    token: Token = None,
) -> int:
    """Jobs of all workers by queue, phase, function, key, tag and time, the newest first.

    ```
    jobstream search --function mail.send --phase dead --since "2026-11-20 09:00"
    ```
    """
    query = {
        "queue": queue,
        "phase": phase,
        "function": function,
        "key": key,
        "tag": tag,
        "since": since,
        "until": until,
        "limit": limit,
    }
    found = ask(http, token, "GET", "/jobs", query=query)
    if json:
        show.as_json(found)
    else:
        _table(found["jobs"], ("id", "phase", "function", "queue", "key", "attempt", "created_at"))
    return Exit.OK


def history(
    id: Annotated[str, typer.Argument(help="Id of the job.", show_default=False)],
    *,
    key: Annotated[str | None, typer.Option("--key", help="The job's partition key.")] = None,
    json: AsJson = False,
    http: Http = None,
    token: Token = None,
) -> int:
    """Everything that happened to a job in the last seven days, fact by fact.

    ```
    jobstream history 01KCW3V5E0Q9X2N8Y4T6R7S1AB
    ```
    """
    found = ask(http, token, "GET", f"/job/{quote(id)}/history", query={"key": key})
    if json:
        show.as_json(found)
    else:
        _table(found["facts"], ("at", "fact", "phase", "attempt", "minion", "error_type", "reason"))
    return Exit.OK


def queues(*, json: AsJson = False, http: Http = None, token: Token = None) -> int:
    """Queues: how many jobs are in each phase, and how many dispatches no relay is done with.

    ```
    jobstream queues
    ```
    """
    found = ask(http, token, "GET", "/queues")
    if json:
        show.as_json(found)
    else:
        phases = sorted({phase for each in found["queues"].values() for phase in each})
        rows = [(queue, *(each.get(phase, 0) for phase in phases)) for queue, each in found["queues"].items()]
        show.table(None, ("queue", *phases), rows, right=phases)
    return Exit.OK


def duties(*, json: AsJson = False, http: Http = None, token: Token = None) -> int:
    """What time asks, in four duties: when each was last looked at and last done, how much, what is overdue.

    Jobs that are due, what timed out, schedules that recur, what is to be purged.

    ```
    jobstream duties
    ```
    """
    found = ask(http, token, "GET", "/duties")
    if json:
        show.as_json(found)
    else:
        _table(
            [{"duty": duty, **told} for duty, told in found["duties"].items()],
            ("duty", "checked_at", "last_at", "done", "overdue"),
        )
    return Exit.OK


def cancel_many(
    *,
    queue: Queue = None,
    phase: Phase = None,
    function: Function = None,
    key: Key = None,
    tag: Tag = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="All, where no other flag says which.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; change nothing.")] = False,
    limit: Limit = 10_000,
    reason: Reason = None,
    json: AsJson = False,
    http: Http = None,
    token: Token = None,
) -> int:
    """Cancel the jobs that fit and have not ended: those that wait first, 10,000 at most.

    ```
    jobstream cancel-many --function mail.send --phase scheduled --dry-run
    ```
    """
    body = {
        "queue": queue,
        "phase": phase,
        "function": function,
        "key": key,
        "tag": tag,
        "since": since,
        "until": until,
        "all": everything or None,
        "dry_run": dry_run or None,
        "limit": limit,
        "reason": reason,
    }
    found = ask(http, token, "POST", "/jobs/cancel", body)
    if json:
        show.as_json(found)
    else:
        what = ", ".join(f"{many} {word.replace('_', ' ')}" for word, many in found["counts"].items())
        more = ", and there are more" if found["more"] else ""
        print(f"{found['found']} found{more}" + (f": {what}" if what else ""))
    return Exit.OK


def facts(
    *,
    job: Annotated[str | None, typer.Option("--job", help="Only about this job.")] = None,
    queue: Queue = None,
    function: Function = None,
    key: Key = None,
    fact: Annotated[str | None, typer.Option("--fact", help="Only of this kind, as `died`.")] = None,
    http: Http = None,
    token: Token = None,
) -> int:
    """What happens to jobs, as it happens: one JSON line each, until Ctrl-C.

    ```
    jobstream facts --queue mail --fact died
    ```
    """
    query = {"job": job, "queue": queue, "function": function, "key": key, "fact": fact}
    for line in lines(http, token, "/facts", query):
        if line.startswith("data: "):
            print(line[len("data: ") :], flush=True)
    return Exit.OK


@letters.command("list")
def list_letters(
    *,
    queue: Queue = None,
    function: Function = None,
    key: Key = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    json: AsJson = False,
    http: Http = None,
    token: Token = None,
) -> int:
    """Jobs that were given up, the newest first: of the last day unless --since says otherwise.

    ```
    jobstream letters list --function mail.send --since 2026-11-01
    ```
    """
    query = {
        "queue": queue,
        "function": function,
        "key": key,
        "error": error,
        "since": since,
        "until": until,
        "limit": limit,
    }
    found = ask(http, token, "GET", "/dead-letters", query=query)
    if json:
        show.as_json(found)
    else:
        _table(found["letters"], ("id", "at", "function", "queue", "attempts", "reason"))
    return Exit.OK


@letters.command("show")
def show_letter(
    id: Annotated[str, typer.Argument(help="Id of the job.", show_default=False)],
    *,
    http: Http = None,
    token: Token = None,
) -> int:
    """One dead letter, as JSON: its request, its arguments, every error.

    ```
    jobstream letters show 01KCW3V5E0Q9X2N8Y4T6R7S1AB
    ```
    """
    show.as_json(ask(http, token, "GET", f"/dead-letters/{quote(id)}"))
    return Exit.OK


@letters.command("discard")
def discard(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of dead jobs; all that fit the flags if left out.")
    ] = None,
    *,
    queue: Queue = None,
    function: Function = None,
    error: Error = None,
    since: Since = None,
    everything: Annotated[bool, typer.Option("--all", help="All, where no other flag says which.")] = False,
    limit: Limit = 1_000,
    json: AsJson = False,
    http: Http = None,
    token: Token = None,
) -> int:
    """Want no more of dead letters: they are not listed or redriven from then on. The jobs stay as they are.

    ```
    jobstream letters discard 01KCW3V5E0Q9X2N8Y4T6R7S1AB
    jobstream letters discard --function old.report --since 2026-11-01
    ```
    """
    body = {
        "ids": ids or None,
        "queue": queue,
        "function": function,
        "error": error,
        "since": since,
        "all": everything or None,
        "limit": limit,
    }
    found = ask(http, token, "POST", "/dead-letters/discard", body)
    if json:
        show.as_json(found)
    else:
        print(f"{found['counts'].get('discarded', 0)} of {found['found']} discarded")
    return Exit.OK


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    show.table(None, columns, [tuple(row.get(column) for column in columns) for row in rows])

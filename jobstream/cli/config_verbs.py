"""The verbs about settings: config, config get, config set, pause and resume."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobstream.cli import read, show
from jobstream.cli.exits import Exit
from jobstream.cli.jobs import client_of, run
from jobstream.cli.options import AsJson, Bootstrap, Data, Partitions, Prefix, Relay, Web, settings_of

if TYPE_CHECKING:
    from jobstream.client import Client
    from jobstream.client.config import Entry
    from schemas.settings import Settings

app = typer.Typer(name="config", invoke_without_command=True, rich_markup_mode="markdown")

Queue = Annotated[str, typer.Argument(help="Name of the queue.", show_default=False)]
Note = Annotated[str | None, typer.Option(help="Why, for people.")]
Key = Annotated[
    str, typer.Argument(metavar="ENTRY", help="queue/<name> or function/<name>.", show_default=False)
]


@app.callback()
def settings(
    context: typer.Context,
    *,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    data: Data = None,
    partitions: Partitions = None,
    relay: Relay = None,
    web: Web = None,
) -> int:
    """Settings: of this machine, where no verb follows; of queues and functions with `get` and `set`.

    Without a verb: the settings in force, and where each came from: a flag, the environment,
    jobstream.toml, or the default.

    ```
    jobstream config
    JOBSTREAM_PREFIX=test. jobstream config --json
    ```
    """
    if context.invoked_subcommand is not None:
        return Exit.OK
    from schemas.settings import Settings, environment_name, load

    flags = {
        "bootstrap": bootstrap,
        "prefix": prefix,
        "data": data,
        "partitions": partitions,
        "relay": relay,
        "web": web,
    }
    settings, origins = load(flags)
    if json:
        show.as_json(
            {name: {"value": _told(settings, name), "from": origin} for name, origin in origins.items()}
        )
        return Exit.OK
    rows = [
        (
            field.name,
            settings.shown(field.name),
            origins[field.name],
            environment_name(field.name),
            field.metadata["doc"],
        )
        for field in dataclasses.fields(Settings)
    ]
    show.table(None, ("setting", "value", "from", "variable", "what it is"), rows)
    return Exit.OK


def _told(settings: "Settings", name: str) -> object:
    """A value as JSON has it; of a secret only whether there is one."""
    value = getattr(settings, name)
    return settings.shown(name) if isinstance(value, str) else value


@app.command("get")
def get(
    entry: Annotated[
        str | None,
        typer.Argument(help="queue/<name> or function/<name>; all entries if left out.", show_default=False),
    ] = None,
    *,
    queue: Annotated[
        str | None, typer.Option("--queue", help="The queue of the function's jobs; `default` if left out.")
    ] = None,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> int:
    """What operators say about queues and functions; of one of them, what is in force for its jobs, and why.

    A request's own word comes before all of this: then the function's entry, then the queue's, then what is
    built in.

    ```
    jobstream config get
    jobstream config get queue/mail
    jobstream config get function/mail.send --queue mail
    ```
    """
    settings = settings_of(bootstrap=bootstrap, prefix=prefix)
    return run(_get(client_of(settings), entry, queue, json=json))


@app.command("set")
def set_(
    entry: Key,
    values: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="`NAME=` clears one.", show_default=False)
    ],
    *,
    note: Note = None,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> int:
    """Change what holds for the jobs of a queue or a function that are asked for from then on.

    Names: timeout, heartbeat_timeout, expected, attempts, lost, retry_kind, retry_initial, retry_factor,
    retry_cap, retry_jitter, retention, result_retention, priority; of a queue also order: none, key (jobs of
    one key run one at a time, as they came), key_waits (not behind a dead one) or key_ahead (faster: the next
    begins before it is durable that the one before succeeded). Durations are like 30s, 5m or 1d.

    ```
    jobstream config set queue/mail timeout=30s attempts=8 --note "slow server"
    jobstream config set function/mail.send retry_kind=linear retry_initial=10s timeout=
    ```
    """
    given = dict(_value(text) for text in values)
    settings = settings_of(bootstrap=bootstrap, prefix=prefix)
    return run(_change(client_of(settings), "configure", (entry,), {**given, "note": note}, json=json))


def pause(
    queue: Queue,
    *,
    note: Note = None,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> int:
    """Pause a queue: its jobs are accepted and wait, and say so; those that run go on.

    ```
    jobstream pause mail --note "the mail server moves"
    ```
    """
    settings = settings_of(bootstrap=bootstrap, prefix=prefix)
    return run(_change(client_of(settings), "pause", (queue,), {"note": note}, json=json))


def resume(
    queue: Queue,
    *,
    note: Note = None,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> int:
    """End the pause of a queue: the jobs that waited are given to minions.

    ```
    jobstream resume mail
    ```
    """
    settings = settings_of(bootstrap=bootstrap, prefix=prefix)
    return run(_change(client_of(settings), "resume", (queue,), {"note": note}, json=json))


def _value(text: str) -> tuple[str, Any]:
    """One NAME=VALUE as a setting and its value."""
    from jobstream.client.config import SETTINGS

    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"a setting must be like timeout=30s, got {text!r}")
    kind = SETTINGS[name].kind if name in SETTINGS else "word"
    try:
        if not value:
            return name, None
        if kind == "seconds":
            return name, read.duration(value)
        return name, {"number": float, "whole number": int, "word": str}[kind](value)
    except ValueError:
        raise typer.BadParameter(f"{name} must be a {kind}, got {value!r}") from None


async def _change(
    client: "Client", what: str, args: tuple[str, ...], options: dict[str, Any], *, json: bool
) -> int:
    async with client:
        entry: Entry = await getattr(client, what)(*args, **options)
    if json:
        show.as_json(vars(entry))
    else:
        print(_sentence(entry))
    return Exit.OK


def _sentence(entry: "Entry") -> str:
    """An entry as one line."""
    from schemas.events import QueueConfig
    from streams.core.config import key_of, said_of

    said = [_says(entry)] if said_of(entry) else []
    if isinstance(entry, QueueConfig):
        said.append("paused" if entry.paused else "not paused")
    return f"{key_of(entry)} (version {entry.version}): {', '.join(said) or 'says nothing'}"


def _says(entry: "Entry") -> str:
    """The options that an entry sets."""
    from streams.core.config import said_of

    return ", ".join(f"{name}={show.text(value)}" for name, value in said_of(entry).items())


async def _get(client: "Client", key: str | None, queue: str | None, *, json: bool) -> int:
    from jobstream.client.config import changed
    from streams.core.admission import SPEC
    from streams.core.config import Config

    async with client:
        entries = await client.configs()
    if key is None:
        if json:
            show.as_json({name: vars(entry) for name, entry in entries.items()})
        else:
            rows = [
                (name, each.version, _says(each), getattr(each, "paused", None), each.note, each.by)
                for name, each in entries.items()
            ]
            show.table(None, ("entry", "version", "says", "paused", "note", "by"), rows)
        return Exit.OK
    changed(key, None, {}, None)  # refuses what can be no key
    kind, _, name = key.partition("/")
    of_queue, of_function = (name, "") if kind == "queue" else (queue or "default", name)
    config = Config.of(entries.values())
    options = (*config.in_force(of_queue, of_function, SPEC), config.order(of_queue))
    if json:
        found = {option.name: {"value": option.value, "from": option.origin} for option in options}
        show.as_json({"paused": config.paused(of_queue), "in_force": found})
        return Exit.OK
    show.table(None, ("option", "value", "from"), [dataclasses.astuple(option) for option in options])
    if config.paused(of_queue):
        note = config.queues[of_queue].note
        print(f"queue {of_queue} is paused" + (f": {note}" if note else ""))
    return Exit.OK

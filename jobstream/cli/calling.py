"""The verb `call`: has a minion run a function now, and prints what it answers. It speaks to relays, and
needs no Kafka.
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobstream.cli import read
from jobstream.cli.exits import Exit
from jobstream.cli.jobs import run
from jobstream.cli.options import Relay, settings_of

if TYPE_CHECKING:
    from jobstream.caller import OpenCall, Said


def call(  # a call's options are flags
    function: Annotated[str, typer.Argument(help="Name of the function.", show_default=False)],
    args: Annotated[
        str | None,
        typer.Argument(
            help="Its arguments: a JSON object (by name) or array (by position); - reads standard input.",
            show_default=False,
        ),
    ] = None,
    *,
    relay: Relay = None,
    area: Annotated[
        list[str] | None, typer.Option(metavar="AREA[=TIME]", help="Where to look first; may be repeated.")
    ] = None,
    within: Annotated[
        float | None,
        typer.Option(parser=read.duration, metavar="TIME", help="To look for a minion."),
    ] = None,
    limit: Annotated[
        float | None, typer.Option(parser=read.duration, metavar="TIME", help="How long it may run.")
    ] = None,
    unique: Annotated[
        str, typer.Option(metavar="TEXT", help="Calls with the same one, while under way, share one run.")
    ] = "",
    priority: Annotated[str, typer.Option(metavar="high|normal|low", help="Before others?")] = "normal",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what the function says meanwhile, and who ran it.")
    ] = False,
) -> int:
    """Have a minion run a function now, and print what it answers. Nothing is kept: a call that nobody
    takes in time is over. --relay may name several relays, which are asked in turn.

    ```
    jobstream call mail.render '{"template": "welcome"}'
    jobstream call pdf.render --area eu=200ms --within 5s --relay edge-1:7071,edge-2:7071
    ```
    """
    from jobstream.errors import BadRequest

    if priority not in ("high", "normal", "low"):
        raise BadRequest(f"priority must be high, normal or low, got {priority!r}")
    settings = settings_of(relay=relay)
    options: dict[str, Any] = {
        "areas": [_area(each) for each in area or ()],
        "limit": limit,
        "unique": unique,
        "priority": priority,
        "said": _say if verbose else None,
    }
    if within is not None:
        options["within"] = within
    return run(_call(settings.relay, function, _given(args), options, verbose=verbose))


def _given(args: str | None) -> Any:
    if args is None:
        return None
    return read.arguments(sys.stdin.read() if args == "-" else args)


async def _call(relays: str, function: str, args: Any, options: dict[str, Any], *, verbose: bool) -> int:
    from jobstream.caller import Caller

    async with Caller(relays, name="jobstream call") as caller:
        answer = await caller.answer(function, args, **options)
    if isinstance(answer.value, bytes):
        sys.stdout.flush()
        sys.stdout.buffer.write(answer.value)
    else:
        sys.stdout.write(f"{json.dumps(answer.value, ensure_ascii=False)}\n")
    if verbose:
        who = "answered from the cache" if answer.cached and not answer.minion else f"minion {answer.minion}"
        where = f", area {answer.area}" if answer.area else ""
        sys.stderr.write(
            f"{who}{where}, relay {answer.relay}: waited {answer.waited_ms} ms, ran {answer.ran_ms} ms\n"
        )
    return Exit.OK


def _say(said: "Said", _: "OpenCall") -> None:
    words = f"{said.done} of {said.total}" if said.kind == "status" else said.data.decode(errors="replace")
    sys.stderr.write(f"{said.kind}: {words}\n")


def _area(text: str) -> str | tuple[str, float]:
    name, separator, time = text.partition("=")
    return (name, read.duration(time)) if separator else name

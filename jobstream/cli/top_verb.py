"""The verb `top`: hands over to the terminal view."""

from typing import Annotated

import typer

from jobstream.cli.exits import Exit
from jobstream.cli.options import Http, settings_of
from jobstream.errors import BadRequest


def top(
    *,
    http: Http = None,
    token: Annotated[
        str,
        typer.Option(
            envvar="JOBSTREAM_TOKEN",
            help="What is shown to the HTTP service, if it wants a token; its scope is read.",
        ),
    ] = "",
) -> int:
    """Watch what goes on, in the terminal: queues, functions, minions, what fails. Enter looks closer.

    It asks the HTTP service, and needs the extra top (pip install 'jobstream[top]').

    ```
    jobstream top
    jobstream top --http 10.0.0.5:8088
    ```
    """
    try:
        from jobstream.top.app import Top
    except ModuleNotFoundError as missing:
        raise BadRequest(
            f"jobstream top needs the extra top, which is not installed ({missing.name} is missing):"
            " pip install 'jobstream[top]'"
        ) from None
    from jobstream.top.source import Source

    Top(Source(settings_of(http=http).http_url, token)).run()
    return Exit.OK

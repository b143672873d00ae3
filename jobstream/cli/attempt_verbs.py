"""The verbs of whoever runs an attempt by hand or from a shell, `receipt` and `heartbeat`, and those that ask
how the HTTP service itself is, `health` and `metrics`.

They need no Kafka: what they say is what the service answers.
"""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from jobstream.cli import read, show
from jobstream.cli.exits import Exit
from jobstream.cli.options import AsJson, Http
from jobstream.cli.service import Token, ask, text

Id = Annotated[str, typer.Argument(help="Id of the job.", show_default=False)]
AttemptToken = Annotated[
    str | None,
    typer.Option(
        "--attempt-token",
        envvar="JOBSTREAM_ATTEMPT_TOKEN",
        help="The token that came with the attempt; functions named in `http_trust` need none.",
    ),
]


def receipt(
    id: Id,
    status: Annotated[
        str,
        typer.Argument(
            help="How it ended: `success`, `failure`, `snooze` or `cancelled`.", show_default=False
        ),
    ],
    *,
    result: Annotated[str | None, typer.Option(metavar="JSON", help="What came of it.")] = None,
    error: Annotated[str | None, typer.Option(metavar="TEXT", help="Of a failure: what is wrong.")] = None,
    error_type: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a failure: the kind of error.")
    ] = None,
    retry_after: Annotated[
        float | None, typer.Option(parser=read.duration, metavar="TIME", help="Not again before so long.")
    ] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Of a failure: there is no use in retrying.")
    ] = False,
    snooze: Annotated[
        float | None, typer.Option(parser=read.duration, metavar="TIME", help="Of a snooze: for how long.")
    ] = None,
    attempt_token: AttemptToken = None,
    json: AsJson = False,
    http: Http = None,
    token: Token = None,
) -> int:
    """Say how an attempt ended: what a function behind a URL tells by its receipt, from a shell.

    ```
    jobstream receipt 01KCW3V5E0Q9X2N8Y4T6R7S1AB success --result '{"sent": 3}'
    jobstream receipt 01KCW3V5E0Q9X2N8Y4T6R7S1AB failure --error "the disk is full"
    ```
    """
    named = {name: found for name, found in (("message", error), ("type", error_type)) if found is not None}
    body: dict[str, Any] = {
        "status": status,
        "result": None if result is None else read.value(result),
        "error": named or None,
        "retry_after": retry_after,
        "non_retryable": final or None,
        "snooze": snooze,
        "token": attempt_token,
    }
    return _told(ask(http, token, "POST", f"/job/{quote(id)}/receipt", body), json=json)


def heartbeat(
    id: Id,
    *,
    step: Annotated[str | None, typer.Option(metavar="TEXT", help="Where it is.")] = None,
    done: Annotated[int | None, typer.Option(metavar="N", help="How much is done.")] = None,
    total: Annotated[int | None, typer.Option(metavar="N", help="How much there is.")] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="JSON", help="Where the next attempt goes on.")
    ] = None,
    attempt_token: AttemptToken = None,
    json: AsJson = False,
    http: Http = None,
    token: Token = None,
) -> int:
    """Say that an attempt is alive, and how far it is.

    ```
    jobstream heartbeat 01KCW3V5E0Q9X2N8Y4T6R7S1AB --step render --done 3 --total 10
    ```
    """
    body: dict[str, Any] = {
        "step": step,
        "done": done,
        "total": total,
        "checkpoint": None if checkpoint is None else read.value(checkpoint),
        "token": attempt_token,
    }
    return _told(ask(http, token, "POST", f"/job/{quote(id)}/heartbeat", body), json=json)


def health(*, json: AsJson = False, http: Http = None, token: Token = None) -> int:
    """Whether the HTTP service is alive, and reaches Kafka and the streams workers; exit code 3 if not.

    ```
    jobstream health
    ```
    """
    told = {**ask(http, token, "GET", "/healthz"), **ask(http, token, "GET", "/readyz")}
    return _told(told, json=json)


def metrics(*, http: Http = None, token: Token = None) -> int:
    """What the HTTP service counts, in Prometheus' form.

    ```
    jobstream metrics
    ```
    """
    print(text(http, token, "GET", "/metrics").decode(), end="")
    return Exit.OK


def _told(told: dict[str, Any], *, json: bool) -> int:
    if json:
        show.as_json(told)
    else:
        print(" ".join(f"{name}={found}" for name, found in told.items()))
    return Exit.OK

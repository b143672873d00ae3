"""Flags that several verbs share, and the settings they lead to. Flags come before the environment and the
file.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobstream.cli import read

if TYPE_CHECKING:
    from schemas.settings import Settings

_WHERE = "Where things are"

Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        metavar="HOST:PORT",
        help="Kafka's address. Else JOBSTREAM_BOOTSTRAP.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option(
        "--prefix",
        metavar="TEXT",
        help="What the topics' names begin with. Else JOBSTREAM_PREFIX.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Web = Annotated[
    str | None,
    typer.Option(
        "--web",
        metavar="HOST:PORT",
        help="Address of the status pages. Else JOBSTREAM_WEB.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Http = Annotated[
    str | None,
    typer.Option(
        "--http",
        metavar="HOST:PORT",
        help="Address of the HTTP service. Else JOBSTREAM_HTTP.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Relay = Annotated[
    str | None,
    typer.Option(
        "--relay",
        metavar="HOST:PORT",
        help="Address of the relay. Else JOBSTREAM_RELAY.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Gearman = Annotated[
    str | None,
    typer.Option(
        "--gearman",
        metavar="HOST:PORT",
        help="Address for Gearman clients and workers. Else JOBSTREAM_GEARMAN.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Where the dev cluster keeps its data. Else JOBSTREAM_DATA.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Partitions = Annotated[
    int | None,
    typer.Option(
        "--partitions",
        metavar="N",
        help="Partitions of new topics; fixed for the life of a prefix. Else JOBSTREAM_PARTITIONS.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value, for machines.")]


_HOW = "How the job runs"

Priority = Annotated[
    str | None,
    typer.Option(metavar="1-5", help="1 is the most urgent; or high, normal, low.", rich_help_panel=_HOW),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", help="A word to find the job by; may be repeated.", rich_help_panel=_HOW),
]
Retrying = Annotated[
    Any,
    typer.Option(
        "--retry",
        parser=read.retry,
        metavar="POLICY",
        help="As kind=linear,initial=1s,cap=5m,factor=2,jitter=0.1,lost=3,never=ValueError.",
        rich_help_panel=_HOW,
    ),
]
Deadline = Annotated[
    float | None,
    typer.Option(
        parser=read.duration,
        metavar="TIME",
        help="Allowed for all attempts together.",
        rich_help_panel=_HOW,
    ),
]
ExpiresAfter = Annotated[
    float | None,
    typer.Option(
        parser=read.duration,
        metavar="TIME",
        help="Not started so long after it could have been.",
        rich_help_panel=_HOW,
    ),
]
Retention = Annotated[
    float | None,
    typer.Option(
        parser=read.duration,
        metavar="TIME",
        help="How long it is known after its end.",
        rich_help_panel=_HOW,
    ),
]
ResultRetention = Annotated[
    float | None,
    typer.Option(
        parser=read.duration,
        metavar="TIME",
        help="How long its result is kept; 0: not at all.",
        rich_help_panel=_HOW,
    ),
]


def settings_of(**flags: object) -> "Settings":
    """The settings in force, given the flags of a verb; those that were not typed are None.

    Raises:
        BadSetting: A value outside its limits.
    """
    from schemas.settings import load

    return load(flags)[0]

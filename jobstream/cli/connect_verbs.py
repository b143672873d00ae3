"""The verbs about the log as tables in PostgreSQL: connect up, apply, status, replay, plugins, image."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobstream.cli import show
from jobstream.cli.exits import Exit
from jobstream.cli.options import AsJson, Bootstrap, Data, Prefix, settings_of

if TYPE_CHECKING:
    from jobstream.connect.connectors import Place
    from schemas.settings import Settings

app = typer.Typer(
    name="connect",
    help="The log as tables in PostgreSQL, by Kafka Connect (docs/sql.md).",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_WHERE = "Where things are"
Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="PostgreSQL, as postgresql://user:password@host:port/name. Else JOBSTREAM_DATABASE.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--connect",
        metavar="HOST:PORT",
        help="Kafka Connect's REST API. Else JOBSTREAM_CONNECT.",
        rich_help_panel=_WHERE,
        show_default=False,
    ),
]
Schema = Annotated[str, typer.Option(help="Of the database, for the tables.", rich_help_panel=_WHERE)]
Outbox = Annotated[bool, typer.Option("--outbox", help="An outbox table, too, whose rows become jobs.")]
Confluent = Annotated[
    bool,
    typer.Option("--confluent", help="Use Confluent's Avro converter, which the worker must have."),
]


@app.command()
def up(
    *,
    outbox: Outbox = False,
    schema: Schema = "jobstream",
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    data: Data = None,
    connect: Address = None,
    database: Database = None,
) -> int:
    """Run Kafka Connect beside a dev cluster: facts become rows. Ctrl-C stops it.

    It needs `jobstream up`, or another Kafka with the topics; Java 17 or newer; the extra `sql`; and
    PostgreSQL's server (Debian package postgresql), or a database of yours. Connect and its connectors (70
    MB) are fetched once.

    ```
    jobstream connect up
    jobstream connect up --outbox --database postgresql://me:secret@127.0.0.1:5432/shop
    ```
    """
    from jobstream.connect.names import schema as checked
    from jobstream.connect.up import up as run_up

    settings = settings_of(bootstrap=bootstrap, prefix=prefix, data=data, connect=connect, database=database)
    return run_up(settings, schema=checked(schema), outbox=outbox, say=show.talk)


@app.command()
def apply(
    *,
    outbox: Outbox = False,
    confluent: Confluent = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay, and start tasks again that fail, until Ctrl-C.")
    ] = False,
    schemas: Annotated[
        str,
        typer.Option(metavar="URL", help="The registry for the worker, if JOBSTREAM_REGISTRY names none."),
    ] = "http://127.0.0.1:8081",
    schema: Schema = "jobstream",
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    connect: Address = None,
    database: Database = None,
) -> int:
    """Make the tables and the connectors on a Kafka Connect of yours, or bring them up to date.

    Safe to repeat. A password as `${env:NAME}` is handed on as it is, for the worker to fill in; the tables
    are then made with PGPASSWORD.

    ```
    jobstream connect apply --connect connect-1:8083 --database postgresql://me:secret@db-1/shop
    ```
    """
    from jobstream.connect import applying
    from jobstream.connect.keeping import keep_running
    from jobstream.connect.rest import Worker

    settings = settings_of(bootstrap=bootstrap, prefix=prefix, connect=connect, database=database)
    place = _place(settings, schema, settings.registry or schemas, confluent=confluent)
    worker = Worker(settings.connect)
    if keep:
        applying.learn(settings)
    made = applying.apply(worker, place, settings.kafka, with_outbox=outbox)
    show.talk(f"{' and '.join(made)} run at {worker.url}, into {place.database.shown}, schema {place.schema}")
    keeper = applying.Keeper(worker, place, settings.kafka, made, show.talk)
    return keep_running(keeper, settings) if keep else Exit.OK


@app.command()
def status(
    *, json: AsJson = False, bootstrap: Bootstrap = None, prefix: Prefix = None, connect: Address = None
) -> int:
    """How the connectors are: state, what failed and why, how many records behind, how many refused.

    Exits 1 if one does not run.

    ```
    jobstream connect status
    ```
    """
    from jobstream.connect.status import look

    rows = look(settings_of(bootstrap=bootstrap, prefix=prefix, connect=connect))
    if json:
        show.as_json([vars(row) for row in rows])
    else:
        columns = ("connector", "state", "tasks", "behind", "refused", "why")
        cells = [(r.connector, r.state, " ".join(r.tasks), r.behind, r.refused, r.why) for r in rows]
        show.table(None, columns, cells, right=("behind", "refused"))
    return Exit.OK if rows and all(row.runs for row in rows) else Exit.NO


@app.command()
def replay(*, prefix: Prefix = None, connect: Address = None) -> int:
    """Have the sink write everything that the topics still have again. Rows that are there stay as they are.

    For tables that were lost or emptied, and after records were refused for want of a schema.

    ```
    jobstream connect replay
    ```
    """
    from jobstream.connect.names import sink
    from jobstream.connect.rest import Worker

    settings = settings_of(prefix=prefix, connect=connect)
    Worker(settings.connect).forget_offsets(sink(settings.prefix))
    show.talk("the sink reads its topics from the beginning")
    return Exit.OK


@app.command()
def plugins(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there.", show_default=False)],
) -> int:
    """Fetch the connectors, the driver and the converter into a folder, for the `plugin.path` of a worker.

    ```
    jobstream connect plugins /opt/connect/plugins
    ```
    """
    from jobstream.connect.worker import lay_out

    lay_out(folder, show.talk)
    return Exit.OK


@app.command()
def image(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there.", show_default=False)],
    *,
    bootstrap: Bootstrap = None,
    connect: Address = None,
    prefix: Prefix = None,
) -> int:
    """Fetch all that a worker in a container needs into a folder, which it has at `/opt/connect`.

    Its settings are these, with where it listens as `--connect`. docker-compose.yml does so.

    ```
    jobstream connect image ./connect --bootstrap kafka-1:9092 --connect connect-1:8083
    ```
    """
    from jobstream.connect.worker import lay_out_image

    settings = settings_of(bootstrap=bootstrap, connect=connect, prefix=prefix)
    home = Path("/opt/connect")
    lay_out_image(folder, home, settings.kafka, settings.prefix, settings.connect, show.talk)
    return Exit.OK


def _place(settings: "Settings", schema: str, registry: str, *, confluent: bool) -> "Place":
    from jobstream.connect.connectors import Place
    from jobstream.connect.names import Database as Address
    from jobstream.connect.names import schema as checked
    from schemas.settings import BadSetting
    from schemas.topics import Topics

    if not settings.database:
        raise BadSetting(
            "database must name a PostgreSQL, as postgresql://user:password@host:port/name, got ''"
        )
    topics = Topics(settings.prefix, settings.partitions)
    return Place(topics, Address.of(settings.database), checked(schema), registry, confluent)

"""The verbs about topics: apply, check, docs."""

from typing import Annotated

import typer

from jobstream.cli import show
from jobstream.cli.exits import Exit
from jobstream.cli.options import AsJson, Bootstrap, Partitions, Prefix, settings_of

app = typer.Typer(
    name="topics",
    help="Make the Kafka topics, check them against the catalogue, or print the catalogue.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.command()
def apply(
    *,
    queue: Annotated[
        list[str] | None, typer.Option(help="A queue that shall be there; may be repeated.")
    ] = None,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    partitions: Partitions = None,
) -> int:
    """Create the topics that are missing and set the settings that differ. Safe to repeat.

    It never removes a topic, and never changes a number of partitions.

    ```
    jobstream topics apply
    jobstream topics apply --queue mails --queue reports
    ```
    """
    from jobstream.topics import apply as apply_topics
    from schemas.topics import Topics

    settings = settings_of(bootstrap=bootstrap, prefix=prefix, partitions=partitions)
    changes = apply_topics(settings.kafka, Topics(settings.prefix, settings.partitions), queue or ())
    if json:
        show.as_json([vars(change) for change in changes])
    elif changes:
        show.table(None, ("topic", "done", "detail"), [(c.topic, c.done, c.detail) for c in changes])
    else:
        print(f"all topics with the prefix {settings.prefix} at {settings.bootstrap} are as they shall be")
    return Exit.OK


@app.command()
def check(
    *, json: AsJson = False, bootstrap: Bootstrap = None, prefix: Prefix = None, partitions: Partitions = None
) -> int:
    """Tell every way in which the topics and the broker are not as they shall be. Changes nothing.

    Exits 1 if there is any.

    ```
    jobstream topics check --bootstrap kafka-1:9092 --partitions 32
    ```
    """
    from jobstream.topics import check as check_topics
    from schemas.topics import Topics

    settings = settings_of(bootstrap=bootstrap, prefix=prefix, partitions=partitions)
    faults = check_topics(settings.kafka, Topics(settings.prefix, settings.partitions))
    if json:
        show.as_json(faults)
    else:
        for fault in faults:
            print(fault)
        if not faults:
            print(
                f"all topics with the prefix {settings.prefix} at {settings.bootstrap} are as they shall be"
            )
    return Exit.NO if faults else Exit.OK


@app.command()
def docs(*, prefix: Prefix = None, partitions: Partitions = None) -> int:
    """Print the catalogue of topics as a page in Markdown. Needs no Kafka.

    ```
    jobstream topics docs > docs/topics.md
    ```
    """
    from jobstream.topics import docs as topics_page
    from schemas.topics import Topics

    settings = settings_of(prefix=prefix, partitions=partitions)
    print(topics_page(Topics(settings.prefix, settings.partitions)), end="")
    return Exit.OK

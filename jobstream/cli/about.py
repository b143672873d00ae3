"""The verbs about Jobstream itself: config and version."""

import dataclasses

from jobstream.cli import show
from jobstream.cli.exits import Exit
from jobstream.cli.options import AsJson, Bootstrap, Data, Partitions, Prefix, Relay, Web


def config(
    *,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    data: Data = None,
    partitions: Partitions = None,
    relay: Relay = None,
    web: Web = None,
) -> int:
    """Print the settings in force, and where each came from: a flag, the environment, jobstream.toml, or the
    default.

    ```
    jobstream config
    JOBSTREAM_PREFIX=test. jobstream config --json
    ```
    """
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
            {name: {"value": getattr(settings, name), "from": origin} for name, origin in origins.items()}
        )
        return Exit.OK
    rows = [
        (
            field.name,
            getattr(settings, field.name),
            origins[field.name],
            environment_name(field.name),
            field.metadata["doc"],
        )
        for field in dataclasses.fields(Settings)
    ]
    show.table(None, ("setting", "value", "from", "variable", "what it is"), rows)
    return Exit.OK


def version(*, json: AsJson = False) -> int:
    """Print the version of Jobstream.

    ```
    jobstream version
    ```
    """
    from importlib.metadata import version as installed

    found = installed("jobstream")
    if json:
        show.as_json({"version": found})
    else:
        print(f"jobstream {found}")
    return Exit.OK

"""The verbs that run something until it is told to stop: up, minion, relay, streams, registry, demo. Each
hands over to the part that does it, with the flags as the environment of this process.
"""

import os
from enum import StrEnum
from typing import Annotated

import typer

from jobstream.cli import read, show
from jobstream.cli.exits import Exit
from jobstream.cli.options import Bootstrap, Data, Gearman, Http, Partitions, Prefix, Relay, Web


def up(
    *,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    data: Data = None,
    partitions: Partitions = None,
    relay: Relay = None,
    web: Web = None,
    http: Http = None,
    gearman: Gearman = None,
) -> int:
    """Start the whole cluster on this machine: Kafka, the topics, the streams worker, the relay, the HTTP
    service. Ctrl-C stops it.

    Kafka is fetched once and cached; it needs Java 17 or newer. Its data stays in .jobstream unless --data
    says otherwise. With JOBSTREAM_BOOTSTRAP or --bootstrap that Kafka is used, and none is started. What
    ends by itself is started again.

    ```
    jobstream up
    jobstream up --data /tmp/try --relay 127.0.0.1:7171
    ```
    """
    from jobstream.cluster.up import up as run_up
    from schemas.settings import load

    flags = {
        "bootstrap": bootstrap,
        "prefix": prefix,
        "data": data,
        "partitions": partitions,
        "relay": relay,
        "web": web,
        "http": http,
        "gearman": gearman,
    }
    settings, origins = load(flags)
    return run_up(settings, given_kafka=origins["bootstrap"] != "default", tell=show.talk)


def minion(
    modules: Annotated[
        list[str], typer.Argument(help="Modules that declare functions, as `shop.mails`.", show_default=False)
    ],
    *,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Attempts at once; 100, or the cores for plain functions, if left out."
        ),
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(help="A queue to serve; may be repeated. Those of the functions if left out."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of this minion, for people.")] = None,
    grace: Annotated[
        float | None,
        typer.Option(
            parser=read.duration, metavar="TIME", help="To finish what runs, when it is told to go away."
        ),
    ] = None,
    relay: Relay = None,
) -> int:
    """Run the functions of one or more modules, as a worker of the relay. Ctrl-C lets it finish what runs.

    SIGTERM drains up to --grace and hands the rest back; SIGQUIT hands everything back at once.

    ```
    jobstream minion shop.mails --concurrency 20
    jobstream minion shop.mails shop.reports --queue reports
    ```
    """
    from jobstream.cli.options import settings_of
    from jobstream.minion import run_modules
    from jobstream.minion.minion import GRACE_S
    from jobstream.minion.wire import wire_of

    settings = settings_of(relay=relay)
    return run_modules(
        modules,
        settings=settings,
        relay=settings.relay,
        wire=wire_of(settings),
        concurrency=concurrency,
        name=name,
        queues=queue,
        grace=GRACE_S if grace is None else grace,
    )


class RelayDoes(StrEnum):
    """What `jobstream relay` does."""

    RUN = "run"
    STATUS = "status"


def relay(
    does: Annotated[
        RelayDoes, typer.Argument(metavar="[run|status]", help="Run one, or say what one does.")
    ] = RelayDoes.RUN,
    *,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    relay: Relay = None,
    gearman: Gearman = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="What brings minions when there is work for them."),
    ] = None,
    calls_only: Annotated[
        bool, typer.Option("--calls-only", help="Without Kafka: foreground calls only.")
    ] = False,
) -> int:
    """Run a relay: it takes dispatched jobs from Kafka and gives them to minions over gRPC.

    `jobstream up` runs one for you; this is for a cluster of your own. `status` asks one that runs: sessions,
    leases, credits, what waits and for what. It starts minions itself if jobstream.toml has `pools`, or
    --scheduler names who does. With --calls-only it needs no Kafka, keeps nothing, and has foreground calls
    only.

    Beyond loopback it wants tokens, or certificates of its minions (`relay_tokens`, `relay_clients`), unless
    `relay_open` is yes.

    ```
    jobstream relay --bootstrap kafka-1:9092 --relay 0.0.0.0:7071
    jobstream relay --scheduler shop.fleet:Fleet
    jobstream relay status --relay edge-1:7071
    ```
    """
    if does is RelayDoes.STATUS:
        from jobstream.cli.options import settings_of
        from jobstream.cli.relay_status import say

        return say(settings_of(relay=relay))
    _export(
        bootstrap=bootstrap,
        prefix=prefix,
        relay=relay,
        gearman=gearman,
        scheduler=scheduler,
        calls_only="yes" if calls_only else None,
    )
    from relay.main import main

    main()
    return Exit.OK


def gateway(
    *,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    http: Http = None,
    web: Web = None,
    relay: Relay = None,
    calls_only: Annotated[
        bool, typer.Option("--calls-only", help="Without Kafka: foreground calls only.")
    ] = False,
) -> int:
    """Run the HTTP service: asks for jobs, tells of them and changes them, for whoever speaks HTTP.

    `jobstream up` runs one for you; this is for a cluster of your own. Beyond loopback it wants tokens
    (`http_tokens`); docs/http.md tells of all that it does.

    ```
    jobstream gateway --bootstrap kafka-1:9092 --http 127.0.0.1:8088
    jobstream gateway --calls-only --relay edge-1:7071,edge-2:7071
    ```
    """
    from jobstream.cli.options import settings_of
    from jobstream.gateway.main import main

    only = "yes" if calls_only else None
    return main(
        settings_of(bootstrap=bootstrap, prefix=prefix, http=http, web=web, relay=relay, calls_only=only)
    )


def gearman(
    *,
    port: Annotated[
        int | None, typer.Option("--port", "-p", metavar="N", help="Of 127.0.0.1. Else as --gearman says.")
    ] = None,
    gearman: Gearman = None,
    timeouts: Annotated[
        bool, typer.Option("--timeouts", help="Take only workers that give a timeout with each function.")
    ] = False,
) -> int:
    """Run the Gearman door alone: foreground jobs between Gearman clients and workers, without Kafka.

    A relay has the same door, with background jobs and minions, where the setting `gearman` says.

    ```
    jobstream gearman -p 4731
    gearman -p 4731 -w -f wc -- wc -l
    ```
    """
    import logging

    from jobstream.cli.options import settings_of
    from relay.doors.gearman.serve import ADDRESS, main
    from schemas.settings import address

    settings = settings_of(gearman=gearman)
    where = settings.gearman or ADDRESS if port is None else address("port", f"127.0.0.1:{port}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    required = timeouts or settings.gearman_timeouts == "yes"
    main(settings, where, timeouts_required=required)
    return Exit.OK


def streams(
    *, bootstrap: Bootstrap = None, prefix: Prefix = None, partitions: Partitions = None, web: Web = None
) -> None:
    """Run a streams worker: it decides about jobs, keeps their state, and shows it on pages.

    `jobstream up` runs one for you; this is for a cluster of your own.

    ```
    jobstream streams --bootstrap kafka-1:9092
    ```
    """
    _export(bootstrap=bootstrap, prefix=prefix, partitions=partitions, web=web)
    from streams.main import main

    main()


def registry(
    *,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where it listens; on loopback if left out.")
    ] = "127.0.0.1:8081",
    prefix: Prefix = None,
) -> int:
    """Serve the schemas as a schema registry does, to be read: for Confluent deserializers and Kafka Connect.

    It needs no Kafka. Services that have a registry of yours (JOBSTREAM_REGISTRY) do without it.

    ```
    jobstream registry
    curl http://127.0.0.1:8081/subjects
    ```
    """
    from jobstream.cli.options import settings_of
    from jobstream.registry import run
    from schemas.settings import address
    from schemas.telemetry.process import Telemetry
    from schemas.topics import Topics

    settings = settings_of(prefix=prefix)
    telemetry = Telemetry(settings, "registry")
    telemetry.begin()
    try:
        return run(Topics(settings.prefix), address("listen", listen), show.talk)
    finally:
        telemetry.end()


def demo(
    *,
    files: Annotated[
        int | None, typer.Option(metavar="N", help="Measure so many files at most; all if left out.")
    ] = None,
    data: Data = None,
) -> int:
    """Run jobs over the Python standard library on a real Kafka, break things on the way, and check the
    result.

    Starts a cluster of its own, with its data in the folder `demo` of --data, and stops it. Exits 1 if a job
    was lost, or if any result differs from the same figures computed directly.

    ```
    jobstream demo
    jobstream demo --files 100
    ```
    """
    from pathlib import Path

    from jobstream.cli.options import settings_of
    from jobstream.demo.main import main

    return main(Path(settings_of(data=data).data) / "demo", files)


def _export(**flags: object) -> None:
    """Makes flags what the services read: variables of this process. Settings that cannot be are told
    first.
    """
    from schemas.settings import environment_name, load

    load(flags)
    for name, value in flags.items():
        if value is not None:
            os.environ[environment_name(name)] = str(value)

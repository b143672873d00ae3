"""The verbs that explain: doctor, for a cluster, and why, for a job."""

from typing import TYPE_CHECKING, Annotated

import typer

from jobstream.cli import show
from jobstream.cli.exits import Exit
from jobstream.cli.options import AsJson, Bootstrap, Http, Partitions, Prefix, Relay, Web, settings_of

if TYPE_CHECKING:
    from schemas.events import Fact
    from schemas.settings import Settings

SIGNS = {"ok": "ok     ", "advice": "advice ", "fault": "FAULT  "}


def doctor(
    *,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    partitions: Partitions = None,
    relay: Relay = None,
    web: Web = None,
    http: Http = None,
) -> int:
    """Look at the whole cluster, and say in a sentence each what is well, what could be better, and what is
    wrong.

    Looks at Kafka, topics, schemas, streams workers, relays and minions, the HTTP service, clocks, versions,
    lag, queues, and how the jobs of the last minutes are spread over keys and partitions. Changes nothing.
    Exits 1 if something is wrong.

    ```
    jobstream doctor
    jobstream doctor --bootstrap kafka-1:9092 --relay edge-1:7071
    ```
    """
    from jobstream.doctor.findings import Grade, findings
    from jobstream.doctor.look import look

    settings = settings_of(
        bootstrap=bootstrap, prefix=prefix, partitions=partitions, relay=relay, web=web, http=http
    )
    found = findings(look(settings))
    if json:
        show.as_json([vars(finding) for finding in found])
    else:
        for finding in found:
            print(f"{SIGNS[finding.grade]}{finding.about}: {finding.sentence}")
    return Exit.NO if any(finding.grade is Grade.FAULT for finding in found) else Exit.OK


def why(
    id: Annotated[str, typer.Argument(help="Id of the job.", show_default=False)],
    *,
    key: Annotated[
        str | None, typer.Option("--key", help="The job's partition key, if it has one of its own.")
    ] = None,
    json: AsJson = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
    partitions: Partitions = None,
    web: Web = None,
) -> int:
    """Tell all that is known of one job, in order: what happened to it, how it stands, what comes, and why.

    Reads the job's facts, which Kafka keeps for a week, and its status page. Exits 1 if nothing is known of
    it.

    ```
    jobstream why 01JGFJJZ3VMQRPET8N9GZX9BZ3
    jobstream why invoice-17 --key customer-9
    ```
    """
    from jobstream.client.pages import Pages
    from jobstream.doctor.why import lines
    from jobstream.errors import JobUnknown, NotReachable

    settings = settings_of(bootstrap=bootstrap, prefix=prefix, partitions=partitions, web=web)
    status = None
    try:
        status = Pages(f"http://{settings.web}").status(id, key)
    except (JobUnknown, NotReachable):
        show.talk(f"no status page at {settings.web} shows job {id}; this is what Kafka tells")
    told = list(lines(_facts(settings, id, key if status is None else status["key"]), status))
    if json:
        show.as_json([{"at": at, "what": what} for at, what in told])
    else:
        for at, what in told:
            print(f"{at}  {what}")
    if not told:
        show.talk(
            f"nothing is known of job {id}" + ("" if key else "; if it has a key of its own, give --key")
        )
        return Exit.NO
    return Exit.OK


def _facts(settings: "Settings", id: str, key: str | None) -> "list[Fact]":
    """The facts of a job, in order: at the home of its key, else where its id says."""
    from jobstream.client.whole import read
    from schemas.codec import Undecodable, decode
    from schemas.events import Fact
    from schemas.keys import home
    from schemas.names import likely_homes
    from schemas.registered import adopt
    from schemas.topics import Topics

    adopt(settings)
    topics = Topics(settings.prefix, settings.partitions)
    homes = [home(key, topics.partitions)] if key else list(likely_homes(id, topics.partitions))
    found = []
    for message in read(settings.kafka, topics.facts, homes):
        try:
            fact = decode(message.value() or b"", (Fact,))
        except Undecodable:
            continue
        if fact.job == id:
            found.append(fact)
    return found

"""Looks at a cluster for the doctor: asks Kafka, the workers' pages, the relays and the HTTP service, each
once.

Changes nothing, but that a configured registry is given the schemas, as by every process. What does not
answer is noted with the reason and never ends the look; only without Kafka there is nothing to look at.
"""

import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final

from jobstream.client.metadata import Metadata
from jobstream.client.whole import read
from jobstream.client.workers import read_workers
from jobstream.doctor.findings import (
    Asked,
    ConnectorSeen,
    Minion,
    RelaySeen,
    Seen,
    SlotSeen,
    WorkerSeen,
)
from jobstream.errors import NotReachable, TopicsMissing
from jobstream.topics import check
from schemas.codec import Undecodable, decode
from schemas.events import Fact
from schemas.registered import RegistryFailed, adopt
from schemas.settings import DNS, Settings
from schemas.telemetry import catalogue
from schemas.telemetry.process import version
from schemas.times import parse_time
from schemas.topics import Topics
from schemas.words import FactKind

ANSWER_S: Final = 5.0
"""How long a process may take to answer."""

FACTS_MS: Final = 15 * 60_000
"""How far back it looks for jobs that were asked for."""

ASKED_MAX: Final = 5_000
"""The latest jobs that it looks at."""

FACTS_EACH: Final = 8
"""Facts of a job, about: so many times as many of them are read, however busy the cluster is."""

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.ASCII)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"', re.ASCII)

_OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
"""Proxies of the environment are for other people's pages."""


def look(settings: Settings) -> Seen:
    """All that can be seen. Blocks, for some seconds.

    Raises:
        NotReachable: Kafka does not answer.
    """
    metadata = Metadata(settings.kafka)
    topics = Topics(settings.prefix, settings.partitions)
    seen = Seen(settings.partitions, time.time_ns() // 1_000_000, version())
    seen.topic_faults = check(settings.kafka, topics)
    seen.brokers = metadata.brokers()
    try:
        adopt(settings, patience_s=ANSWER_S)
    except RegistryFailed as failed:
        seen.schema_fault = str(failed)
    _look_at_workers(seen, settings, topics)
    _look_at_relays(seen, settings)
    _look_at_http(seen, settings)
    _look_at_gearman(seen, settings)
    sources = {topics.requests, topics.receipts, topics.heartbeats, topics.timers, topics.schedules}
    seen.source_lags = metadata.lags(
        f"{settings.prefix}streams", lambda topic: topic if topic in sources else None
    )
    seen.asked = tuple(_asked(settings, topics))
    _look_at_tables(seen, settings, metadata)
    return seen


def _look_at_workers(seen: Seen, settings: Settings, topics: Topics) -> None:
    jobs: dict[str, Counter[str]] = {}
    oldest: dict[str, float] = {}
    unserved: Counter[tuple[str, str]] = Counter()
    runs: Counter[tuple[str, str]] = Counter()
    ran_s: dict[tuple[str, str], float] = {}
    for address in _workers(settings, topics, seen.now_ms):
        try:
            health = json.loads(_get(f"http://{address}/jobstream/health", ok=(503,)))
            samples = list(samples_of(_get(f"http://{address}/metrics").decode()))
            info = next((labels for name, labels, _ in samples if name == catalogue.INFO.name), {})
            worker = WorkerSeen(
                address,
                ready=bool(health["ready"]),
                partitions=tuple(health["partitions"]),
                now_ms=parse_time(health["now"]),
                version=info.get("version", ""),
            )
        except (OSError, ValueError) as error:
            seen.silent[f"streams worker at {address}"] = _why(error)
            continue
        except (LookupError, TypeError):  # somebody else is there by now
            seen.silent[f"streams worker at {address}"] = "its answer is no worker's"
            continue
        seen.workers.append(worker)
        for name, labels, value in samples:
            if name == catalogue.JOBS.name:
                jobs.setdefault(labels["queue"], Counter())[labels["phase"]] += int(value)
            elif name == catalogue.OLDEST_READY.name:
                oldest[labels["queue"]] = max(value, oldest.get(labels["queue"], 0))
            elif name == catalogue.UNSERVED.name:
                unserved[labels["queue"], labels["function"]] += int(value)
            elif name == f"{catalogue.RUN_TIME.name}_count":
                runs[labels["queue"], labels["function"]] += int(value)
            elif name == f"{catalogue.RUN_TIME.name}_sum":
                named = labels["queue"], labels["function"]
                ran_s[named] = ran_s.get(named, 0) + value
    seen.jobs, seen.oldest_ready_s, seen.unserved = jobs, oldest, unserved
    seen.runs = {named: (runs[named], spent_s) for named, spent_s in ran_s.items()}
    seen.now_ms = time.time_ns() // 1_000_000


def _workers(settings: Settings, topics: Topics, now_ms: int) -> list[str]:
    """Where the pages of streams workers are, as they say in Kafka; the setting's, if none has said
    anything.
    """
    try:
        return read_workers(settings.kafka, topics.workers, now_ms) or [settings.web]
    except TopicsMissing:
        return []


def _look_at_relays(seen: Seen, settings: Settings) -> None:
    import grpc

    from jobstream.minion.status import ask
    from jobstream.minion.wire import CannotConnect, wire_of

    for given in settings.relay.split(","):
        address = given.removeprefix(DNS)
        try:
            reply = ask(address, wire_of(settings))
        except CannotConnect as cannot:
            seen.silent[f"relay at {address}"] = str(cannot)
        except grpc.RpcError as error:
            code: Any = error
            seen.silent[f"relay at {address}"] = code.code().name
        else:
            minions = tuple(
                Minion(each.minion, tuple(each.queues), each.leases, each.capacity) for each in reply.sessions
            )
            waiting = sum(each.waiting for each in reply.waiting)
            seen.relays.append(RelaySeen(address, minions, reply.assigned, reply.spilled, waiting))


def _look_at_http(seen: Seen, settings: Settings) -> None:
    try:
        _get(f"{settings.http_url}/readyz")
        seen.http = True
    except (OSError, ValueError) as error:
        seen.silent[f"http service at {settings.http}"] = _why(error)


def _look_at_tables(seen: Seen, settings: Settings, metadata: Metadata) -> None:
    """How Kafka Connect does, if it ever wrote tables: then there is a topic for what it refuses."""
    from jobstream.connect import names, status
    from jobstream.connect.rest import ConnectFailed
    from jobstream.connect.tables import DatabaseFailed, slots

    try:
        metadata.partitions(names.refused(settings.prefix))
        rows = status.look(settings)
    except TopicsMissing:
        return
    except (ConnectFailed, NotReachable) as failed:
        seen.silent["Connect"] = str(failed)
        return
    seen.connectors = [
        ConnectorSeen(row.connector, row.runs, row.state, row.why, row.behind or 0, row.refused or 0)
        for row in rows
    ]
    if settings.database:
        try:
            found = slots(names.Database.of(settings.database))
            seen.slots = [SlotSeen(*slot) for slot in found]
        except DatabaseFailed as failed:
            seen.silent["Connect's database"] = str(failed)


def _look_at_gearman(seen: Seen, settings: Settings) -> None:
    if not settings.gearman:
        return
    host, _, port = settings.gearman.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S):
            seen.gearman = True
    except OSError as error:
        seen.silent[f"Gearman door at {settings.gearman}"] = _why(error)


def _asked(settings: Settings, topics: Topics) -> deque[Asked]:
    """The latest jobs that were asked for."""
    found: deque[Asked] = deque(maxlen=ASKED_MAX)
    since_ms = time.time_ns() // 1_000_000 - FACTS_MS
    latest = max(FACTS_EACH * ASKED_MAX // topics.partitions, FACTS_EACH)
    try:
        for message in read(settings.kafka, topics.facts, range(topics.partitions), since_ms, latest):
            fact = _fact(message.value())
            if fact is not None and fact.fact == FactKind.ADMITTED:
                found.append(
                    Asked(fact.queue or "", None if fact.key == fact.job else fact.key, fact.partition)
                )
    except (TopicsMissing, NotReachable):
        found.clear()
    return found


def _fact(value: bytes | None) -> Fact | None:
    try:
        return None if value is None else decode(value, (Fact,))
    except Undecodable:
        return None


def _get(url: str, ok: tuple[int, ...] = ()) -> bytes:
    """A page. OSError if it does not answer, or answers with another status than 200 and those of `ok`."""
    try:
        with _OPEN(url, timeout=ANSWER_S) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        if error.code in ok:
            return error.read()
        raise
    except HTTPException as error:
        raise OSError(f"it speaks no HTTP: {type(error).__name__}") from None


def _why(error: Exception) -> str:
    """Why something did not answer, in few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {HTTPStatus(error.code).phrase}"
    reason = getattr(error, "reason", None) or error
    return str(getattr(reason, "strerror", None) or reason)


def samples_of(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Names, labels and values of a page in Prometheus' text format."""
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is not None:
            labels = {name: value.replace(r"\"", '"') for name, value in _LABEL.findall(match[2] or "")}
            yield match[1], labels, float(match[3])

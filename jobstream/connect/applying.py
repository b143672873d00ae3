"""Puts the tables and the connectors in place, and starts again what failed; on any worker.

Owns the order: the tables first, since the sink would make its own without them; then the topic of refused
records; then the connectors, until they run.
"""

import time
from collections.abc import Callable

from jobstream.connect import connectors, names, rescue, tables
from jobstream.connect.connectors import Place
from jobstream.connect.rest import STOPPED, ConnectFailed, Worker
from jobstream.errors import NotReachable
from schemas import defaults
from schemas.kafka import librdkafka
from schemas.registered import RegistryFailed, adopt
from schemas.settings import Settings

PATIENCE_S = 60.0
"""How long the database, the worker, and the connectors may take."""
PAUSE_S = 0.1
REFUSED_MS = 30 * defaults.DAY_MS
"""How long refused records are kept: as long as those of `rejects`."""
HEARTBEATS_MS = defaults.HOUR_MS
"""Nobody reads them."""
FORGET_S = 60.0
"""After so long a failure is a new one, even if its reason is the same: the database was away again."""
BACKOFF_S = (0.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses before a task is started again, for each time that it failed for the same reason."""


def learn(settings: Settings) -> None:
    """Has this process know the ids of the configured registry, before a Keeper reads records.

    Raises:
        NotReachable: It does not answer, or has other schemas.
    """
    try:
        adopt(settings, patience_s=PATIENCE_S)
    except RegistryFailed as failed:
        raise NotReachable(str(failed)) from None


def apply(worker: Worker, place: Place, bootstrap: str, *, with_outbox: bool) -> tuple[str, ...]:
    """Makes the tables and the connectors, or brings them up to these settings; the connectors' names.

    Raises:
        JobstreamError: Something of it does not answer, or refuses.
    """
    tables.apply(place.database, place.schema, with_outbox=with_outbox, patience_s=PATIENCE_S)
    prefix = place.topics.prefix
    _make_topic(bootstrap, names.refused(prefix), REFUSED_MS)
    wanted = {names.sink(prefix): connectors.sink(place)}
    if with_outbox:
        _make_topic(bootstrap, f"{names.heartbeats(prefix)}.{names.slot(place.schema)}", HEARTBEATS_MS)
        wanted[names.outbox(prefix)] = connectors.outbox(place)
    for name, config in wanted.items():
        worker.put(name, config)
    for name in wanted:
        _wait(worker, name)
    return tuple(wanted)


def _wait(worker: Worker, name: str) -> None:
    """Returns when a connector and its task run. One that is stopped goes on: whoever helped the sink over a
    record, and was killed meanwhile, left it so.

    Raises:
        ConnectFailed: Its task fails, or does not begin.
    """
    ends_s = time.monotonic() + PATIENCE_S
    resumed = False
    while True:
        state = worker.state(name)
        if state is not None and state.connector == STOPPED and not resumed:
            worker.resume(name)
            resumed = True
        if state is not None and state.runs:
            return
        if state is not None and state.failed:
            raise ConnectFailed(f"the connector {name} failed: {state.why}")
        if time.monotonic() > ends_s:
            raise ConnectFailed(f"the connector {name} did not begin to run within {PATIENCE_S:g} s")
        time.sleep(PAUSE_S)


def _make_topic(bootstrap: str, name: str, retention_ms: int) -> None:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({**librdkafka(bootstrap), "log_level": 0})
    config = {"retention.ms": str(retention_ms), "max.message.bytes": str(defaults.RECORD_BYTES_MAX)}
    done = admin.create_topics([NewTopic(name, 1, config=config)], request_timeout=PATIENCE_S)[name]
    try:
        done.result()
    except KafkaException as refused:
        if refused.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise ConnectFailed(f"Kafka at {bootstrap} does not make the topic {name}: {refused}") from None


class Keeper:
    """Starts tasks again that have failed, more slowly each time, and says why they did.

    A sink that fails twice for the same reason is helped over what the database refuses, if that is it.
    """

    def __init__(
        self,
        worker: Worker,
        place: Place,
        bootstrap: str,
        connectors: tuple[str, ...],
        say: Callable[[str], None],
    ) -> None:
        self._worker = worker
        self._place = place
        self._bootstrap = bootstrap
        self._connectors = connectors
        self._say = say
        self._failures: dict[str, tuple[str, int, float]] = {}
        """Of each connector: why it failed last, how often, and when it may be started again."""
        self._stopped: set[str] = set()
        """Those that were stopped here, and shall go on: a worker may die in between."""

    def look(self) -> None:
        """Looks at each connector once. A worker that does not answer is started again by others."""
        for name in self._connectors:
            try:
                self._look_at(name)
            except ConnectFailed:
                return

    def _look_at(self, name: str) -> None:
        if name in self._stopped:
            self._go_on(name)
        state = self._worker.state(name)
        if state is None or not state.failed:
            return
        why, count, due_s = self._failures.get(name, ("", 0, 0.0))
        if state.why != why or time.monotonic() > due_s + FORGET_S:
            count, due_s = 0, 0.0
            self._say(f"{name} failed: {state.why}; it is started again")
        if time.monotonic() >= due_s:
            pause_s = BACKOFF_S[min(count + 1, len(BACKOFF_S) - 1)]
            self._failures[name] = (state.why, count + 1, time.monotonic() + pause_s)
            if count and name == names.sink(self._place.topics.prefix):
                self._stopped.add(name)
                try:
                    helped = self._helped()
                finally:
                    self._go_on(name)
                if helped:
                    return
            self._worker.restart_failed(name)

    def _go_on(self, name: str) -> None:
        self._worker.resume(name)
        self._stopped.discard(name)

    def _helped(self) -> bool:
        """Whether the sink stood at records that the database refuses, and can go on behind them now."""
        from confluent_kafka import KafkaException
        from psycopg import Error

        try:
            count = rescue.help_over(self._worker, self._place, self._bootstrap)
        except (ConnectFailed, KafkaException, Error) as error:
            self._say(f"the records that the sink stands at cannot be looked at now: {error}")
            return False
        if count:
            where = names.refused(self._place.topics.prefix)
            self._say(f"the database refuses {count} records: they are in {where}")
        return count > 0

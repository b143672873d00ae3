"""The driver that Faust finds under `jobstream://`, and the settings that go with it.

Owns the wiring: which class takes the place of which. Registered by the entry point group `faust.transports`.
Must never hold state of a generation or decide anything.
"""

import asyncio
import uuid
from typing import Any, ClassVar, Final, NoReturn
from urllib.parse import urlencode

from confluent_kafka import KafkaException
from faust.transport.drivers import aiokafka as driver
from faust.transport.producer import Producer as FaustProducer
from faust.types import TP, AppT

from schemas.kafka import Security
from streams.transport.agent import Agent
from streams.transport.consumer import Consumer
from streams.transport.crash import Exit, die
from streams.transport.restore import Log, TableManager
from streams.transport.security import for_faust, security_of
from streams.transport.selftest import selftest
from streams.transport.source import Source
from streams.transport.table import Table
from streams.transport.writer import Mode, Writer

SCHEME: Final = "jobstream"

MODE_DEFAULT: Final = Mode.TRANSACTIONAL

SESSION_TIMEOUT_S: Final = 6.0
"""How long after its last heartbeat a worker counts as gone."""

HEARTBEAT_S: Final = 0.5
"""A member learns from its heartbeats that others come or go: the pause of a rebalance is mostly this."""

REBALANCE_TIMEOUT_S: Final = 30.0
"""How long a member may take to finish its batch and join again when others come or go."""

RECOVERY: Final = "none"
"""Of metadata, when no broker is left. By default librdkafka (2.16) begins anew with the bootstrap servers
and forgets the brokers it knew, but goes on asking the group coordinator of before, which is none: after
a restart of the only broker `send_offsets_to_transaction` waited for ever. Brokers that come back elsewhere
end the process, and a restart asks the bootstrap servers.
"""

NEVER_S: Final = 10 * 365 * 86400.0
"""aiokafka leaves the group when nothing was fetched through it for so long; nothing ever is."""

COMMIT_INTERVAL_S: Final = 0.25
"""How often confirmed offsets are committed in the idempotent mode: what a crash repeats, in time."""

BATCH_RECORDS_MAX: Final = 2000
"""Most records of a batch: some tens of milliseconds of work."""


class Producer(FaustProducer):
    """What Faust knows as `app.producer`: nothing is sent by it. Faust's own swallows failed deliveries
    (hazard H4).
    """

    app: Any
    transport: Any

    async def on_start(self) -> None:
        """The first that Faust starts: all that talks to the broker is warm before a partition comes."""
        await self.transport.start()

    async def on_stop(self) -> None:
        """Stops after the consumer, so after the last batch."""
        await self.transport.writer.stop()

    async def flush(self) -> None:
        """Nothing is buffered here; batches are waited for by the consumer."""

    async def send(self, topic: str, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuses."""
        raise NotImplementedError(f"a record for {topic} must be sent by batch.write or writer_of(app).send")

    send_and_wait = send

    def send_soon(self, fut: Any) -> NoReturn:
        """Refuses."""
        raise NotImplementedError(
            f"a record for {fut.message.channel} must be sent by batch.write or writer_of(app).send"
        )

    async def create_topic(self, topic: str, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuses."""
        raise NotImplementedError(f"topic {topic} must exist before the worker starts")

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Where a row of a table is: Faust's router asks, to send a web request to the worker that has it."""
        return TP(topic, self.app.tables._changelogs[topic].partition_of(key))

    def supports_headers(self) -> bool:
        """They are."""
        return True


class Transport(driver.Transport):
    """`jobstream://host:port[,host:port]?mode=transactional|idempotent`."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer

    driver_version = f"jobstream over {driver.Transport.driver_version}"

    def __init__(self, url: Any, app: AppT, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(url, app, loop)
        selftest()
        self.mode = Mode(self.url[0].query.get("mode", MODE_DEFAULT))
        self.leading: str | None = self.url[0].query.get("leading")
        self._source: Source | None = None
        self._writer: Writer | None = None
        self._log: Log | None = None

    @property
    def writer(self) -> Writer:
        """The one writer of this worker."""
        if self._writer is None:
            self._writer = Writer(self._librdkafka(), self.app.conf.id, self.mode)
        return self._writer

    async def start(self) -> None:
        """Connects all parts at once."""
        try:
            await asyncio.gather(
                self.writer.start(), self.source.warm_up(), asyncio.to_thread(self.log.warm_up)
            )
        except KafkaException as error:
            die(Exit.FETCH, f"no broker answered at {self._librdkafka()['bootstrap.servers']}", error)

    @property
    def source(self) -> Source:
        """The one that fetches."""
        if self._source is None:
            conf = self.app.conf
            self._source = Source(self._librdkafka(), conf.id, conf.broker_max_poll_records, self.leading)
        return self._source

    @property
    def log(self) -> Log:
        """Reader of committed offsets and changelogs."""
        if self._log is None:
            self._log = Log(self._librdkafka(), self.app.conf.id)
        return self._log

    def _librdkafka(self) -> dict[str, Any]:
        servers = driver.server_list(self.url, self.default_port)
        security = security_of(self.app.conf.broker_credentials)
        return {
            "bootstrap.servers": ",".join(servers),
            "client.id": self.app.conf.broker_client_id,
            "metadata.recovery.strategy": RECOVERY,
            **security.for_librdkafka(),
        }


def faust_settings(
    bootstrap: str,
    *,
    mode: Mode = MODE_DEFAULT,
    slot: str | None = None,
    security: Security | None = None,
    session_timeout_s: float = SESSION_TIMEOUT_S,
    batch_records_max: int = BATCH_RECORDS_MAX,
    leading: str | None = None,
) -> dict[str, Any]:
    """Settings for `faust.App(id, **faust_settings(...))`; those of the app's own may follow and win.

    Args: bootstrap: `host:port[,host:port]`. mode: see the package. slot: a name that stays the same over
        restarts of this worker and that no other has at the same time; it becomes the
            group instance id and part of the transactional id. Without one a restart is a new member, and
            waits until what its predecessor left open has timed out.
        security: TLS and SASL; none of them if not given.
        session_timeout_s: how long after its last heartbeat a worker counts as gone.
        batch_records_max: most records of a batch.
        leading: a source topic whose records are delivered before those of any other when a worker begins, up
            to where it ends at that time. What is sent `early` for them may then have answers in other
            topics: after a crash these come after the records again.
    """
    query = {"mode": mode.value, **({"leading": leading} if leading else {})}
    hosts = [host if "://" in host else f"{SCHEME}://{host}" for host in bootstrap.split(",")]
    return {
        "broker": [f"{hosts[0]}?{urlencode(query)}", *hosts[1:]],
        "Agent": Agent,
        "Table": Table,
        "TableManager": TableManager,
        "broker_client_id": slot or uuid.uuid4().hex,  # makes the transactional id, and names the member
        "broker_credentials": for_faust(security) if security else None,
        "consumer_group_instance_id": slot,
        "consumer_auto_offset_reset": "earliest",
        "broker_session_timeout": session_timeout_s,
        "broker_heartbeat_interval": HEARTBEAT_S,
        "broker_max_poll_interval": NEVER_S,
        "broker_rebalance_timeout": REBALANCE_TIMEOUT_S,
        "broker_commit_interval": COMMIT_INTERVAL_S,
        "broker_max_poll_records": batch_records_max,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "store": "memory://",
        "stream_wait_empty": True,
    }


def writer_of(app: AppT) -> Writer:
    """What sends records apart from batches, by its method `send`."""
    transport: Any = app.transport
    return transport.writer  # type: ignore[no-any-return]

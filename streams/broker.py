"""What the worker asks of the broker beside reading and writing records: topics, and where they end.

Owns the admin client. Must never change a topic that exists, except to give a dispatch topic that somebody
else made the partitions it lacks. Every call runs in a thread of its own, never in the event loop.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec

from schemas.kafka import librdkafka
from schemas.topics import Topic, Topics
from streams.queues import QueueNotMade

log = logging.getLogger("jobstream.streams")

ANSWER_S = 10.0
"""How long the broker may take for one answer."""

SEEN_S, LOOK_S = 10.0, 0.05
"""How long a topic that was made may take to be seen with a leader for every partition, and how often to
look.
"""

BROKERS_DEFAULT = -1
"""Replication: what the broker says."""

LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]


class BrokerProblem(Exception):
    """The broker is not as the service needs it; the sentence says what to do."""


class Broker:
    """The admin side of one prefix."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        """`bootstrap` is host:port[,…], or Brokers."""
        self._topics = topics
        self._admin = AdminClient({**librdkafka(bootstrap), "client.id": "jobstream-streams-admin"})

    async def prepare(self) -> set[str]:
        """Makes the topics that are missing; returns the queues whose dispatch topic is there.

        Raises:
            BrokerProblem: the broker does not answer, refuses, or has a topic with another number of
            partitions.
        """
        return await asyncio.to_thread(self._prepare)

    async def make_queue(self, queue: str) -> None:
        """Makes the dispatch topic of a queue; it can be written to when this returns.

        Raises:
            QueueNotMade: the broker refused or did not answer.
        """
        try:
            topic = self._topics.dispatch_topic(queue)
            await asyncio.to_thread(self._make, [topic])
            await asyncio.to_thread(self._wait_for, [topic.name])
        except BrokerProblem as error:
            raise QueueNotMade(str(error)) from error

    async def ends(self, partitions: Sequence[int]) -> Mapping[int, tuple[int, int]]:
        """The end offsets of receipts and heartbeats, by partition; none if the broker does not answer."""
        return await asyncio.to_thread(self._ends, partitions)

    def _prepare(self) -> set[str]:
        found = self._partitions_of()
        catalogue = self._topics.catalogue()
        missing = [topic for topic in catalogue if topic.name not in found]
        if missing:
            self._make(missing)
            log.info("made topics %s", ", ".join(topic.name for topic in missing))
            found |= {topic.name: topic.partitions for topic in missing}
        for topic in catalogue:
            if self._topics.queue_of(topic.name) is None and found[topic.name] != topic.partitions:
                raise BrokerProblem(
                    f"topic {topic.name} must have {topic.partitions} partitions, got {found[topic.name]}:"
                    " their number is fixed for the life of a prefix; set JOBSTREAM_PARTITIONS to it, or use"
                    " another prefix"
                )
        queues = {name: queue for name in found if (queue := self._topics.queue_of(name)) is not None}
        self._widen({name: found[name] for name in queues})
        self._wait_for([topic.name for topic in catalogue] + list(queues))
        return set(queues.values())

    def _partitions_of(self) -> dict[str, int]:
        """How many partitions with a leader each topic of the prefix has."""
        try:
            listed = self._admin.list_topics(timeout=ANSWER_S).topics
        except KafkaException as error:
            raise BrokerProblem(f"the broker does not answer: {error.args[0].str()}") from error
        return {
            name: sum(partition.leader >= 0 for partition in topic.partitions.values())
            for name, topic in listed.items()
            if name.startswith(self._topics.prefix) and topic.error is None
        }

    def _wait_for(self, names: Sequence[str]) -> None:
        """Returns when all these topics can be used: brokers tell of new topics and partitions a little
        later.
        """
        deadline_s = time.monotonic() + SEEN_S
        while True:
            found = self._partitions_of()
            missing = [name for name in names if not found.get(name)]
            missing += [name for name in names if self._is_narrow(name, found)]
            if not missing:
                return
            if time.monotonic() > deadline_s:
                raise BrokerProblem(f"topics have no leader {SEEN_S:.0f} s after they were made: {missing}")
            time.sleep(LOOK_S)

    def _is_narrow(self, name: str, found: Mapping[str, int]) -> bool:
        """True for a dispatch topic with fewer partitions than there are homes."""
        return self._topics.queue_of(name) is not None and found.get(name, 0) < self._topics.partitions

    def _make(self, wanted: Iterable[Topic]) -> None:
        new = [
            NewTopic(topic.name, topic.partitions, BROKERS_DEFAULT, config=topic.config) for topic in wanted
        ]
        for name, made in self._admin.create_topics(new, request_timeout=ANSWER_S).items():
            try:
                made.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise BrokerProblem(f"topic {name} could not be made: {error.args[0].str()}") from error

    def _widen(self, found: Mapping[str, int]) -> None:
        """Dispatches go to the partition of their job: a topic with fewer (a broker made it by itself) gets
        the rest.
        """
        narrow = [name for name in found if self._is_narrow(name, found)]
        if not narrow:
            return
        wider = [NewPartitions(name, self._topics.partitions) for name in narrow]
        for name, made in self._admin.create_partitions(wider, request_timeout=ANSWER_S).items():
            try:
                made.result()
            except KafkaException as error:
                raise BrokerProblem(
                    f"topic {name} must have {self._topics.partitions} partitions, got {found[name]}, and"
                    f" could not be given more: {error.args[0].str()}"
                ) from error
            log.warning("gave topic %s the partitions it lacked: %d", name, self._topics.partitions)

    def _learn_leaders(self) -> None:
        """Asks anew who leads: librdkafka goes on with the leader's epoch of before its restart, which is
        refused for minutes.
        """
        time.sleep(LOOK_S)
        with contextlib.suppress(KafkaException):
            self._admin.list_topics(timeout=ANSWER_S)

    def _ends(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        asked = {
            TopicPartition(topic, number): LATEST
            for number in partitions
            for topic in (self._topics.receipts, self._topics.heartbeats)
        }
        found: dict[tuple[str, int], int] = {}
        try:
            for place, end in self._admin.list_offsets(asked, request_timeout=ANSWER_S).items():
                found[place.topic, place.partition] = end.result().offset
        except KafkaException as error:
            log.warning("no tick now, the broker does not say where topics end: %s", error.args[0].str())
            self._learn_leaders()
            return {}
        return {
            number: (found[self._topics.receipts, number], found[self._topics.heartbeats, number])
            for number in partitions
        }

"""A worker's place in its consumer group: what the broker checks before it lets a batch be committed
(KIP-447).

Owns the group metadata bytes. librdkafka writes the transaction but aiokafka is the group member, so the
metadata that librdkafka would take from its own consumer is put together here from aiokafka's generation and
member id. Must never be sent for a member that has not joined: generation -1 with an empty member id commits
*without any fencing*.
"""

import time
from typing import Any, Final

from streams.transport.crash import Exit, die

FORMAT: Final = b"CGMDv2:"
"""librdkafka's serialisation of consumer group metadata, version 2 (rdkafka_cgrp.c,
rd_kafka_consumer_group_metadata_write).
"""

NO_GENERATION: Final = -1


def group_metadata(group: str, generation: int, member: str, instance: str | None = None) -> bytes:
    """The opaque bytes that `Producer.send_offsets_to_transaction` takes; equal to those of a real consumer
    (see selftest).
    """
    tail = b"\x01" if instance is None else b"\x00" + instance.encode() + b"\x00"
    return (
        FORMAT
        + generation.to_bytes(4, "little", signed=True)
        + group.encode()
        + b"\x00"
        + member.encode()
        + b"\x00"
        + tail
    )


class Membership:
    """One generation of one member. Made in the consumer's thread when partitions are assigned; read from any
    thread.

    `coordinator` is aiokafka's: its `generation` and `member_id` change as soon as the broker no longer knows
    us.
    """

    __slots__ = ("_coordinator", "_session_s", "generation", "group", "heartbeat_at_s", "instance", "member")

    def __init__(self, coordinator: Any, instance: str | None, session_s: float) -> None:
        self._coordinator = coordinator
        self._session_s = session_s
        self.group: str = coordinator.group_id
        self.generation: int = coordinator.generation
        self.member: str = coordinator.member_id
        self.instance = instance
        self.heartbeat_at_s = time.monotonic()

    @property
    def metadata(self) -> bytes:
        """For `send_offsets_to_transaction`. Ends the process rather than hand out bytes that would not be
        fenced.
        """
        self.check()
        return group_metadata(self.group, self.generation, self.member, self.instance)

    def check(self) -> None:
        """Ends the process unless this is a joined member and still the one that aiokafka believes to be."""
        if self.generation <= NO_GENERATION or not self.member:
            die(
                Exit.MEMBERSHIP,
                f"not a member of {self.group} (generation {self.generation}, member {self.member!r})",
            )
        now = (self._coordinator.generation, self._coordinator.member_id)
        if now != (self.generation, self.member):
            die(
                Exit.MEMBERSHIP,
                f"the group {self.group} went from generation {self.generation} to {now[0]} under a batch",
            )

    def check_alive(self) -> None:
        """The fence of what is written outside of transactions, where no broker refuses a record of a former
        owner: ends the process if the last heartbeat that the broker answered is older than a session
        timeout, since others may own the partitions by now.
        """
        self.check()
        silent_s = time.monotonic() - self.heartbeat_at_s
        if silent_s > self._session_s:
            die(
                Exit.MEMBERSHIP,
                f"no heartbeat of {self.group} was answered for {silent_s:.1f} s, which has a"
                f" session timeout of {self._session_s:g} s",
            )

"""The group metadata bytes, and what a membership refuses."""

import time
from types import SimpleNamespace

import pytest
from confluent_kafka import Consumer

from streams.transport.crash import Exit
from streams.transport.membership import Membership, group_metadata
from tests.unit.transport.conftest import Died


@pytest.mark.parametrize("instance", [None, "slot-1", "ü"])
def test_bytes_are_those_of_a_real_consumer(instance: str | None) -> None:
    """A consumer of librdkafka that has not joined makes the same."""
    config = {"bootstrap.servers": "127.0.0.1:1", "group.id": "grüppe", "log_level": 0}
    consumer = Consumer(config | ({"group.instance.id": instance} if instance else {}))
    assert group_metadata("grüppe", -1, "", instance) == consumer.consumer_group_metadata()
    consumer.close()


def test_bytes_of_a_joined_member() -> None:
    """Generation little endian, then group and member, each with a NUL, then the sign of no instance id."""
    assert group_metadata("g", 258, "m") == b"CGMDv2:\x02\x01\x00\x00g\x00m\x00\x01"


@pytest.mark.parametrize(("generation", "member"), [(-1, ""), (-1, "m"), (5, "")])
def test_a_member_that_has_not_joined_gets_no_metadata(
    died: type[Died], generation: int, member: str
) -> None:
    """Such metadata would be accepted without any fencing, so the process ends instead."""
    membership = Membership(_coordinator(generation, member), None, 6.0)
    with pytest.raises(died) as ended:
        _ = membership.metadata
    assert ended.value.code == Exit.MEMBERSHIP


def test_a_generation_that_moved_on_ends_the_process(died: type[Died]) -> None:
    """A batch of an earlier generation is not written with the metadata of a later one."""
    coordinator = _coordinator(5, "m")
    membership = Membership(coordinator, None, 6.0)
    membership.check()
    coordinator.generation = 6
    with pytest.raises(died, match="from generation 5 to 6") as ended:
        membership.check()
    assert ended.value.code == Exit.MEMBERSHIP


def test_a_member_that_was_not_heard_for_a_session_ends_the_process(died: type[Died]) -> None:
    """Where no broker fences records, the age of the last answered heartbeat does."""
    membership = Membership(_coordinator(5, "m"), None, session_s=6.0)
    membership.check_alive()
    membership.heartbeat_at_s = time.monotonic() - 6.1
    with pytest.raises(died, match="session timeout of 6 s"):
        membership.check_alive()


def _coordinator(generation: int, member: str) -> SimpleNamespace:
    return SimpleNamespace(group_id="g", generation=generation, member_id=member)

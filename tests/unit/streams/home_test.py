"""Records that land away from home: written again to their home once, never in a loop."""

import json

import pytest

from schemas.codec import decode, encode
from schemas.events import Command, JobRequest
from schemas.keys import home
from schemas.names import derived_id, new_id
from schemas.words import RejectCode
from streams.record import ROUTED_HEADER, Out
from tests.fakes.desk import FOREIGN, HOME, KEYS, PARTITIONS, Desk, Written

AWAY = home(FOREIGN, PARTITIONS)


def only(written: Written) -> Out:
    """The one record that was written: beside the offset of what it comes from, since no row tells of it."""
    (out,) = written.first
    assert written.then == written.early == ()
    return out


def arrive(out: Out, queues: tuple[str, ...] = ("default",)) -> Written:
    """What the partition at which a record arrives does with it."""
    desk = Desk(queues, number=out.partition)
    return desk.put(out.topic, out.key, out.value, out.headers)


def test_a_request_is_routed_home() -> None:
    """A request that landed elsewhere goes to its home as it was, with its id fixed and its headers kept."""
    desk = Desk()
    value = json.dumps({"function": "mail.send", "args": 1}).encode()
    record = desk.write(desk.topics.requests, FOREIGN.encode(), value, (("traceparent", b"00-a-b-01"),))
    out = only(desk.apply(record))
    assert (out.topic, out.partition, out.key) == (desk.topics.requests, AWAY, FOREIGN.encode())
    assert dict(out.headers) == {"traceparent": b"00-a-b-01", ROUTED_HEADER: record.place.encode()}
    request = decode(out.value or b"", (JobRequest,))
    assert request.id == derived_id(*record[:4], hint=AWAY)
    assert (request.function, request.key, request.args) == ("mail.send", FOREIGN, b"1")
    assert not desk.partition.jobs
    arrived = arrive(out)
    assert arrived.told == ["admitted"]
    assert arrived.dispatches[0].trace == "00-a-b-01"


def test_a_routed_record_is_never_routed_again() -> None:
    """A record that was routed and is not at home is rejected, and its first place is named."""
    desk = Desk()
    value = json.dumps({"id": "j1", "function": "mail.send"}).encode()
    written = desk.put(
        desk.topics.requests, FOREIGN.encode(), value, ((ROUTED_HEADER, b"jobs.requests/9/9"),)
    )
    assert [out.topic for out in written.first if out.topic == desk.topics.requests] == []
    assert written.reject.code == RejectCode.KEY_CONFLICT
    assert "first written to jobs.requests/9/9" in written.reject.reason


def test_a_bad_request_is_rejected_where_it_landed() -> None:
    """What would be rejected at home is rejected at once, at its own position."""
    desk = Desk()
    written = desk.ask(FOREIGN.encode(), id="j1", function="a b")
    assert written.reject.code == RejectCode.BAD_NAME
    assert [out.topic for out in written.first if out.topic == desk.topics.requests] == []


def test_a_command_with_a_key_goes_to_the_home_of_the_key() -> None:
    """A command that names the key finds its job from any partition."""
    desk = Desk()
    out = only(desk.command("cancel", "j1", key=FOREIGN))
    assert (out.partition, out.key) == (AWAY, FOREIGN.encode())
    away = Desk(number=AWAY)
    away.request(id="j1", key=FOREIGN)
    assert away.put(out.topic, out.key, out.value, out.headers).told == ["cancelled"]


def test_a_command_by_id_alone_follows_the_hint() -> None:
    """An id made by us says in its last two characters where its job is; a command by it alone goes there."""
    id = new_id(AWAY)
    away = Desk(number=AWAY)
    away.request(id=id, key=FOREIGN)
    out = only(Desk().put("jobs.requests", None, encode(Command(command="cancel", id=id))))
    assert out.partition == AWAY
    assert away.put(out.topic, out.key, out.value, out.headers).told == ["cancelled"]


def test_a_command_by_id_alone_is_tried_at_each_likely_home() -> None:
    """Where the hint leads to nothing, the home of the id itself is tried, and then it is rejected."""
    id = next(id for id in iter(lambda: new_id(AWAY), None) if home(id, PARTITIONS) not in {AWAY, HOME})
    hops = [HOME]
    out = only(Desk().put("jobs.requests", None, encode(Command(command="cancel", id=id))))
    while True:
        hops.append(out.partition)
        written = arrive(out)
        if written.rejects:
            break
        out = only(written)
    assert hops == [HOME, AWAY, home(id, PARTITIONS)]
    assert written.reject.code == RejectCode.UNKNOWN_JOB


@pytest.mark.parametrize("number", range(PARTITIONS))
def test_commands_by_id_alone_always_end(number: int) -> None:
    """From whatever partition a command for an unknown job starts, it is rejected after at most two hops."""
    for id in (new_id(5), new_id(number), "order-17"):
        written = Desk(number=number).put("jobs.requests", None, encode(Command(command="retry", id=id)))
        hops = 0
        while not written.rejects:
            hops += 1
            written = arrive(only(written))
        assert hops <= 2


def test_a_schedule_is_routed_as_a_request() -> None:
    """A schedule in another partition than its id's goes home by the topic of requests: people alone write
    schedules.
    """
    desk = Desk()
    out = only(
        desk.schedule(FOREIGN, {"cron": "0 3 * * *", "function": "report", "args": [1], "timezone": "UTC"})
    )
    assert (out.topic, out.partition) == ("jobs.requests", AWAY)
    saved = arrive(out)
    assert saved.told == ["schedule_saved"]
    assert saved.facts[0].key == FOREIGN


def test_a_schedule_with_a_key_of_its_own_is_routed_with_it() -> None:
    """The key of a schedule's jobs survives the way home."""
    out = only(Desk().schedule(FOREIGN, {"cron": "0 3 * * *", "function": "report", "key": KEYS[0]}))
    assert arrive(out).facts[0].key == KEYS[0]


def test_a_removal_is_routed() -> None:
    """A tombstone in another partition removes the schedule at its home."""
    out = only(Desk().schedule(FOREIGN, None))
    away = Desk(number=AWAY)
    away.schedule(FOREIGN, {"cron": "0 3 * * *", "function": "report"})
    assert away.put(out.topic, out.key, out.value, out.headers).told == ["schedule_removed"]


def test_a_request_with_a_schedule_is_routed_to_the_schedule_s_home() -> None:
    """A schedule lives at the home of its id, whatever key its jobs have."""
    desk = Desk()
    written = desk.ask(KEYS[0].encode(), id=FOREIGN, function="report", schedule={"cron": "0 3 * * *"})
    out = only(written)
    assert out.partition == AWAY
    assert arrive(out).facts[0].key == KEYS[0]

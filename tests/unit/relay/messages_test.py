"""What goes into one message, and what into one record: order, sizes, and credits that were not used."""

from relay.core.beats import BEATS_PER_RECORD_MAX, CHECKPOINTS_PER_RECORD_MAX
from relay.server import JOB_BYTES_PER_MESSAGE, JOBS_PER_MESSAGE, messages
from schemas.codec import encode
from schemas.defaults import CHECKPOINT_BYTES_MAX, STARTED_AFTER_MS
from schemas.proto.relay_pb2 import Beat
from tests.unit.relay.world import TICK_MS, World


def test_jobs_go_before_what_is_said_of_them() -> None:
    """A cancel never overtakes its job; acknowledgements go last, and then the outbox is empty."""
    world = World()
    session = world.hello(credit=2)
    first, second = world.dispatch("a"), world.dispatch("b")
    world.read(first)
    world.answer(session, world.sent(session)[0])
    world.read(second)
    world.cancel(second)
    kinds = [message.WhichOneof("message") for message in messages(session, 0)]
    assert kinds == ["jobs", "cancel", "receipts_stored"]
    assert list(messages(session, 0)) == []


def test_a_message_has_so_many_jobs() -> None:
    """More jobs than fit are several messages, none of them empty."""
    world = World()
    session = world.hello(capacity=2 * JOBS_PER_MESSAGE, credit=2 * JOBS_PER_MESSAGE)
    for number in range(JOBS_PER_MESSAGE + 1):
        world.read(world.dispatch(key=f"key-{number}"))
    assert [len(message.jobs.jobs) for message in messages(session, 0)] == [JOBS_PER_MESSAGE, 1]


def test_a_message_has_so_many_bytes() -> None:
    """A message ends with the job that fills it."""
    world = World()
    session = world.hello(credit=100)
    for _ in range(10):
        world.read(world.dispatch(args=bytes(JOB_BYTES_PER_MESSAGE // 4)))
    assert [len(message.jobs.jobs) for message in messages(session, 0)] == [4, 4, 2]


def test_a_job_that_was_never_sent_costs_no_credit() -> None:
    """A lease that was taken away while it waited to be sent is left out, and its credit can be
    used again.
    """
    world = World()
    session = world.hello(credit=2)
    dispatch = world.dispatch()
    world.read(dispatch)
    world.read(world.dispatch(job=dispatch.job, epoch=2))
    sent = [job.epoch for message in messages(session, 0) for job in message.jobs.jobs]
    assert sent == [2]
    assert session.credits == 1


def test_a_record_has_so_many_beats() -> None:
    """Many leases of one partition are several records."""
    world = World()
    count = BEATS_PER_RECORD_MAX + 1
    world.hello(capacity=count, credit=count)
    for _ in range(count):
        world.read(world.dispatch())
    world.wait(STARTED_AFTER_MS + TICK_MS)
    assert [len(heartbeat.beats) for heartbeat in world.heartbeats] == [BEATS_PER_RECORD_MAX, 1]


def test_a_record_has_so_many_checkpoints() -> None:
    """Checkpoints at their limit never make a record larger than it may be."""
    world = World()
    count = 2 * CHECKPOINTS_PER_RECORD_MAX
    session = world.hello(credit=count)
    for _ in range(count):
        world.read(world.dispatch())
    for job in world.sent(session):
        checkpoint = bytes(CHECKPOINT_BYTES_MAX)
        world.beat(session, Beat(job=job.id, epoch=1, checkpoint=checkpoint, progress=True))
    world.wait(TICK_MS)
    assert [len(heartbeat.beats) for heartbeat in world.heartbeats] == [count // 2, count // 2]
    for heartbeat in world.heartbeats:
        encode(heartbeat)

"""Whatever a minion says, a relay either takes it or ends that stream with a sentence; others are
not touched.
"""

from typing import Any

import hypothesis.strategies as st
from hypothesis import example, given

from relay.core.session import Breach, Session
from relay.server import parse
from schemas.codec import decode, encode
from schemas.events import Heartbeat, Receipt
from schemas.keys import home
from schemas.proto import relay_pb2 as pb
from tests.unit.relay.world import PARTITIONS, START_MS, World

NAMES = st.sampled_from(["job-0", "job-1", "k", "f", "default", "", "no spaces", "x" * 300, "é\n"])
INT64 = st.one_of(
    st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), START_MS, 60_000]), st.integers(-(2**63), 2**63 - 1)
)
UINT64 = st.one_of(st.sampled_from([0, 1, 2, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1))
UINT32 = st.one_of(st.sampled_from([0, 1, 5, 100, 2**31, 2**32 - 1]), st.integers(0, 2**32 - 1))
INT32 = st.one_of(
    st.sampled_from([0, 1, home("k", PARTITIONS), -1, 2**31 - 1]), st.integers(-(2**31), 2**31 - 1)
)
BYTES = st.one_of(st.binary(max_size=20), st.sampled_from([bytes(300_000), bytes(20_000)]))

HELD = st.builds(
    pb.Held,
    job=NAMES,
    epoch=UINT64,
    key=NAMES,
    partition=INT32,
    attempt=UINT32,
    queue=NAMES,
    function=NAMES,
    assigned_at_ms=INT64,
    started_at_ms=INT64,
    timeout_ms=INT64,
)
HELLO = st.builds(
    pb.Hello,
    protocol=st.sampled_from([1, 1, 1, 0, 2]),
    minion=NAMES,
    queues=st.lists(NAMES, max_size=3),
    functions=st.lists(NAMES, max_size=3),
    areas=st.lists(NAMES, max_size=2),
    capacity=UINT32,
    held=st.lists(HELD, max_size=3),
)
SOUND_HELD = st.builds(
    pb.Held,
    job=st.sampled_from(["job-0", "job-1", "job-2"]),
    epoch=st.integers(1, 2),
    key=st.just("k"),
    partition=st.just(home("k", PARTITIONS)),
    attempt=st.just(1),
    queue=st.sampled_from(["default", ""]),
    function=st.just("f"),
    assigned_at_ms=st.sampled_from([1, START_MS, START_MS + 10**9]),
    started_at_ms=INT64,
    timeout_ms=st.sampled_from([1, 60_000]),
)
SOUND_HELLO = st.builds(
    pb.Hello,
    protocol=st.just(1),
    minion=st.sampled_from(["bad", "good"]),
    queues=st.just(["default"]),
    functions=st.lists(st.sampled_from(["f", "g"]), min_size=1),
    capacity=st.sampled_from([5, 100]),
    held=st.lists(SOUND_HELD, max_size=4),
)
RECEIPT = st.builds(
    pb.Receipt,
    number=st.one_of(st.integers(1, 20), UINT64),
    job=NAMES,
    epoch=UINT64,
    outcome=st.sampled_from([1, 1, 2, 3, 4, 5, 0, 6]),
    result=BYTES,
    result_type=NAMES,
    error_type=NAMES,
    error_message=NAMES,
    error_trace=NAMES,
    non_retryable=st.booleans(),
    retry_after_ms=INT64,
    snooze_ms=INT64,
    started_at_ms=INT64,
    run_ms=INT64,
    step=NAMES,
    done=INT64,
    total=INT64,
    checkpoint=BYTES,
    lease=st.one_of(st.none(), SOUND_HELD, HELD),
)
BEAT = st.builds(
    pb.Beat,
    job=NAMES,
    epoch=UINT64,
    step=NAMES,
    step_at_ms=INT64,
    done=INT64,
    total=INT64,
    checkpoint=BYTES,
    progress=st.booleans(),
    started_at_ms=INT64,
)
SAID = st.one_of(
    UINT32,
    st.lists(RECEIPT, max_size=4, unique_by=lambda said: said.number).map(
        lambda batch: sorted(batch, key=lambda said: said.number)
    ),
    st.lists(BEAT, max_size=4),
)


def hear(world: World, session: Session, said: Any) -> None:
    """The edge hears credits, receipts or beats."""
    session.heard_at_ms = world.now_ms
    if isinstance(said, int):
        world.edge.credit(session, said, world.now_ms)
    elif said and isinstance(said[0], pb.Receipt):
        world.edge.receipts(session, said, world.now_ms)
    else:
        world.edge.beats(session, said)


@given(hello=st.one_of(SOUND_HELLO, HELLO), words=st.lists(SAID, max_size=6))
def test_a_minion_may_say_anything(hello: pb.Hello, words: list[Any]) -> None:
    """Only a Breach comes of it, every record it leads to can be written, and a good minion
    beside it goes on.
    """
    world = World()
    good = world.hello("good", credit=1)
    mine = world.dispatch(key="other")
    world.read(mine)
    [job] = world.sent(good)
    world.read(world.dispatch(key="k"))
    session, sentences = None, []
    try:
        session = world.edge.hello(hello, "bad", world.now_ms)
        world.edge.credit(session, min(session.capacity, 3), world.now_ms)
        for said in words:
            hear(world, session, said)
    except Breach as breach:
        sentences.append(breach.sentence)
    assert all(0 < len(sentence) < 1_000 for sentence in sentences)
    world.settle()
    world.wait(100, good)
    if session is not None:
        world.breaks(session)
        world.wait(1_000, good)
    for event in [*world.receipts, *world.heartbeats]:
        assert decode(encode(event), (Receipt, Heartbeat)) == event
        assert 0 <= event.partition < PARTITIONS
    if job.id in good.leases:
        world.answer(good, job)
        assert world.receipts[-1].job == mine.job


@given(raw=st.binary(max_size=200))
@example(raw=b"\x0a\x02\x08\x01")
def test_any_bytes_are_a_message_or_a_breach(raw: bytes) -> None:
    """Garbage is told by its size; nothing else comes of it."""
    sentences = []
    try:
        parse(raw)
    except Breach as breach:
        sentences.append(breach.sentence)
    assert sentences in ([], [f"a message must be a FromMinion, got {len(raw)} bytes that are not"])

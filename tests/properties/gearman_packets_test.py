"""The reader of Gearman packets, fuzzed: it takes any bytes in any pieces, and holds no more than it may."""

from hypothesis import given
from hypothesis import strategies as st

from relay.doors.gearman.packets import (
    BODY_BYTES_MAX,
    HEADER,
    HEADER_BYTES,
    REQ,
    RES,
    TABLE,
    TEXT,
    Decoder,
    Said,
    request,
)
from relay.doors.gearman.words import Refused, answer
from tests.fakes.office import Office

ASKED = [kind for kind in TABLE if kind.asks]
COUNTS = {kind.number.value: len(kind.arguments) for kind in TABLE}
WORD = st.binary(min_size=1, max_size=12).filter(lambda word: b"\0" not in word)


@st.composite
def packets(draw: st.DrawFn) -> tuple[bytes, Said]:
    """A good packet, and what it is read as."""
    kind = draw(st.sampled_from(ASKED))
    arguments = [draw(WORD) for _ in kind.arguments]
    if arguments:
        arguments[-1] = draw(st.binary(max_size=40))
    return request(kind.number, *arguments), (kind.number, arguments)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame of any kind: good, of a wrong magic or number, with a length that lies, or noise."""
    body = draw(st.binary(max_size=60))
    size = draw(st.one_of(st.just(len(body)), st.integers(0, 2 * BODY_BYTES_MAX), st.integers(0, 2**32 - 1)))
    magic = draw(st.sampled_from([REQ, REQ, REQ, RES, 0, 7]))
    number = draw(
        st.one_of(st.sampled_from([kind.number.value for kind in TABLE]), st.integers(0, 2**32 - 1))
    )
    return draw(
        st.sampled_from([HEADER.pack(magic, number, size) + body, body, b"status\n", b"\n", b"maxqueue \n"])
    )


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes, cut at some places."""
    ends = [*sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    starts = [0, *ends[:-1]]
    return [data[start:end] for start, end in zip(starts, ends, strict=True)]


@given(st.lists(packets(), max_size=8), st.lists(st.integers(0, 300), max_size=12))
def test_what_is_written_is_read(sent: list[tuple[bytes, Said]], cuts: list[int]) -> None:
    """Good packets are read as they were written, wherever the network cuts them."""
    decoder = Decoder()
    data = b"".join(raw for raw, _ in sent)
    said = [each for piece in pieces(data, cuts) for each in decoder.feed(piece)]
    assert said == [expected for _, expected in sent]
    assert (bytes(decoder._rest), decoder.broken) == (b"", None)


@given(st.lists(frames(), max_size=8), st.lists(st.integers(0, 600), max_size=12))
def test_anything_is_taken(sent: list[bytes], cuts: list[int]) -> None:
    """Whatever comes, the reader raises nothing, and how it was cut makes no difference to what is read."""
    data = b"".join(sent)
    whole, cut = Decoder(), Decoder()
    said = whole.feed(data)
    parts = []
    for piece in pieces(data, cuts):
        if cut.broken is None:
            parts += cut.feed(piece)
    assert parts == said
    assert (whole.broken is None) == (cut.broken is None)
    assert len(whole._rest) <= BODY_BYTES_MAX + HEADER_BYTES
    for number, arguments in said:
        if number in COUNTS:
            assert len(arguments) == COUNTS[number]
        else:
            assert number in {TEXT, -1}


@given(
    st.lists(
        st.one_of(WORD, st.sampled_from([b"show", b"jobs", b"function", b"maxqueue", b"drop"])), max_size=6
    )
)
def test_every_line_is_answered(words: list[bytes]) -> None:
    """Any words have an answer that ends its line."""
    try:
        said = answer(words, Office())
    except Refused as refused:
        raise AssertionError from refused
    assert said.endswith(b"\n")

"""The binary packets of the Gearman door: examples; the properties are in tests/properties."""

import re
from pathlib import Path

import pytest

import relay.doors.gearman
from relay.doors.gearman.packets import (
    BODY_BYTES_MAX,
    FAULT,
    HEADER,
    LINE_BYTES_MAX,
    REQ,
    RES,
    TABLE,
    TEXT,
    Decoder,
    P,
    packet,
    request,
)

README = Path(relay.doors.gearman.__file__).with_name("README.md")


def test_the_example_of_the_protocol() -> None:
    """The bytes of the PROTOCOL document's example are read as it says, and written as it shows."""
    assert Decoder().feed(bytes.fromhex("00524551 00000001 00000007 72657665727365")) == [
        (P.CAN_DO, [b"reverse"])
    ]
    assert Decoder().feed(bytes.fromhex("00524551 00000009 00000000")) == [(P.GRAB_JOB, [])]
    submit = bytes.fromhex("00524551 00000007 0000000d 7265766572736500 00 74657374")
    assert Decoder().feed(submit) == [(P.SUBMIT_JOB, [b"reverse", b"", b"test"])]
    assign = bytes.fromhex(
        "00524553 0000000b 00000018 483a6c61703a3100 7265766572736500 74657374".replace("18", "14")
    )
    assert packet(P.JOB_ASSIGN, b"H:lap:1", b"reverse", b"test") == assign


def test_the_last_argument_may_hold_anything() -> None:
    """Only the NULs between the arguments part them: data may hold more."""
    assert Decoder().feed(request(P.WORK_COMPLETE, b"H:1", b"a\0b\0")) == [
        (P.WORK_COMPLETE, [b"H:1", b"a\0b\0"])
    ]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (request(999), b"INVALID_COMMAND"),
        (request(5), b"INVALID_COMMAND"),
        (request(0), b"INVALID_COMMAND"),
        (request(P.NOOP), b"INVALID_COMMAND"),
        (packet(P.GRAB_JOB), b"INVALID_MAGIC"),
        (request(P.SUBMIT_JOB, b"no NUL"), b"INVALID_PACKET"),
        (request(P.GRAB_JOB, b"more"), b"INVALID_PACKET"),
    ],
)
def test_what_is_wrong_is_told_and_passed_over(raw: bytes, code: bytes) -> None:
    """A frame that is wrong, but whose end is known, is an error; what follows it is read."""
    decoder = Decoder()
    (fault, (found, _)), after = decoder.feed(raw + request(P.ECHO_REQ, b"on"))
    assert (fault, found) == (FAULT, code)
    assert after == (P.ECHO_REQ, [b"on"])
    assert decoder.broken is None


@pytest.mark.parametrize("magic", [REQ, RES])
def test_too_large(magic: int) -> None:
    """A packet over the limit ends the connection by its header alone; one at the limit is read."""
    decoder = Decoder()
    assert decoder.feed(request(P.ECHO_REQ, b"before") + HEADER.pack(magic, 16, BODY_BYTES_MAX + 1)) == [
        (P.ECHO_REQ, [b"before"])
    ]
    assert decoder.broken == f"a packet has at most {BODY_BYTES_MAX} bytes, got {BODY_BYTES_MAX + 1}"
    assert Decoder().feed(request(P.ECHO_REQ, bytes(BODY_BYTES_MAX)))[0][0] == P.ECHO_REQ


def test_noise() -> None:
    """What begins with a NUL and is no packet ends the connection, and nothing of it is kept."""
    decoder = Decoder()
    assert decoder.feed(b"\0RE\0" + bytes(8)) == []
    assert decoder.broken == r"a packet must begin with \0REQ, got b'\x00RE\x00'"


def test_lines() -> None:
    """A packet whose first byte is not NUL is a line of words; both kinds may follow each other."""
    decoder = Decoder()
    assert decoder.feed(b"status\r\nmaxqueue  f 3\n" + request(P.PRE_SLEEP) + b"ver") == [
        (TEXT, [b"status"]),
        (TEXT, [b"maxqueue", b"f", b"3"]),
        (P.PRE_SLEEP, []),
    ]
    assert decoder.feed(b"sion\n") == [(TEXT, [b"version"])]


def test_a_line_without_end() -> None:
    """A line over its limit ends the connection."""
    decoder = Decoder()
    assert decoder.feed(b"x" * LINE_BYTES_MAX) == []
    assert decoder.broken is not None


def test_the_page_lists_every_packet() -> None:
    """The README has every packet with its number, sender and arguments, and a test that exists."""
    table = README.read_text().partition("\n## Packets\n")[2].partition("\n**ERROR codes**")[0]
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE))
    assert {int(number) for number in rows} == {kind.number.value for kind in TABLE}
    for kind in TABLE:
        name, sender, arguments, covered, *_ = rows[str(kind.number.value)].split(" | ")
        assert (name, sender) == (f"`{kind.number.name}`", kind.sender)
        assert arguments == (", ".join(kind.arguments) or "-")
        file, _, test = covered.strip("`").partition("::")
        text = (README.parents[3] / "tests" / file).read_text()
        assert re.search(rf"^(?:async )?def {test}\(", text, re.MULTILINE), covered

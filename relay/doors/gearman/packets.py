"""The binary packets of the Gearman protocol: which there are, and how they are read and written.

Pure: bytes come in, packets go out. Owns the limits of what one connection may make the door hold, and never
guesses: a frame that cannot be told from noise ends the connection, one that is only wrong is answered.

Source: the PROTOCOL document of gearmand 1.1, sections "Binary Packet" and following.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from struct import Struct
from typing import Final

from schemas.defaults import MIB

HEADER: Final = Struct(">III")
"""Magic, number, and how many bytes follow."""

HEADER_BYTES: Final = HEADER.size

REQ: Final = 0x00524551
"""The magic of what is sent to a job server, `\\0REQ`."""

RES: Final = 0x00524553
"""The magic of what a job server sends, `\\0RES`."""

BODY_BYTES_MAX: Final = 2 * MIB
"""Of one packet after its header; a longer one ends its connection before any of it is kept."""

LINE_BYTES_MAX: Final = 8192
"""Of one line of the text protocol."""


class P(IntEnum):
    """The numbers of the packets."""

    CAN_DO = 1
    CANT_DO = 2
    RESET_ABILITIES = 3
    PRE_SLEEP = 4
    NOOP = 6
    SUBMIT_JOB = 7
    JOB_CREATED = 8
    GRAB_JOB = 9
    NO_JOB = 10
    JOB_ASSIGN = 11
    WORK_STATUS = 12
    WORK_COMPLETE = 13
    WORK_FAIL = 14
    GET_STATUS = 15
    ECHO_REQ = 16
    ECHO_RES = 17
    SUBMIT_JOB_BG = 18
    ERROR = 19
    STATUS_RES = 20
    SUBMIT_JOB_HIGH = 21
    SET_CLIENT_ID = 22
    CAN_DO_TIMEOUT = 23
    ALL_YOURS = 24
    WORK_EXCEPTION = 25
    OPTION_REQ = 26
    OPTION_RES = 27
    WORK_DATA = 28
    WORK_WARNING = 29
    GRAB_JOB_UNIQ = 30
    JOB_ASSIGN_UNIQ = 31
    SUBMIT_JOB_HIGH_BG = 32
    SUBMIT_JOB_LOW = 33
    SUBMIT_JOB_LOW_BG = 34
    SUBMIT_JOB_SCHED = 35
    SUBMIT_JOB_EPOCH = 36
    SUBMIT_REDUCE_JOB = 37
    SUBMIT_REDUCE_JOB_BACKGROUND = 38
    GRAB_JOB_ALL = 39
    JOB_ASSIGN_ALL = 40
    GET_STATUS_UNIQUE = 41
    STATUS_RES_UNIQUE = 42
    # Extensions: far above what gearmand numbers, so that a packet it adds is no clash.
    SUBMIT_JOB_TIMEOUT = 1001
    ROUTING_TIMEOUT = 1002
    IDENTIFY_AREA = 1003
    AREA_PRIORITY = 1004
    AREA_PRIORITY_TIMEOUT = 1005


class Code(StrEnum):
    """The error codes of ERROR packets, as gearmand names them."""

    INVALID_MAGIC = "INVALID_MAGIC"
    INVALID_COMMAND = "INVALID_COMMAND"
    INVALID_PACKET = "INVALID_PACKET"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    INVALID_FUNCTION_NAME = "INVALID_FUNCTION_NAME"
    ARGUMENT_TOO_LARGE = "ARGUMENT_TOO_LARGE"
    UNKNOWN_OPTION = "UNKNOWN_OPTION"
    JOB_NOT_FOUND = "JOB_NOT_FOUND"
    QUEUE_ERROR = "QUEUE_ERROR"


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table: who sends such a packet, and what is in it."""

    number: P
    sender: str
    """client, worker, both or door; what a door passes on has its sender's kind and counts for both ways."""
    arguments: tuple[str, ...] = ()
    """Names, in order; the last one may hold any bytes."""

    @property
    def asks(self) -> bool:
        """Whether the door may be sent one."""
        return self.sender != "door"


_WORK = ("handle", "data")
_SUBMIT = ("function", "unique", "data")

TABLE: Final = (
    Kind(P.CAN_DO, "worker", ("function",)),
    Kind(P.CANT_DO, "worker", ("function",)),
    Kind(P.RESET_ABILITIES, "worker"),
    Kind(P.PRE_SLEEP, "worker"),
    Kind(P.NOOP, "door"),
    Kind(P.SUBMIT_JOB, "client", _SUBMIT),
    Kind(P.JOB_CREATED, "door", ("handle",)),
    Kind(P.GRAB_JOB, "worker"),
    Kind(P.NO_JOB, "door"),
    Kind(P.JOB_ASSIGN, "door", ("handle", "function", "data")),
    Kind(P.WORK_STATUS, "worker", ("handle", "numerator", "denominator")),
    Kind(P.WORK_COMPLETE, "worker", _WORK),
    Kind(P.WORK_FAIL, "worker", ("handle",)),
    Kind(P.GET_STATUS, "client", ("handle",)),
    Kind(P.ECHO_REQ, "both", ("data",)),
    Kind(P.ECHO_RES, "door", ("data",)),
    Kind(P.SUBMIT_JOB_BG, "client", _SUBMIT),
    Kind(P.ERROR, "door", ("code", "text")),
    Kind(P.STATUS_RES, "door", ("handle", "known", "running", "numerator", "denominator")),
    Kind(P.SUBMIT_JOB_HIGH, "client", _SUBMIT),
    Kind(P.SET_CLIENT_ID, "worker", ("id",)),
    Kind(P.CAN_DO_TIMEOUT, "worker", ("function", "timeout_ms")),
    Kind(P.ALL_YOURS, "worker"),
    Kind(P.WORK_EXCEPTION, "worker", _WORK),
    Kind(P.OPTION_REQ, "both", ("option",)),
    Kind(P.OPTION_RES, "door", ("option",)),
    Kind(P.WORK_DATA, "worker", _WORK),
    Kind(P.WORK_WARNING, "worker", _WORK),
    Kind(P.GRAB_JOB_UNIQ, "worker"),
    Kind(P.JOB_ASSIGN_UNIQ, "door", ("handle", "function", "unique", "data")),
    Kind(P.SUBMIT_JOB_HIGH_BG, "client", _SUBMIT),
    Kind(P.SUBMIT_JOB_LOW, "client", _SUBMIT),
    Kind(P.SUBMIT_JOB_LOW_BG, "client", _SUBMIT),
    Kind(
        P.SUBMIT_JOB_SCHED,
        "client",
        ("function", "unique", "minute", "hour", "day", "month", "weekday", "data"),
    ),
    Kind(P.SUBMIT_JOB_EPOCH, "client", ("function", "unique", "epoch_s", "data")),
    Kind(P.SUBMIT_REDUCE_JOB, "client", ("function", "unique", "reducer", "data")),
    Kind(P.SUBMIT_REDUCE_JOB_BACKGROUND, "client", ("function", "unique", "reducer", "data")),
    Kind(P.GRAB_JOB_ALL, "worker"),
    Kind(P.JOB_ASSIGN_ALL, "door", ("handle", "function", "unique", "reducer", "data")),
    Kind(P.GET_STATUS_UNIQUE, "client", ("unique",)),
    Kind(
        P.STATUS_RES_UNIQUE,
        "door",
        ("unique", "known", "running", "numerator", "denominator", "clients"),
    ),
    Kind(P.SUBMIT_JOB_TIMEOUT, "client", ("function", "unique", "priority", "routing_timeout_ms", "data")),
    Kind(P.ROUTING_TIMEOUT, "door", ("handle", "waited_ms")),
    Kind(P.IDENTIFY_AREA, "worker", ("areas",)),
    Kind(P.AREA_PRIORITY, "client", ("areas",)),
    Kind(P.AREA_PRIORITY_TIMEOUT, "client", ("areas",)),
)

KINDS: Final = {kind.number: kind for kind in TABLE}

_COUNTS: Final[dict[int, int]] = {kind.number: len(kind.arguments) for kind in TABLE if kind.asks}

TEXT: Final = 0
"""Stands for a line of the text protocol, whose words are then its arguments."""

FAULT: Final = -1
"""Stands for a frame that is wrong, but whose end is known: a code and a sentence for an ERROR packet."""

Said = tuple[int, list[bytes]]
"""The number of a packet, TEXT or FAULT, and its arguments."""


def packet(number: int, *arguments: bytes) -> bytes:
    """What a door sends."""
    body = b"\0".join(arguments)
    return HEADER.pack(RES, number, len(body)) + body


def request(number: int, *arguments: bytes) -> bytes:
    """What is sent to a door."""
    body = b"\0".join(arguments)
    return HEADER.pack(REQ, number, len(body)) + body


def error(code: Code, sentence: str) -> bytes:
    """An ERROR packet."""
    return packet(P.ERROR, code.encode(), sentence.encode())


class Decoder:
    """Cuts what one connection says into packets and lines.

    `broken` is a sentence once nothing more can be told from noise; what came before it is still given out.
    """

    __slots__ = ("_needed", "_rest", "broken")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._needed = 1
        self.broken: str | None = None

    def feed(self, data: bytes) -> list[Said]:
        """What these bytes complete, in order."""
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._needed:
                return []
            data = bytes(rest)
            rest.clear()
        said: list[Said] = []
        at, end = 0, len(data)
        while at < end and self.broken is None:
            taken = self._line(data, at, said) if data[at] else self._frame(data, at, end, said)
            if not taken:
                rest += data[at:] if at else data
                break
            at += taken
        return said

    def _frame(self, data: bytes, at: int, end: int, said: list[Said]) -> int:
        """Takes one packet; returns its bytes, or 0 if it is not all here."""
        if end - at < HEADER_BYTES:
            self._needed = HEADER_BYTES
            return 0
        magic, number, size = HEADER.unpack_from(data, at)
        whole: int = HEADER_BYTES + size
        if end - at < whole or magic != REQ:
            if magic not in (REQ, RES):
                self.broken = f"a packet must begin with \\0REQ, got {data[at : at + 4]!r}"
                return 0
            if size > BODY_BYTES_MAX:
                self.broken = f"a packet has at most {BODY_BYTES_MAX} bytes, got {size}"
                return 0
            if end - at < whole:
                self._needed = whole
                return 0
            said.append(_fault(Code.INVALID_MAGIC, "Request magic expected"))
            return whole
        if size > BODY_BYTES_MAX:
            self.broken = f"a packet has at most {BODY_BYTES_MAX} bytes, got {size}"
            return 0
        count = _COUNTS.get(number)
        body = data[at + HEADER_BYTES : at + whole]
        if count is None:
            said.append(_fault(Code.INVALID_COMMAND, f"Invalid command expected, got {number}"))
        elif count == 0:
            said.append((number, []) if not size else _wrong(number, 0, "some"))
        else:
            arguments = body.split(b"\0", count - 1)
            said.append(
                (number, arguments) if len(arguments) == count else _wrong(number, count, len(arguments))
            )
        return whole

    def _line(self, data: bytes, at: int, said: list[Said]) -> int:
        """Takes one line of the text protocol; returns its bytes, or 0 if it is not all here."""
        end = data.find(b"\n", at, at + LINE_BYTES_MAX)
        if end < 0:
            if len(data) - at >= LINE_BYTES_MAX:
                self.broken = f"a line has at most {LINE_BYTES_MAX} bytes, got more without an end"
            self._needed = 0
            return 0
        said.append((TEXT, data[at:end].split()))
        return end + 1 - at


def _fault(code: Code, sentence: str) -> Said:
    return FAULT, [code.encode(), sentence.encode()]


def _wrong(number: int, count: int, got: object) -> Said:
    return _fault(Code.INVALID_PACKET, f"{P(number).name} has {count} arguments, got {got}")

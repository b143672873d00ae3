"""The text protocol: what administrators and their tools ask in lines, and what they are answered.

Pure: owns the forms of questions and answers; what is true is the `Office`'s to say. Every answer ends as its
readers expect: lists with a line of a single dot, the rest with one line.

Source: the PROTOCOL document of gearmand 1.1, section "Administrative Protocol", and what gearadmin 1.1
sends.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

OK = b"OK\r\n"
END = b".\n"
PRIORITIES = 3
COUNT_CHARS_MAX = 10
"""Digits of a number in a line."""


class FunctionRow(NamedTuple):
    """A function that is known here."""

    name: bytes
    high: int
    normal: int
    low: int
    """Calls that wait, by priority."""
    running: int
    workers: int

    @property
    def waiting(self) -> int:
        """All that wait."""
        return self.high + self.normal + self.low


class WorkerRow(NamedTuple):
    """A connection."""

    number: int
    host: str
    id: bytes
    functions: tuple[bytes, ...]


class JobRow(NamedTuple):
    """A call that waits or runs."""

    handle: bytes
    unique: bytes
    retries: int
    ignored: bool
    """Nobody waits for it any longer."""


class Refused(Exception):
    """What was asked for cannot be; the text is the end of an ERR line."""


class Office(Protocol):
    """What the door knows and does for administrators."""

    version: str
    pid: int
    verbosity: str

    def functions(self) -> Iterable[FunctionRow]:
        """Every function."""

    def workers(self) -> Iterable[WorkerRow]:
        """Every connection."""

    def jobs(self) -> Iterable[JobRow]:
        """Every call that waits or runs."""

    def cancel(self, handle: bytes) -> bool:
        """Ends a call that waits; False if there is none such."""

    def create(self, function: bytes) -> None:
        """Makes a function known; Refused if it cannot be one."""

    def drop(self, function: bytes) -> None:
        """Forgets a function; Refused if there is none, or it is in use."""

    def limit(self, function: bytes, high: int, normal: int, low: int) -> None:
        """The most calls of a function when one more of a priority comes; 0: any number."""

    def shut_down(self, *, graceful: bool) -> None:
        """Ends the door; Refused if that is not an administrator's to say here."""


def answer(words: list[bytes], office: Office) -> bytes:
    """What a line is answered. Whatever it is, there is an answer, and no exception."""
    if not words:
        return _unknown(b"NULL")
    try:
        return _answer([words[0].lower(), *words[1:]], office)
    except Refused as refused:
        return f"ERR {refused}\r\n".encode()


def _answer(words: list[bytes], office: Office) -> bytes:  # noqa: C901, PLR0912 - a table
    rest = [word.lower() for word in words[1:]]
    match words[0]:
        case b"status":
            return _list(
                b"%b\t%d\t%d\t%d\n" % (row.name, row.waiting + row.running, row.running, row.workers)
                for row in office.functions()
            )
        case b"prioritystatus":
            return _list(
                b"%b\t%d\t%d\t%d\t%d\n" % (row.name, row.high, row.normal, row.low, row.workers)
                for row in office.functions()
            )
        case b"workers":
            return _list(
                b"%d %b %b :%b\n"
                % (row.number, row.host.encode(), row.id, b"".join(b" " + name for name in row.functions))
                for row in office.workers()
            )
        case b"version":
            return f"OK {office.version}\n".encode()
        case b"getpid":
            return f"OK {office.pid}\n".encode()
        case b"verbose":
            return f"OK {office.verbosity}\n".encode()
        case b"maxqueue":
            return _maxqueue(words, office)
        case b"show":
            return _show(rest, office)
        case b"cancel" if len(words) == 3 and rest[0] == b"job":  # noqa: PLR2004 - the words of the line
            return OK if office.cancel(words[2]) else b"ERR UNKNOWN_JOB\r\n"
        case b"create" if len(words) == 3 and rest[0] == b"function":  # noqa: PLR2004
            office.create(words[2])
            return OK
        case b"drop" if len(words) == 3 and rest[0] == b"function":  # noqa: PLR2004
            office.drop(words[2])
            return OK
        case b"cancel" | b"create" | b"drop":
            return _incomplete(words[0])
        case b"shutdown" if rest in ([], [b"graceful"]):
            office.shut_down(graceful=bool(rest))
            return OK
        case _:
            return _unknown(words[0])


def _show(rest: list[bytes], office: Office) -> bytes:
    if rest == [b"jobs"]:
        # The last column is whether a job is kept by the server: none is, Kafka keeps those that are.
        return _list(b"%b\t%d\t%d\t0\n" % (row.handle, row.retries, row.ignored) for row in office.jobs())
    if rest == [b"unique", b"jobs"]:
        return _list(b"%b\n" % row.unique for row in office.jobs() if row.unique)
    return b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"


def _maxqueue(words: list[bytes], office: Office) -> bytes:
    if len(words) == 1:
        return _incomplete(words[0])
    limits = [_count(word) for word in words[2:]]
    if len(limits) > PRIORITIES or None in limits:
        return _incomplete(words[0])
    known = [limit for limit in limits if limit is not None] or [0]
    high, normal, low = known if len(known) == PRIORITIES else (known[0],) * PRIORITIES
    office.limit(words[1], high, normal, low)
    return OK


def _count(word: bytes) -> int | None:
    """A whole number; one below 0 counts as 0, which means no limit. None: it is none."""
    digits = word.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > COUNT_CHARS_MAX:
        return None
    return max(int(word), 0)


def _list(lines: Iterable[bytes]) -> bytes:
    return b"".join(lines) + END


def _unknown(word: bytes) -> bytes:
    return b"ERR UNKNOWN_COMMAND Unknown+server+command" + _shown(word) + b"\r\n"


def _incomplete(word: bytes) -> bytes:
    return (
        b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+"
        + _shown(word)
        + b"\r\n"
    )


def _shown(word: bytes) -> bytes:
    return word[:64]

"""The text protocol of the Gearman door: what is asked, and what is answered."""

import pytest

from relay.doors.gearman.words import FunctionRow, JobRow, WorkerRow, answer
from tests.fakes.office import Office

FULL = Office(
    function_rows=[FunctionRow(b"mail", 1, 2, 3, 4, 5), FunctionRow(b"wash", 0, 0, 0, 0, 0)],
    worker_rows=[WorkerRow(31, "127.0.0.1", b"w-1", (b"mail", b"wash")), WorkerRow(32, "::1", b"-", ())],
    job_rows=[JobRow(b"H:a:1", b"u-1", 2, ignored=True), JobRow(b"H:a:2", b"", 0, ignored=False)],
)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"status", b"mail\t10\t4\t5\nwash\t0\t0\t0\n.\n"),
        (b"STATUS", b"mail\t10\t4\t5\nwash\t0\t0\t0\n.\n"),
        (b"prioritystatus", b"mail\t1\t2\t3\t5\nwash\t0\t0\t0\t0\n.\n"),
        (b"workers", b"31 127.0.0.1 w-1 : mail wash\n32 ::1 - :\n.\n"),
        (b"show jobs", b"H:a:1\t2\t1\t0\nH:a:2\t0\t0\t0\n.\n"),
        (b"show unique jobs", b"u-1\n.\n"),
        (b"show me", b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"),
        (b"version", b"OK 1.0\n"),
        (b"getpid", b"OK 4711\n"),
        (b"verbose", b"OK INFO\n"),
        (b"cancel job H:a:1", b"OK\r\n"),
        (b"cancel job H:b:9", b"ERR UNKNOWN_JOB\r\n"),
        (b"drop function none", b"ERR function not found\r\n"),
        (b"shutdown now", b"ERR UNKNOWN_COMMAND Unknown+server+commandshutdown\r\n"),
        (b"dance", b"ERR UNKNOWN_COMMAND Unknown+server+commanddance\r\n"),
        (b"", b"ERR UNKNOWN_COMMAND Unknown+server+commandNULL\r\n"),
        (
            b"create",
            b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+create\r\n",
        ),
        (
            b"maxqueue",
            b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+maxqueue\r\n",
        ),
        (
            b"maxqueue mail many",
            b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+maxqueue\r\n",
        ),
    ],
)
def test_what_is_answered(line: bytes, said: bytes) -> None:
    """Each question has its answer, word for word as gearmand's readers expect it."""
    assert answer(line.split(), FULL) == said


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"create function mail", ("create", b"mail")),
        (b"drop function mail", ("drop", b"mail")),
        (b"maxqueue mail", ("limit", b"mail", 0, 0, 0)),
        (b"maxqueue mail 7", ("limit", b"mail", 7, 7, 7)),
        (b"maxqueue mail 7 -1 9", ("limit", b"mail", 7, 0, 9)),
        (b"shutdown", ("shutdown", False)),
        (b"shutdown graceful", ("shutdown", True)),
    ],
)
def test_what_is_done(line: bytes, told: tuple[object, ...]) -> None:
    """Each order is the office's to carry out, and is answered OK."""
    office = Office(function_rows=FULL.function_rows)
    assert answer(line.split(), office) == b"OK\r\n"
    assert office.told == [told]

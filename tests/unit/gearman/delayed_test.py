"""`submitJobDelayed`: what Gearsloth's clients send is understood; what cannot be is refused by a
sentence.
"""

import pytest

from relay.doors.gearman.delayed import BadTask, Task, read

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("data", "task"),
    [
        (b'{"func_name":"log"}', Task("log", NOW_MS, b"")),
        (b'{"func_name":"log","after":2,"payload":"x"}', Task("log", NOW_MS + 2000, b"x")),
        (
            b'{"func_name":"log","after":"0.5","at":"2030-01-01","payload":{"a":1}}',
            Task("log", NOW_MS + 500, b'{"a":1}'),
        ),
        (b'{"func_name":"log","at":"2030-01-01T00:00:00.500Z"}', Task("log", 1_893_456_000_500, b"")),
        (b'{"func_name":"log","at":"Tue, 01 Jan 2030 00:00:00 +0000"}', Task("log", 1_893_456_000_000, b"")),
        (
            b'{"func_name":"log","at":1893456000000,"runner_retry_count":3}',
            Task("log", 1_893_456_000_000, b""),
        ),
        (b"2030-01-01T00:00:00Z\0log\0a\0b", Task("log", 1_893_456_000_000, b"a\0b")),
        (b"2030-01-01T00:00:00Z\0log", Task("log", 1_893_456_000_000, b"")),
    ],
)
def test_both_forms(data: bytes, task: Task) -> None:
    """JSON objects and the binary form are read; `after` goes before `at`."""
    assert read(data, NOW_MS) == task


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "a task must be a JSON object, got b''"),
        (b"[1]", "a task must be a JSON object, got b'[1]'"),
        (b"{}", "func_name must be the name of a function, got None"),
        (b'{"func_name":7}', "func_name must be the name of a function, got 7"),
        (b'{"func_name":"f","after":-1}', "after must be seconds, 0 or more, got -1"),
        (b'{"func_name":"f","after":true}', None),
        (b'{"func_name":"f","after":1e999}', "after must be seconds, 0 or more, got inf"),
        (b'{"func_name":"f","at":"soon"}', "at must be a time such as 2030-01-31T12:00:00Z, got 'soon'"),
        (
            b'{"func_name":"f","controller":"mine"}',
            "controller must be left out, since retries are the service's, got 'mine'",
        ),
        (b"soon\0f", "at must be a time such as 2030-01-31T12:00:00Z, got 'soon'"),
        (b"2030-01-01\0\xff", r"a task must be UTF-8, got b'\xff'"),
    ],
)
def test_what_cannot_be(data: bytes, sentence: str | None) -> None:
    """A task that cannot be is refused by a sentence with what was found."""
    if sentence is None:
        assert read(data, NOW_MS).run_at_ms == NOW_MS + 1000
        return
    with pytest.raises(BadTask) as refused:
        read(data, NOW_MS)
    assert str(refused.value) == sentence

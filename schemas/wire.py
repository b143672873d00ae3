"""The binary form of each record, written and read without a schema walk. Generated: do not edit.

`python -m schemas.generate` writes this page from the avsc files and ids.json. codec.py is its only user: it
makes one error of all that these functions raise, and checks that the value ends where its record ends.
A reader fills the frozen record's own dict: faster than its constructor, and smaller than a new dict.
"""
# ruff: noqa: C901, D103, N802, PLR0912, PLR0915, PLR2004

from collections.abc import Callable
from typing import Any

from schemas.binary import (
    DOUBLE,
    SHORT,
    Broken,
    int_bytes,
    number_bytes,
    read_count,
    read_int,
    read_length,
    read_more,
)
from schemas.events import (
    Announcement,
    ArgsRow,
    Attempt,
    Beat,
    Command,
    ConfigChanged,
    ConfigRow,
    Control,
    DeadLetter,
    Dispatch,
    Fact,
    FunctionConfig,
    Happening,
    Heartbeat,
    JobRequest,
    JobRow,
    JobSpec,
    QueueConfig,
    Receipt,
    Reject,
    Schedule,
    ScheduleRow,
    Tick,
    Worker,
)

_new = object.__new__
_double_bytes = DOUBLE.pack
_read_double = DOUBLE.unpack_from


def write_Announcement(out: bytearray, event: Announcement) -> None:
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    part = event.relay.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)
    part = event.queue.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if event.functions:
        out += number_bytes(len(event.functions))
        for each_text in event.functions:
            part = each_text.encode()
            out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
            out += part
    out.append(0)
    if (texts := event.limits) is None:
        out.append(0)
    else:
        out.append(2)
        if texts:
            out += number_bytes(len(texts))
            for each_text in texts:
                part = each_text.encode()
                out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
                out += part
        out.append(0)


def read_Announcement(data: bytes, at: int) -> tuple[Announcement, int]:
    event = _new(Announcement)
    row: dict[str, Any] = event.__dict__
    found: list[Any]
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["relay"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["queue"] = data[at:end].decode()
    at = end
    found = []
    count, at = read_count(data, at)
    while count:
        for _ in range(count):
            raw = data[at]
            at += 1
            if raw & 129:
                raw, at = read_length(data, at, raw)
            end = at + (raw >> 1)
            each_text = data[at:end].decode()
            at = end
            found.append(each_text)
        count, at = read_count(data, at)
    row["functions"] = tuple(found)
    raw = data[at]
    at += 1
    if raw == 0:
        row["limits"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw & 129:
                    raw, at = read_length(data, at, raw)
                end = at + (raw >> 1)
                each_text = data[at:end].decode()
                at = end
                found.append(each_text)
            count, at = read_count(data, at)
        row["limits"] = tuple(found)
    else:
        raise Broken
    return event, at


def write_ArgsRow(out: bytearray, event: ArgsRow) -> None:
    part = event.job.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.args
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part


def read_ArgsRow(data: bytes, at: int) -> tuple[ArgsRow, int]:
    event = _new(ArgsRow)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["job"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["args"] = data[at:end]
    at = end
    return event, at


def write_Command(out: bytearray, event: Command) -> None:
    part = event.command.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.id.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (text := event.key) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.reason) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.by) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.since_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.until_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.overlap) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.job) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.phase) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.run_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)


def read_Command(data: bytes, at: int) -> tuple[Command, int]:
    event = _new(Command)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["command"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["id"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["key"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["key"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["reason"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["reason"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["by"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["by"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["since_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["since_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["until_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["until_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["overlap"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["overlap"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["job"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["job"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["phase"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["phase"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["run_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["run_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    return event, at


def write_ConfigChanged(out: bytearray, event: ConfigChanged) -> None:
    part = event.entry.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.offset) < 4096 else number_bytes(whole)
    if (data := event.value) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part


def read_ConfigChanged(data: bytes, at: int) -> tuple[ConfigChanged, int]:
    event = _new(ConfigChanged)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["entry"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["offset"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["value"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["value"] = data[at:end]
        at = end
    else:
        raise Broken
    return event, at


def write_ConfigRow(out: bytearray, event: ConfigRow) -> None:
    part = event.entry.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.offset) < 4096 else number_bytes(whole)
    if (data := event.value) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    out += SHORT[whole] if 0 <= (whole := event.applied_requests) < 4096 else number_bytes(whole)


def read_ConfigRow(data: bytes, at: int) -> tuple[ConfigRow, int]:
    event = _new(ConfigRow)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["entry"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["offset"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["value"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["value"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["applied_requests"] = ~(raw >> 1) if raw & 1 else raw >> 1
    return event, at


def write_Control(out: bytearray, event: Control) -> None:
    part = event.control.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.job.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.epoch) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)


def read_Control(data: bytes, at: int) -> tuple[Control, int]:
    event = _new(Control)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["control"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["job"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["epoch"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    return event, at


def write_DeadLetter(out: bytearray, event: DeadLetter) -> None:
    part = event.job.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.key.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    part = event.function.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.queue.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)
    part = event.reason.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.attempts) < 4096 else int_bytes(whole)
    if (data := event.args) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    part = event.content_type.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.request.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.errors.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.redrive.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (text := event.settled) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.settled_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)


def read_DeadLetter(data: bytes, at: int) -> tuple[DeadLetter, int]:
    event = _new(DeadLetter)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["job"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["key"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["function"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["queue"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["reason"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["attempts"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["args"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["args"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["content_type"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["request"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["errors"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["redrive"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["settled"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["settled"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["settled_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["settled_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    return event, at


def write_Dispatch(out: bytearray, event: Dispatch) -> None:
    part = event.job.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.key.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    part = event.queue.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.function.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.attempt) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.epoch) < 4096 else number_bytes(whole)
    if (data := event.args) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    part = event.content_type.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.timeout_ms) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.heartbeat_timeout_ms) < 4096 else number_bytes(whole)
    if (number := event.expires_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.created_at_ms) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.dispatched_at_ms) < 4096 else number_bytes(whole)
    if (data := event.checkpoint) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.trace) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.order) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.after_job) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.after_epoch) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.priority) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)


def read_Dispatch(data: bytes, at: int) -> tuple[Dispatch, int]:
    event = _new(Dispatch)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["job"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["key"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["queue"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["function"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["attempt"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["epoch"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["args"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["args"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["content_type"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["heartbeat_timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["expires_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expires_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["created_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["dispatched_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["checkpoint"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["checkpoint"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["trace"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["trace"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["order"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["order"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["after_job"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["after_job"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["after_epoch"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["after_epoch"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["priority"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["priority"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    return event, at


def write_Fact(out: bytearray, event: Fact) -> None:
    part = event.fact.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.job.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.key.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)
    if (text := event.phase) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.function) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.queue) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    out += SHORT[whole] if 0 <= (whole := event.attempt) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.epoch) < 4096 else number_bytes(whole)
    if (number := event.created_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.next_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.ended_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.queued_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.start_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.run_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.minion) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.session) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.relay) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.step) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.done) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.total) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (data := event.result) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.result_type) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.error_type) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.error_message) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.reason) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.scheduled_by) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.parent) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.fire_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.fire_until_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.fires) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.duplicate_of) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.replaced) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (flag := event.cached) is None:
        out.append(0)
    else:
        out.append(2)
        out.append(1 if flag else 0)


def read_Fact(data: bytes, at: int) -> tuple[Fact, int]:
    event = _new(Fact)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["fact"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["job"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["key"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["phase"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["phase"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["function"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["function"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["queue"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["queue"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["attempt"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["epoch"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["created_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["created_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["next_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["next_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["ended_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["ended_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["queued_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["queued_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["start_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["start_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["run_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["run_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["minion"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["minion"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["session"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["session"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["relay"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["relay"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["step"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["step"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["done"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["done"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["total"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["total"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["result"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result_type"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["result_type"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["error_type"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["error_type"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["error_message"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["error_message"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["reason"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["reason"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["scheduled_by"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["scheduled_by"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["parent"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["parent"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["fire_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["fire_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["fire_until_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["fire_until_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["fires"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["fires"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["duplicate_of"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["duplicate_of"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["replaced"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["replaced"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["cached"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 1:
            raise Broken
        row["cached"] = raw == 1
    else:
        raise Broken
    return event, at


def write_FunctionConfig(out: bytearray, event: FunctionConfig) -> None:
    part = event.function.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.version) < 4096 else number_bytes(whole)
    if (number := event.timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.heartbeat_timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.expected_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.retry_kind) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.retry_initial_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_factor) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.retry_cap_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_jitter) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.attempts_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    if (number := event.lost_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    if (text := event.note) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.by) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.result_retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.priority) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part


def read_FunctionConfig(data: bytes, at: int) -> tuple[FunctionConfig, int]:
    event = _new(FunctionConfig)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["function"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["version"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["heartbeat_timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["heartbeat_timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expected_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expected_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_kind"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["retry_kind"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_initial_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_initial_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_factor"] = None
    elif raw == 2:
        row["retry_factor"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_cap_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_cap_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_jitter"] = None
    elif raw == 2:
        row["retry_jitter"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["attempts_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["attempts_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["lost_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["lost_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["note"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["note"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["by"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["by"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result_retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["result_retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["priority"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["priority"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    return event, at


def write_Beat(out: bytearray, event: Beat) -> None:
    part = event.job.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.key.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.epoch) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.attempt) < 4096 else int_bytes(whole)
    part = event.kind.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.minion.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.session.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.assigned_at_ms) < 4096 else number_bytes(whole)
    if (number := event.started_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.deadline_ms) < 4096 else number_bytes(whole)
    out.append(1 if event.spilled else 0)
    if (text := event.step) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.step_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.done) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.total) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (data := event.checkpoint) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part


def read_Beat(data: bytes, at: int) -> tuple[Beat, int]:
    event = _new(Beat)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["job"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["key"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["epoch"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["attempt"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["kind"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["minion"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["session"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["assigned_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["started_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["started_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["deadline_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 1:
        raise Broken
    row["spilled"] = raw == 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["step"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["step"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["step_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["step_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["done"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["done"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["total"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["total"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["checkpoint"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["checkpoint"] = data[at:end]
        at = end
    else:
        raise Broken
    return event, at


def write_Heartbeat(out: bytearray, event: Heartbeat) -> None:
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    part = event.relay.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)
    if event.beats:
        out += number_bytes(len(event.beats))
        for beat in event.beats:
            write_Beat(out, beat)
    out.append(0)


def read_Heartbeat(data: bytes, at: int) -> tuple[Heartbeat, int]:
    event = _new(Heartbeat)
    row: dict[str, Any] = event.__dict__
    found: list[Any]
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["relay"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    found = []
    count, at = read_count(data, at)
    while count:
        for _ in range(count):
            beat, at = read_Beat(data, at)
            found.append(beat)
        count, at = read_count(data, at)
    row["beats"] = tuple(found)
    return event, at


def write_JobRequest(out: bytearray, event: JobRequest) -> None:
    if (text := event.id) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    part = event.function.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.queue.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (text := event.key) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (data := event.args) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    part = event.content_type.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (number := event.run_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.expires_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.deadline_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.heartbeat_timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.expected_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.retry_kind) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.retry_initial_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_factor) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.retry_cap_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_jitter) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.attempts_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    if (number := event.lost_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    if event.non_retryable:
        out += number_bytes(len(event.non_retryable))
        for each_text in event.non_retryable:
            part = each_text.encode()
            out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
            out += part
    out.append(0)
    if (text := event.priority) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if event.tags:
        out += number_bytes(len(event.tags))
        for each_text in event.tags:
            part = each_text.encode()
            out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
            out += part
    out.append(0)
    if (text := event.unique) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.schedule) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.scheduled_by) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.parent) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.trace) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.expires_after_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.result_retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)


def read_JobRequest(data: bytes, at: int) -> tuple[JobRequest, int]:
    event = _new(JobRequest)
    row: dict[str, Any] = event.__dict__
    found: list[Any]
    raw = data[at]
    at += 1
    if raw == 0:
        row["id"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["id"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["function"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["queue"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["key"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["key"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["args"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["args"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["content_type"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["run_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["run_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expires_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expires_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["deadline_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["deadline_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["heartbeat_timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["heartbeat_timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expected_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expected_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_kind"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["retry_kind"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_initial_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_initial_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_factor"] = None
    elif raw == 2:
        row["retry_factor"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_cap_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_cap_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_jitter"] = None
    elif raw == 2:
        row["retry_jitter"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["attempts_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["attempts_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["lost_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["lost_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    found = []
    count, at = read_count(data, at)
    while count:
        for _ in range(count):
            raw = data[at]
            at += 1
            if raw & 129:
                raw, at = read_length(data, at, raw)
            end = at + (raw >> 1)
            each_text = data[at:end].decode()
            at = end
            found.append(each_text)
        count, at = read_count(data, at)
    row["non_retryable"] = tuple(found)
    raw = data[at]
    at += 1
    if raw == 0:
        row["priority"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["priority"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    found = []
    count, at = read_count(data, at)
    while count:
        for _ in range(count):
            raw = data[at]
            at += 1
            if raw & 129:
                raw, at = read_length(data, at, raw)
            end = at + (raw >> 1)
            each_text = data[at:end].decode()
            at = end
            found.append(each_text)
        count, at = read_count(data, at)
    row["tags"] = tuple(found)
    raw = data[at]
    at += 1
    if raw == 0:
        row["unique"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["unique"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["schedule"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["schedule"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["scheduled_by"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["scheduled_by"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["parent"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["parent"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["trace"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["trace"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expires_after_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expires_after_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result_retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["result_retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    return event, at


def write_JobSpec(out: bytearray, event: JobSpec) -> None:
    part = event.id.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.key.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    part = event.function.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.queue.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (data := event.args) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    out.append(1 if event.args_apart else 0)
    part = event.content_type.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.content_hash.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.created_at_ms) < 4096 else number_bytes(whole)
    if (number := event.run_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.expires_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.ends_by_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.timeout_ms) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.heartbeat_timeout_ms) < 4096 else number_bytes(whole)
    if (number := event.expected_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    part = event.retry_kind.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.retry_initial_ms) < 4096 else number_bytes(whole)
    out += _double_bytes(event.retry_factor)
    out += SHORT[whole] if 0 <= (whole := event.retry_cap_ms) < 4096 else number_bytes(whole)
    out += _double_bytes(event.retry_jitter)
    out += SHORT[whole] if 0 <= (whole := event.attempts_max) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.lost_max) < 4096 else int_bytes(whole)
    if event.non_retryable:
        out += number_bytes(len(event.non_retryable))
        for each_text in event.non_retryable:
            part = each_text.encode()
            out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
            out += part
    out.append(0)
    part = event.priority.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if event.tags:
        out += number_bytes(len(event.tags))
        for each_text in event.tags:
            part = each_text.encode()
            out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
            out += part
    out.append(0)
    if (text := event.scheduled_by) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.parent) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.trace) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.lane) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.unique) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.unique_until_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.result_retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)


def read_JobSpec(data: bytes, at: int) -> tuple[JobSpec, int]:
    event = _new(JobSpec)
    row: dict[str, Any] = event.__dict__
    found: list[Any]
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["id"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["key"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["function"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["queue"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["args"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["args"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 1:
        raise Broken
    row["args_apart"] = raw == 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["content_type"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["content_hash"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["created_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["run_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["run_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expires_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expires_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["ends_by_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["ends_by_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["heartbeat_timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["expected_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expected_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["retry_kind"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["retry_initial_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    row["retry_factor"] = _read_double(data, at)[0]
    at += 8
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["retry_cap_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    row["retry_jitter"] = _read_double(data, at)[0]
    at += 8
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["attempts_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["lost_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    found = []
    count, at = read_count(data, at)
    while count:
        for _ in range(count):
            raw = data[at]
            at += 1
            if raw & 129:
                raw, at = read_length(data, at, raw)
            end = at + (raw >> 1)
            each_text = data[at:end].decode()
            at = end
            found.append(each_text)
        count, at = read_count(data, at)
    row["non_retryable"] = tuple(found)
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["priority"] = data[at:end].decode()
    at = end
    found = []
    count, at = read_count(data, at)
    while count:
        for _ in range(count):
            raw = data[at]
            at += 1
            if raw & 129:
                raw, at = read_length(data, at, raw)
            end = at + (raw >> 1)
            each_text = data[at:end].decode()
            at = end
            found.append(each_text)
        count, at = read_count(data, at)
    row["tags"] = tuple(found)
    raw = data[at]
    at += 1
    if raw == 0:
        row["scheduled_by"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["scheduled_by"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["parent"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["parent"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["trace"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["trace"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["lane"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["lane"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["unique"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["unique"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["unique_until_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["unique_until_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result_retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["result_retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    return event, at


def write_Attempt(out: bytearray, event: Attempt) -> None:
    out += SHORT[whole] if 0 <= (whole := event.attempt) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.epoch) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.dispatched_at_ms) < 4096 else number_bytes(whole)
    if (text := event.minion) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.session) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.relay) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    out.append(1 if event.spilled else 0)
    if (number := event.assigned_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.started_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.ended_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.outcome) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.error_type) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.error_message) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.step) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.done) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.total) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)


def read_Attempt(data: bytes, at: int) -> tuple[Attempt, int]:
    event = _new(Attempt)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["attempt"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["epoch"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["dispatched_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["minion"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["minion"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["session"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["session"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["relay"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["relay"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 1:
        raise Broken
    row["spilled"] = raw == 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["assigned_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["assigned_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["started_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["started_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["ended_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["ended_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["outcome"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["outcome"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["error_type"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["error_type"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["error_message"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["error_message"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["step"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["step"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["done"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["done"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["total"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["total"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    return event, at


def write_JobRow(out: bytearray, event: JobRow) -> None:
    write_JobSpec(out, event.spec)
    part = event.phase.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.attempt) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.epoch) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.failed) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.lost) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.snoozed) < 4096 else int_bytes(whole)
    if (number := event.dispatched_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.due_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.wait_reason) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.lease_ends_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.beat_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.step_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (data := event.checkpoint) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.cancel_reason) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.ended_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.end_reason) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.purge_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (data := event.result) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.result_type) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.error_type) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.error_message) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if event.attempts:
        out += number_bytes(len(event.attempts))
        for attempt in event.attempts:
            write_Attempt(out, attempt)
    out.append(0)
    out += SHORT[whole] if 0 <= (whole := event.attempts_dropped) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.applied_requests) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.applied_receipts) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.applied_heartbeats) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.applied_timers) < 4096 else number_bytes(whole)
    if (number := event.lane_place) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.after_job) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.after_epoch) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (flag := event.cached) is None:
        out.append(0)
    else:
        out.append(2)
        out.append(1 if flag else 0)


def read_JobRow(data: bytes, at: int) -> tuple[JobRow, int]:
    event = _new(JobRow)
    row: dict[str, Any] = event.__dict__
    found: list[Any]
    row["spec"], at = read_JobSpec(data, at)
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["phase"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["attempt"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["epoch"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["failed"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["lost"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["snoozed"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["dispatched_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["dispatched_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["due_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["due_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["wait_reason"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["wait_reason"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["lease_ends_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["lease_ends_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["beat_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["beat_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["step_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["step_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["checkpoint"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["checkpoint"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["cancel_reason"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["cancel_reason"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["ended_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["ended_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["end_reason"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["end_reason"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["purge_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["purge_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["result"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result_type"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["result_type"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["error_type"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["error_type"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["error_message"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["error_message"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    found = []
    count, at = read_count(data, at)
    while count:
        for _ in range(count):
            attempt, at = read_Attempt(data, at)
            found.append(attempt)
        count, at = read_count(data, at)
    row["attempts"] = tuple(found)
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["attempts_dropped"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["applied_requests"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["applied_receipts"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["applied_heartbeats"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["applied_timers"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["lane_place"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["lane_place"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["after_job"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["after_job"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["after_epoch"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["after_epoch"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["cached"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 1:
            raise Broken
        row["cached"] = raw == 1
    else:
        raise Broken
    return event, at


def write_QueueConfig(out: bytearray, event: QueueConfig) -> None:
    part = event.queue.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.version) < 4096 else number_bytes(whole)
    out.append(1 if event.paused else 0)
    if (number := event.timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.heartbeat_timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.expected_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.retry_kind) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.retry_initial_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_factor) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.retry_cap_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_jitter) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.attempts_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    if (number := event.lost_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    if (text := event.note) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.by) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.result_retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.priority) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.order) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part


def read_QueueConfig(data: bytes, at: int) -> tuple[QueueConfig, int]:
    event = _new(QueueConfig)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["queue"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["version"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 1:
        raise Broken
    row["paused"] = raw == 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["heartbeat_timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["heartbeat_timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expected_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expected_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_kind"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["retry_kind"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_initial_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_initial_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_factor"] = None
    elif raw == 2:
        row["retry_factor"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_cap_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_cap_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_jitter"] = None
    elif raw == 2:
        row["retry_jitter"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["attempts_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["attempts_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["lost_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["lost_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["note"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["note"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["by"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["by"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result_retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["result_retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["priority"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["priority"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["order"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["order"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    return event, at


def write_Receipt(out: bytearray, event: Receipt) -> None:
    part = event.job.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.key.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.attempt) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.epoch) < 4096 else number_bytes(whole)
    part = event.outcome.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)
    if (text := event.minion) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.session) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.relay) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.assigned_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.started_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.run_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    out.append(1 if event.spilled else 0)
    if (data := event.result) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.result_type) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.error_type) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.error_message) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.error_trace) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    out.append(1 if event.non_retryable else 0)
    if (number := event.retry_after_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.snooze_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.step) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.done) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.total) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (data := event.checkpoint) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (flag := event.cached) is None:
        out.append(0)
    else:
        out.append(2)
        out.append(1 if flag else 0)


def read_Receipt(data: bytes, at: int) -> tuple[Receipt, int]:
    event = _new(Receipt)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["job"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["key"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["attempt"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["epoch"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["outcome"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["minion"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["minion"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["session"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["session"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["relay"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["relay"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["assigned_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["assigned_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["started_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["started_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["run_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["run_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 1:
        raise Broken
    row["spilled"] = raw == 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["result"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["result"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result_type"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["result_type"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["error_type"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["error_type"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["error_message"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["error_message"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["error_trace"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["error_trace"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 1:
        raise Broken
    row["non_retryable"] = raw == 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_after_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_after_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["snooze_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["snooze_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["step"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["step"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["done"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["done"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["total"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["total"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["checkpoint"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["checkpoint"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["cached"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 1:
            raise Broken
        row["cached"] = raw == 1
    else:
        raise Broken
    return event, at


def write_Reject(out: bytearray, event: Reject) -> None:
    part = event.topic.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.offset) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.record_at_ms) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)
    part = event.code.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.reason.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (text := event.id) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (data := event.record_key) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (data := event.value) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    out += SHORT[whole] if 0 <= (whole := event.value_bytes) < 4096 else number_bytes(whole)


def read_Reject(data: bytes, at: int) -> tuple[Reject, int]:
    event = _new(Reject)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["topic"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["offset"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["record_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["code"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["reason"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["id"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["id"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["record_key"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["record_key"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["value"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["value"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["value_bytes"] = ~(raw >> 1) if raw & 1 else raw >> 1
    return event, at


def write_Schedule(out: bytearray, event: Schedule) -> None:
    part = event.id.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.cron.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.timezone.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.function.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.queue.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (text := event.key) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (data := event.args) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    part = event.content_type.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (number := event.timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.attempts_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    if (number := event.catchup_window_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    out.append(1 if event.paused else 0)
    if (text := event.note) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (texts := event.crons) is None:
        out.append(0)
    else:
        out.append(2)
        if texts:
            out += number_bytes(len(texts))
            for each_text in texts:
                part = each_text.encode()
                out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
                out += part
        out.append(0)
    if (texts := event.excluded) is None:
        out.append(0)
    else:
        out.append(2)
        if texts:
            out += number_bytes(len(texts))
            for each_text in texts:
                part = each_text.encode()
                out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
                out += part
        out.append(0)
    if (number := event.start_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.end_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.jitter_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.overlap) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.runs_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (flag := event.pause_on_failure) is None:
        out.append(0)
    else:
        out.append(2)
        out.append(1 if flag else 0)
    if (text := event.declared_by) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.heartbeat_timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.expected_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.retry_kind) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.retry_initial_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_factor) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.retry_cap_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_jitter) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.lost_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    if (texts := event.non_retryable) is None:
        out.append(0)
    else:
        out.append(2)
        if texts:
            out += number_bytes(len(texts))
            for each_text in texts:
                part = each_text.encode()
                out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
                out += part
        out.append(0)
    if (number := event.deadline_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.expires_after_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.priority) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (texts := event.tags) is None:
        out.append(0)
    else:
        out.append(2)
        if texts:
            out += number_bytes(len(texts))
            for each_text in texts:
                part = each_text.encode()
                out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
                out += part
        out.append(0)
    if (number := event.retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.result_retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)


def read_Schedule(data: bytes, at: int) -> tuple[Schedule, int]:
    event = _new(Schedule)
    row: dict[str, Any] = event.__dict__
    found: list[Any]
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["id"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["cron"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["timezone"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["function"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["queue"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["key"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["key"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["args"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["args"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["content_type"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["attempts_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["attempts_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["catchup_window_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["catchup_window_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 1:
        raise Broken
    row["paused"] = raw == 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["note"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["note"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["crons"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw & 129:
                    raw, at = read_length(data, at, raw)
                end = at + (raw >> 1)
                each_text = data[at:end].decode()
                at = end
                found.append(each_text)
            count, at = read_count(data, at)
        row["crons"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["excluded"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw & 129:
                    raw, at = read_length(data, at, raw)
                end = at + (raw >> 1)
                each_text = data[at:end].decode()
                at = end
                found.append(each_text)
            count, at = read_count(data, at)
        row["excluded"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["start_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["start_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["end_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["end_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["jitter_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["jitter_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["overlap"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["overlap"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["runs_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["runs_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["pause_on_failure"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 1:
            raise Broken
        row["pause_on_failure"] = raw == 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["declared_by"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["declared_by"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["heartbeat_timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["heartbeat_timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expected_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expected_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_kind"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["retry_kind"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_initial_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_initial_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_factor"] = None
    elif raw == 2:
        row["retry_factor"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_cap_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_cap_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_jitter"] = None
    elif raw == 2:
        row["retry_jitter"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["lost_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["lost_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["non_retryable"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw & 129:
                    raw, at = read_length(data, at, raw)
                end = at + (raw >> 1)
                each_text = data[at:end].decode()
                at = end
                found.append(each_text)
            count, at = read_count(data, at)
        row["non_retryable"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["deadline_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["deadline_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expires_after_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expires_after_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["priority"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["priority"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["tags"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw & 129:
                    raw, at = read_length(data, at, raw)
                end = at + (raw >> 1)
                each_text = data[at:end].decode()
                at = end
                found.append(each_text)
            count, at = read_count(data, at)
        row["tags"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result_retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["result_retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    return event, at


def write_Happening(out: bytearray, event: Happening) -> None:
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)
    part = event.what.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (number := event.fire_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.fire_until_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.fires) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.reason) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part


def read_Happening(data: bytes, at: int) -> tuple[Happening, int]:
    event = _new(Happening)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["what"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["fire_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["fire_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["fire_until_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["fire_until_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["fires"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["fires"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["reason"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["reason"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    return event, at


def write_ScheduleRow(out: bytearray, event: ScheduleRow) -> None:
    part = event.id.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    part = event.cron.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.timezone.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.function.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.queue.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.key.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (data := event.args) is None:
        out.append(0)
    else:
        out.append(2)
        part = data
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    part = event.content_type.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if (number := event.timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.attempts_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.catchup_window_ms) < 4096 else number_bytes(whole)
    out.append(1 if event.paused else 0)
    if (text := event.note) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    out += SHORT[whole] if 0 <= (whole := event.created_at_ms) < 4096 else number_bytes(whole)
    if (number := event.next_fire_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if event.fired:
        out += number_bytes(len(event.fired))
        for each_number in event.fired:
            out += SHORT[whole] if 0 <= (whole := each_number) < 4096 else number_bytes(whole)
    out.append(0)
    out += SHORT[whole] if 0 <= (whole := event.fires) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.missed) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.applied_requests) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.applied_schedules) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.applied_timers) < 4096 else number_bytes(whole)
    if (texts := event.crons) is None:
        out.append(0)
    else:
        out.append(2)
        if texts:
            out += number_bytes(len(texts))
            for each_text in texts:
                part = each_text.encode()
                out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
                out += part
        out.append(0)
    if (texts := event.excluded) is None:
        out.append(0)
    else:
        out.append(2)
        if texts:
            out += number_bytes(len(texts))
            for each_text in texts:
                part = each_text.encode()
                out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
                out += part
        out.append(0)
    if (number := event.start_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.end_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.jitter_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.overlap) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.runs_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (flag := event.pause_on_failure) is None:
        out.append(0)
    else:
        out.append(2)
        out.append(1 if flag else 0)
    if (text := event.declared_by) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.next_due_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.runs) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (numbers := event.running) is None:
        out.append(0)
    else:
        out.append(2)
        if numbers:
            out += number_bytes(len(numbers))
            for each_number in numbers:
                out += SHORT[whole] if 0 <= (whole := each_number) < 4096 else number_bytes(whole)
        out.append(0)
    if (numbers := event.stopping) is None:
        out.append(0)
    else:
        out.append(2)
        if numbers:
            out += number_bytes(len(numbers))
            for each_number in numbers:
                out += SHORT[whole] if 0 <= (whole := each_number) < 4096 else number_bytes(whole)
        out.append(0)
    if (numbers := event.buffer) is None:
        out.append(0)
    else:
        out.append(2)
        if numbers:
            out += number_bytes(len(numbers))
            for each_number in numbers:
                out += SHORT[whole] if 0 <= (whole := each_number) < 4096 else number_bytes(whole)
        out.append(0)
    if (number := event.skipped) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.dropped) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.succeeded) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.failed) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.cancelled) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.triggered_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.backfill_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.backfill_until_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.backfill_overlap) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (text := event.pause_note) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.orphaned_at_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (happenings := event.history) is None:
        out.append(0)
    else:
        out.append(2)
        if happenings:
            out += number_bytes(len(happenings))
            for happening in happenings:
                write_Happening(out, happening)
        out.append(0)
    if (number := event.heartbeat_timeout_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.expected_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.retry_kind) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (number := event.retry_initial_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_factor) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.retry_cap_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (real := event.retry_jitter) is None:
        out.append(0)
    else:
        out.append(2)
        out += _double_bytes(real)
    if (number := event.lost_max) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else int_bytes(whole)
    if (texts := event.non_retryable) is None:
        out.append(0)
    else:
        out.append(2)
        if texts:
            out += number_bytes(len(texts))
            for each_text in texts:
                part = each_text.encode()
                out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
                out += part
        out.append(0)
    if (number := event.deadline_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.expires_after_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (text := event.priority) is None:
        out.append(0)
    else:
        out.append(2)
        part = text.encode()
        out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
        out += part
    if (texts := event.tags) is None:
        out.append(0)
    else:
        out.append(2)
        if texts:
            out += number_bytes(len(texts))
            for each_text in texts:
                part = each_text.encode()
                out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
                out += part
        out.append(0)
    if (number := event.retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)
    if (number := event.result_retention_ms) is None:
        out.append(0)
    else:
        out.append(2)
        out += SHORT[whole] if 0 <= (whole := number) < 4096 else number_bytes(whole)


def read_ScheduleRow(data: bytes, at: int) -> tuple[ScheduleRow, int]:
    event = _new(ScheduleRow)
    row: dict[str, Any] = event.__dict__
    found: list[Any]
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["id"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["cron"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["timezone"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["function"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["queue"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["key"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["args"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["args"] = data[at:end]
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["content_type"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw == 0:
        row["timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["attempts_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["attempts_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["catchup_window_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 1:
        raise Broken
    row["paused"] = raw == 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["note"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["note"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["created_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["next_fire_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["next_fire_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    found = []
    count, at = read_count(data, at)
    while count:
        for _ in range(count):
            raw = data[at]
            at += 1
            if raw > 127:
                raw, at = read_more(data, at, raw)
            each_number = ~(raw >> 1) if raw & 1 else raw >> 1
            found.append(each_number)
        count, at = read_count(data, at)
    row["fired"] = tuple(found)
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["fires"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["missed"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["applied_requests"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["applied_schedules"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["applied_timers"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw == 0:
        row["crons"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw & 129:
                    raw, at = read_length(data, at, raw)
                end = at + (raw >> 1)
                each_text = data[at:end].decode()
                at = end
                found.append(each_text)
            count, at = read_count(data, at)
        row["crons"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["excluded"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw & 129:
                    raw, at = read_length(data, at, raw)
                end = at + (raw >> 1)
                each_text = data[at:end].decode()
                at = end
                found.append(each_text)
            count, at = read_count(data, at)
        row["excluded"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["start_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["start_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["end_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["end_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["jitter_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["jitter_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["overlap"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["overlap"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["runs_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["runs_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["pause_on_failure"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 1:
            raise Broken
        row["pause_on_failure"] = raw == 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["declared_by"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["declared_by"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["next_due_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["next_due_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["runs"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["runs"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["running"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw > 127:
                    raw, at = read_more(data, at, raw)
                each_number = ~(raw >> 1) if raw & 1 else raw >> 1
                found.append(each_number)
            count, at = read_count(data, at)
        row["running"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["stopping"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw > 127:
                    raw, at = read_more(data, at, raw)
                each_number = ~(raw >> 1) if raw & 1 else raw >> 1
                found.append(each_number)
            count, at = read_count(data, at)
        row["stopping"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["buffer"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw > 127:
                    raw, at = read_more(data, at, raw)
                each_number = ~(raw >> 1) if raw & 1 else raw >> 1
                found.append(each_number)
            count, at = read_count(data, at)
        row["buffer"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["skipped"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["skipped"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["dropped"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["dropped"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["succeeded"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["succeeded"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["failed"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["failed"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["cancelled"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["cancelled"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["triggered_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["triggered_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["backfill_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["backfill_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["backfill_until_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["backfill_until_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["backfill_overlap"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["backfill_overlap"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["pause_note"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["pause_note"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["orphaned_at_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["orphaned_at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["history"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                happening, at = read_Happening(data, at)
                found.append(happening)
            count, at = read_count(data, at)
        row["history"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["heartbeat_timeout_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["heartbeat_timeout_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expected_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expected_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_kind"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["retry_kind"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_initial_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_initial_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_factor"] = None
    elif raw == 2:
        row["retry_factor"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_cap_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retry_cap_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retry_jitter"] = None
    elif raw == 2:
        row["retry_jitter"] = _read_double(data, at)[0]
        at += 8
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["lost_max"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_int(data, at, raw)
        row["lost_max"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["non_retryable"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw & 129:
                    raw, at = read_length(data, at, raw)
                end = at + (raw >> 1)
                each_text = data[at:end].decode()
                at = end
                found.append(each_text)
            count, at = read_count(data, at)
        row["non_retryable"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["deadline_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["deadline_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["expires_after_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["expires_after_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["priority"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw & 129:
            raw, at = read_length(data, at, raw)
        end = at + (raw >> 1)
        row["priority"] = data[at:end].decode()
        at = end
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["tags"] = None
    elif raw == 2:
        found = []
        count, at = read_count(data, at)
        while count:
            for _ in range(count):
                raw = data[at]
                at += 1
                if raw & 129:
                    raw, at = read_length(data, at, raw)
                end = at + (raw >> 1)
                each_text = data[at:end].decode()
                at = end
                found.append(each_text)
            count, at = read_count(data, at)
        row["tags"] = tuple(found)
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    raw = data[at]
    at += 1
    if raw == 0:
        row["result_retention_ms"] = None
    elif raw == 2:
        raw = data[at]
        at += 1
        if raw > 127:
            raw, at = read_more(data, at, raw)
        row["result_retention_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    else:
        raise Broken
    return event, at


def write_Tick(out: bytearray, event: Tick) -> None:
    out += SHORT[whole] if 0 <= (whole := event.partition) < 4096 else int_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.receipts_end) < 4096 else number_bytes(whole)
    out += SHORT[whole] if 0 <= (whole := event.heartbeats_end) < 4096 else number_bytes(whole)


def read_Tick(data: bytes, at: int) -> tuple[Tick, int]:
    event = _new(Tick)
    row: dict[str, Any] = event.__dict__
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_int(data, at, raw)
    row["partition"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["receipts_end"] = ~(raw >> 1) if raw & 1 else raw >> 1
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["heartbeats_end"] = ~(raw >> 1) if raw & 1 else raw >> 1
    return event, at


def write_Worker(out: bytearray, event: Worker) -> None:
    part = event.instance.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    part = event.web.encode()
    out += SHORT[size] if (size := len(part)) < 4096 else number_bytes(size)
    out += part
    if event.partitions:
        out += number_bytes(len(event.partitions))
        for each_number in event.partitions:
            out += SHORT[whole] if 0 <= (whole := each_number) < 4096 else int_bytes(whole)
    out.append(0)
    out += SHORT[whole] if 0 <= (whole := event.at_ms) < 4096 else number_bytes(whole)


def read_Worker(data: bytes, at: int) -> tuple[Worker, int]:
    event = _new(Worker)
    row: dict[str, Any] = event.__dict__
    found: list[Any]
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["instance"] = data[at:end].decode()
    at = end
    raw = data[at]
    at += 1
    if raw & 129:
        raw, at = read_length(data, at, raw)
    end = at + (raw >> 1)
    row["web"] = data[at:end].decode()
    at = end
    found = []
    count, at = read_count(data, at)
    while count:
        for _ in range(count):
            raw = data[at]
            at += 1
            if raw > 127:
                raw, at = read_int(data, at, raw)
            each_number = ~(raw >> 1) if raw & 1 else raw >> 1
            found.append(each_number)
        count, at = read_count(data, at)
    row["partitions"] = tuple(found)
    raw = data[at]
    at += 1
    if raw > 127:
        raw, at = read_more(data, at, raw)
    row["at_ms"] = ~(raw >> 1) if raw & 1 else raw >> 1
    return event, at


WRITERS: dict[type, Callable[[bytearray, Any], None]] = {
    Announcement: write_Announcement,
    ArgsRow: write_ArgsRow,
    Command: write_Command,
    ConfigChanged: write_ConfigChanged,
    ConfigRow: write_ConfigRow,
    Control: write_Control,
    DeadLetter: write_DeadLetter,
    Dispatch: write_Dispatch,
    Fact: write_Fact,
    FunctionConfig: write_FunctionConfig,
    Heartbeat: write_Heartbeat,
    JobRequest: write_JobRequest,
    JobRow: write_JobRow,
    QueueConfig: write_QueueConfig,
    Receipt: write_Receipt,
    Reject: write_Reject,
    Schedule: write_Schedule,
    ScheduleRow: write_ScheduleRow,
    Tick: write_Tick,
    Worker: write_Worker,
}
"""Append a record to out."""
READERS: dict[type, Callable[[bytes, int], tuple[Any, int]]] = {
    Announcement: read_Announcement,
    ArgsRow: read_ArgsRow,
    Command: read_Command,
    ConfigChanged: read_ConfigChanged,
    ConfigRow: read_ConfigRow,
    Control: read_Control,
    DeadLetter: read_DeadLetter,
    Dispatch: read_Dispatch,
    Fact: read_Fact,
    FunctionConfig: read_FunctionConfig,
    Heartbeat: read_Heartbeat,
    JobRequest: read_JobRequest,
    JobRow: read_JobRow,
    QueueConfig: read_QueueConfig,
    Receipt: read_Receipt,
    Reject: read_Reject,
    Schedule: read_Schedule,
    ScheduleRow: read_ScheduleRow,
    Tick: read_Tick,
    Worker: read_Worker,
}
"""Read a record, and its end."""
IDS: dict[type, int] = {
    Announcement: 1020,
    ArgsRow: 1001,
    Command: 1002,
    ConfigChanged: 1015,
    ConfigRow: 1016,
    Control: 1003,
    DeadLetter: 1004,
    Dispatch: 1005,
    Fact: 1006,
    FunctionConfig: 1017,
    Heartbeat: 1007,
    JobRequest: 1008,
    JobRow: 1009,
    QueueConfig: 1018,
    Receipt: 1010,
    Reject: 1011,
    Schedule: 1012,
    ScheduleRow: 1013,
    Tick: 1014,
    Worker: 1019,
}
"""Schema ids in the Confluent wire format."""
FINGERPRINTS: dict[type, bytes] = {
    Announcement: bytes.fromhex("3928407b43845da5"),
    ArgsRow: bytes.fromhex("a54af6de8f33fa83"),
    Command: bytes.fromhex("be5fcdca4e925d6e"),
    ConfigChanged: bytes.fromhex("5abebfdd0cca104d"),
    ConfigRow: bytes.fromhex("2221b4b28d5f1c98"),
    Control: bytes.fromhex("b283216839191f57"),
    DeadLetter: bytes.fromhex("56f159c638fc35bc"),
    Dispatch: bytes.fromhex("9e2801beed9e3381"),
    Fact: bytes.fromhex("3dfecd00bb52dfdc"),
    FunctionConfig: bytes.fromhex("5b6f4ff8546ee842"),
    Heartbeat: bytes.fromhex("e70176122921544e"),
    JobRequest: bytes.fromhex("dcdfaf15ba4899e6"),
    JobRow: bytes.fromhex("a63e675564c97c84"),
    QueueConfig: bytes.fromhex("e2576cd29cd0d2cd"),
    Receipt: bytes.fromhex("72db9eea322cf9ab"),
    Reject: bytes.fromhex("afcedaec28d52586"),
    Schedule: bytes.fromhex("e4c26d1e76b1b0d3"),
    ScheduleRow: bytes.fromhex("f3143a0b7e69c3ce"),
    Tick: bytes.fromhex("edd9db23a43720d6"),
    Worker: bytes.fromhex("9829533d3bb21abd"),
}
"""CRC-64-AVRO of the schemas, little endian."""
OLDER: dict[int, tuple[type, Callable[[bytes, int], tuple[Any, int]], bytes]] = {}
"""By schema id: forms that records had in releases; their readers and fingerprints."""
RELEASED: dict[type, tuple[int, Callable[[Any], bool], Callable[[bytearray, Any], None]]] = {}
"""The last release's form of what changed since: schema id, whether it loses nothing, writer."""

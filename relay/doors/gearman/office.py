"""What the text protocol shows of a door and of the calls behind it, and what it may change."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from relay.core.call import Priority
from relay.doors.gearman.words import FunctionRow, JobRow, Refused, WorkerRow

if TYPE_CHECKING:
    from relay.doors.gearman.connection import Connection
    from relay.doors.gearman.door import Door

LOOPBACK = ("127.", "::1", "::ffff:127.")
FUNCTION_BYTES_MAX = 200
KNOWN_MAX = 10_000
"""Functions that administrators made known, or gave a quota."""


class DoorOffice:
    """The office of a door, for one of its connections. Calls and workers of all doors are told of."""

    def __init__(self, door: "Door", connection: "Connection") -> None:
        self._door = door
        self._connection = connection
        self.version = door.version
        self.pid = door.pid
        self.verbosity = logging.getLevelName(logging.getLogger("relay").getEffectiveLevel())

    def functions(self) -> list[FunctionRow]:
        """Every function that is asked for, served, or was made known."""
        rows: dict[str, list[int]] = {function: [0] * 5 for function in sorted(self._door.known)}
        for run in self._door.calls.runs.values():
            row = rows.setdefault(run.function, [0] * 5)
            row[_RUNNING if run.worker is not None else _COLUMNS[run.priority]] += 1
        for worker in self._door.calls.workers:
            for function in worker.functions:
                rows.setdefault(function, [0] * 5)[_WORKERS] += 1
        return [FunctionRow(function.encode(), *row) for function, row in rows.items()]

    def workers(self) -> Iterator[WorkerRow]:
        """Every connection."""
        for connection in self._door.connections.values():
            worker = connection.worker
            functions = () if worker is None else tuple(name.encode() for name in sorted(worker.functions))
            yield WorkerRow(connection.number, connection.host, connection.id, functions)

    def jobs(self) -> Iterator[JobRow]:
        """Every call that came or went through the door."""
        for entry in self._door.entries.values():
            yield JobRow(entry.handle, entry.unique, entry.retries, ignored=not entry.run.calls)

    def cancel(self, handle: bytes) -> bool:
        """Ends a call that waits."""
        return self._door.cancel(handle)

    def create(self, function: bytes) -> None:
        """Makes a function known, so that `status` lists it."""
        self._door.known.add(self._name(function))

    def drop(self, function: bytes) -> None:
        """Forgets a function that has neither worker nor call."""
        name = self._name(function)
        row = next((row for row in self.functions() if row.name == function), None)
        if row is None:
            raise Refused("function not found")
        if row.workers or row.running or row.waiting:
            raise Refused("there are still connected workers or executing clients")
        self._door.known.discard(name)

    def limit(self, function: bytes, high: int, normal: int, low: int) -> None:
        """Sets the quotas of a function."""
        name = self._name(function)
        if not (high or normal or low):
            self._door.quotas.pop(name, None)
        else:
            self._door.quotas[name] = (high, normal, low)

    def shut_down(self, *, graceful: bool) -> None:
        """Ends the door, if it is one of its own, and who asks is on this machine."""
        if self._door.told_to_stop is None or not self._connection.host.startswith(LOOPBACK):
            raise Refused("shutdown is not an administrator's to say here: end the process")
        self._door.told_to_stop(graceful)

    def _name(self, function: bytes) -> str:
        known = self._door.known | self._door.quotas.keys()
        try:
            name = function.decode()
        except UnicodeDecodeError:
            raise Refused(f"a function must be UTF-8, got {function[:50]!r}") from None
        if len(function) > FUNCTION_BYTES_MAX or (name not in known and len(known) >= KNOWN_MAX):
            raise Refused(f"at most {KNOWN_MAX} functions of {FUNCTION_BYTES_MAX} bytes are kept")
        return name


_COLUMNS = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}
_RUNNING = 3
_WORKERS = 4

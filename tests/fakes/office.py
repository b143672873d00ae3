"""What a Gearman door tells its administrators, without a door: rows that a test puts there."""

from dataclasses import dataclass, field

from relay.doors.gearman.words import FunctionRow, JobRow, Refused, WorkerRow


@dataclass
class Office:
    """Answers from its fields, and keeps what it was told to do."""

    version: str = "1.0"
    pid: int = 4711
    verbosity: str = "INFO"
    function_rows: list[FunctionRow] = field(default_factory=list)
    worker_rows: list[WorkerRow] = field(default_factory=list)
    job_rows: list[JobRow] = field(default_factory=list)
    told: list[tuple[object, ...]] = field(default_factory=list)

    def functions(self) -> list[FunctionRow]:
        """Every function."""
        return self.function_rows

    def workers(self) -> list[WorkerRow]:
        """Every connection."""
        return self.worker_rows

    def jobs(self) -> list[JobRow]:
        """Every call."""
        return self.job_rows

    def cancel(self, handle: bytes) -> bool:
        """True for the handle of a row."""
        self.told.append(("cancel", handle))
        return any(row.handle == handle for row in self.job_rows)

    def create(self, function: bytes) -> None:
        """Keeps it."""
        self.told.append(("create", function))

    def drop(self, function: bytes) -> None:
        """Refused unless there is a row of it."""
        if all(row.name != function for row in self.function_rows):
            raise Refused("function not found")
        self.told.append(("drop", function))

    def limit(self, function: bytes, high: int, normal: int, low: int) -> None:
        """Keeps it."""
        self.told.append(("limit", function, high, normal, low))

    def shut_down(self, *, graceful: bool) -> None:
        """Keeps it."""
        self.told.append(("shutdown", graceful))

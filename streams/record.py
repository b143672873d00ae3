"""What goes into a partition's decisions and what comes out, as plain values.

Owns the shapes that the host (Faust today) and the decisions (`streams.partition`) meet in. Must never know
of either: no Faust, no Kafka, no decoding.
"""

from typing import NamedTuple

Header = tuple[str, bytes]

ROUTED_HEADER = "js-routed"
"""On a record that was written again to its home; its value is `<topic>/<partition>/<offset>` of the first
one.
"""


class Record(NamedTuple):
    """One record as it was read from a topic. `timestamp_ms` is the broker's time of it, epoch ms."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    @property
    def place(self) -> str:
        """Where it lies, in the words of a sentence and of the routed header."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def routed_from(self) -> str | None:
        """Where it lay before it was written again to its home; None if it was not."""
        for name, value in self.headers:
            if name == ROUTED_HEADER:
                return value.decode("utf-8", "replace")
        return None


class Out(NamedTuple):
    """One record to write, always to an explicit partition. A `value` of None is a tombstone."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


class Writes(NamedTuple):
    """What records ask the host to write, in stages.

    Every record of `first` (rows, facts, refusals) is confirmed before any of `then` (what makes things run:
    dispatches, controls, fired and routed requests) is sent; only then is the record done. `early` may leave
    before either: the first dispatch of a new job, which its request alone decides, and that of a job whose
    time has come.
    """

    first: tuple[Out, ...] = ()
    then: tuple[Out, ...] = ()
    early: tuple[Out, ...] = ()

    def __bool__(self) -> bool:
        """True if there is anything to write."""
        return bool(self.first or self.then or self.early)


NOTHING = Writes()

"""The same agent work on stock Faust and on the transport, for the comparison of both.

Owns one app, made for `HOST` (`stock`, `transactional`, `idempotent`, `early`): per event decode Avro, look
the row up, replace it, encode one changelog row and one output, and send both. It prints when it began and
when it was done.
"""

import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import faust
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from streams import transport

ID = os.environ["APP"]
HOST = os.environ["HOST"]
BOOTSTRAP = os.environ["BOOTSTRAP"]
EVENTS = int(os.environ["EVENTS"])
PARTITIONS = 4
SOURCE, STATE, OUT = f"{ID}-source", f"{ID}-state", f"{ID}-out"

SCHEMA = parse_schema(
    {
        "type": "record",
        "name": "Event",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "key", "type": "string"},
            {"name": "sent_ns", "type": "long"},
            {"name": "count", "type": "int"},
            {"name": "payload", "type": "bytes"},
        ],
    }
)


def encode(event: dict[str, Any]) -> bytes:
    """Avro, without a header."""
    buffer = io.BytesIO()
    schemaless_writer(buffer, SCHEMA, event)
    return buffer.getvalue()


def decode(value: bytes) -> dict[str, Any]:
    """The opposite."""
    return schemaless_reader(io.BytesIO(value), SCHEMA)  # type: ignore[return-value]


class Progress:
    """Tells the parent about the first and the last event, with the CPU time used up to then."""

    def __init__(self) -> None:
        self.count = 0

    def begin(self) -> None:
        """An event is about to be worked on."""
        if not self.count:
            self._tell("began")

    def add(self, count: int) -> None:
        """So many more are done."""
        self.count += count
        if self.count >= EVENTS > self.count - count:
            self._tell("done")

    @staticmethod
    def _tell(what: str) -> None:
        os.write(1, f"{what} {time.monotonic()} {time.process_time()}\n".encode())


progress = Progress()
settings: dict[str, Any] = (
    {"broker": f"kafka://{BOOTSTRAP}", "topic_allow_declare": False, "topic_disable_leader": True}
    if HOST == "stock"
    else transport.faust_settings(
        BOOTSTRAP, mode=transport.Mode("transactional" if HOST == "early" else HOST), slot="bench"
    )
)
app = faust.App(
    ID,
    **settings,
    datadir=Path(tempfile.gettempdir(), ID),
    key_serializer="raw",
    value_serializer="raw",
    worker_redirect_stdouts=False,
)
raw: Any = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
source = app.topic(SOURCE, **raw)
out = app.topic(OUT, **raw)


table: Any
if HOST == "stock":
    table = app.Table(
        "state",
        partitions=PARTITIONS,
        key_type=bytes,
        value_type=bytes,
        changelog_topic=app.topic(STATE, **raw),
    )

    @app.agent(source)
    async def stock(stream: Any) -> None:
        """One event after the other, as Faust's guide writes it."""
        async for record in stream.events():
            progress.begin()
            event = decode(record.value)
            row = table.get(record.key)
            event["count"] = 1 if row is None else 2
            table[record.key] = encode(event)
            await out.send(key=record.key, value=encode(event), partition=record.message.partition)
            progress.add(1)

else:
    table = app.Table("state", partitions=PARTITIONS, changelog_topic=app.topic(STATE, **raw))

    @app.agent(source)
    async def batched(batches: Any) -> None:
        """One batch after the other."""
        async for batch in batches:
            progress.begin()
            rows, outs = [], []
            for record in batch:
                event = decode(record.value)
                state = table.partition(record.partition).rows
                row = state.get(record.key)
                event["count"] = 1 if row is None else 2
                state[record.key] = value = encode(event)
                rows.append((STATE, record.partition, record.key, value, None))
                outs.append((OUT, record.partition, record.key, encode(event), None))
            if HOST == "early":
                await batch.write(first=rows, early=outs)
            else:
                await batch.write(first=rows + outs)
            if progress.count < EVENTS <= progress.count + len(batch):
                await batch.written()
            progress.add(len(batch))


if __name__ == "__main__":
    sys.argv[0] = "transport_app"
    app.main()

"""The smallest app on the transport, for tests and benchmarks: counts records per key, and tells of each.

Owns nothing but this: for every record of the source topics one row (per key: how many records were applied, the sum of their
numbers, and the applied offset of each source partition) and one record of `OUT`. Run with `python -m
tests.kafka.transport_worker worker`, configured by the environment.
"""

import asyncio
import json
import os
import sys

import faust

from streams import transport
from streams.transport import Out, Rows

ID = os.environ["APP"]
PARTITIONS = int(os.environ.get("PARTITIONS", "4"))
SOURCES = (f"{ID}-a", f"{ID}-b")
STATE = f"{ID}-state"
OUT = f"{ID}-out"
BREAK = os.environ.get("BREAK", "")
"""Where to die, for tests: `agent` raises at the value `poison`, `decided` exits after deciding, before any write."""


class Counts(Rows):
    """Rows per key: `[records applied, sum, {source topic: offset applied}]` as JSON."""

    def restored(self, settled: dict[str, int]) -> None:
        print("restored", self.number, len(self.rows), json.dumps(dict(settled)), flush=True)


app = faust.App(
    ID,
    **transport.faust_settings(
        os.environ["BOOTSTRAP"],
        mode=transport.Mode(os.environ["MODE"]),
        slot=os.environ.get("SLOT"),
        session_timeout_s=float(os.environ.get("SESSION_S", "6")),
        batch_records_max=int(os.environ.get("BATCH", "500")),
    ),
    web_enabled=False,
    datadir=os.environ.get("DATA", "/tmp"),
)
table = app.Table(
    "state",
    partitions=PARTITIONS,
    changelog_topic=app.topic(STATE, key_type=bytes, value_type=bytes),
    partition_state=Counts,
)


@app.agent(app.topic(*SOURCES, key_type=bytes, value_type=bytes))
async def count(batches):
    async for batch in batches:
        first, then = [], []
        for record in batch:
            if record.value == b"poison" and BREAK == "agent":
                raise ValueError("poison")
            rows = table.partition(record.partition).rows
            applied, total, offsets = json.loads(rows.get(record.key, b"[0,0,{}]"))
            if offsets.get(record.topic, -1) < record.offset:
                applied, total, offsets = applied + 1, total + int(record.value), {**offsets, record.topic: record.offset}
                rows[record.key] = json.dumps([applied, total, offsets]).encode()
                first.append(Out(STATE, record.partition, record.key, rows[record.key]))
            then.append(Out(OUT, record.partition, record.key, record.value))
        delay_s = float(os.environ.get("DELAY_S", "0"))
        if delay_s:
            await asyncio.sleep(delay_s)
        if os.environ.get("OUT_FIRST"):
            first, then = first + then, []
        await batch.write(first, then)


if __name__ == "__main__":
    sys.argv[0] = "transport_worker"
    app.main()

"""The app of `transport_worker` on Faust's own transport, at its safest settings, to show what that loses.

Owns one table and one agent, as there. `FAILS` names a file: the agent raises once, for the record `poison`,
as one does when something it needs is away for a moment, and makes the file. Run with
`python -m tests.kafka.stock_worker worker`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import faust

ID = os.environ["APP"]
PARTITIONS = int(os.environ["PARTITIONS"])
FAILS = Path(os.environ["DATA"]) / "failed"

app = faust.App(
    ID,
    broker=f"kafka://{os.environ['BOOTSTRAP']}",
    broker_commit_interval=0.1,
    producer_acks=-1,
    stream_wait_empty=True,
    topic_partitions=PARTITIONS,
    datadir=os.environ["DATA"],
    worker_redirect_stdouts=False,
)
raw: dict[str, Any] = {
    "key_type": bytes,
    "value_type": bytes,
    "key_serializer": "raw",
    "value_serializer": "raw",
}
out = app.topic(f"{ID}-out", **raw)
table: Any = app.Table("state", partitions=PARTITIONS, changelog_topic=app.topic(f"{ID}-state", **raw))


@app.agent(app.topic(f"{ID}-a", f"{ID}-b", **raw))
async def count(stream: Any) -> None:
    """Applies each record, and tells of it."""
    async for event in stream.events():
        if event.value == b"poison" and not FAILS.exists():
            FAILS.touch()
            raise ConnectionError("away for a moment")
        applied, total, _ = json.loads(table.get(event.key, b"[0,0,{}]"))
        number = 0 if event.value == b"poison" else int(event.value)
        table[event.key] = json.dumps([applied + 1, total + number, {}]).encode()
        await out.send(key=event.key, value=event.value, partition=event.message.partition)


if __name__ == "__main__":
    sys.argv[0] = "stock_worker"
    app.main()

"""The smallest app on the transport, for its tests: counts records per key, and tells of each.

Owns one table and one agent: for every source record one row (per key: how many records were applied, the sum
of their numbers, the offset applied of each source topic) and one output. Configured by the environment;
`BREAK` names where the process dies, see `_break`. With `SNAPSHOTS` they are taken in that directory, ten
times a second, of partitions whose tail has grown by 100. Run with
`python -m tests.kafka.transport_worker worker`.
"""

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import faust

from schemas.kafka import Security
from streams import transport
from streams.transport import Out, Rows, keeper, writer

ID = os.environ["APP"]
PARTITIONS = int(os.environ["PARTITIONS"])
SOURCES = (f"{ID}-a", f"{ID}-b")
STATE = f"{ID}-state"
OUT = f"{ID}-out"
BREAK, _, _AT = os.environ.get("BREAK", "").partition(":")
BREAK_AT = int(_AT or 1)
OUTPUTS = os.environ.get("OUTPUTS", "first")
"""The stage that outputs are written in; in `then` they are sent again after a restore, as the settled
offsets ask for.
"""

DECIDE_S = float(os.environ.get("DECIDE_S", "0"))
CRASHED = 99
"""The exit code of a process that `BREAK` ended."""


def say(what: str, **more: Any) -> None:
    """One line of JSON for the test to read."""
    os.write(1, json.dumps({"said": what, **more}).encode() + b"\n")


class Counts(Rows):
    """Rows per key: `[records applied, sum, {source topic: offset applied}]` as JSON."""

    async def restored(self, doubtful: Any) -> None:
        """Sends again what may not have been sent."""
        say("restored", partition=self.number, rows=len(self.rows), hash=self.hash())
        if OUTPUTS == "then":
            await transport.writer_of(app).send(
                [
                    Out(OUT, self.number, key, str(total).encode())
                    for key, (_, total, offsets) in ((key, json.loads(row)) for key, row in self.rows.items())
                    if any(offset in doubtful[topic] for topic, offset in offsets.items())
                ]
            )

    def revoked(self) -> None:
        """Tells what it held."""
        say("revoked", partition=self.number, rows=len(self.rows), hash=self.hash())

    def hash(self) -> str:
        """Of all rows."""
        return hashlib.sha256(repr(sorted(self.rows.items())).encode()).hexdigest()[:16]


app = faust.App(
    ID,
    **transport.faust_settings(
        os.environ["BOOTSTRAP"],
        mode=transport.Mode(os.environ["MODE"]),
        slot=os.environ.get("SLOT"),
        security=Security(**json.loads(os.environ.get("SECURITY", "{}"))),
        session_timeout_s=float(os.environ.get("SESSION_S", "6")),
        batch_records_max=int(os.environ.get("BATCH", "200")),
    ),
    datadir=os.environ["DATA"],
    worker_redirect_stdouts=False,
)
SNAPSHOTS = os.environ.get("SNAPSHOTS")
if SNAPSHOTS:
    keeper.LOOK_S, keeper.TAIL_RECORDS, keeper.TAIL_SHARE = 0.1, 100, 0.0  # type: ignore[misc]
raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes}
table: Any = app.Table(
    "state",
    partitions=PARTITIONS,
    changelog_topic=app.topic(STATE, **raw),
    partition_state=Counts,
    snapshots=Path(SNAPSHOTS) if SNAPSHOTS else None,
)


@app.agent(app.topic(*SOURCES, **raw))
async def count(batches: Any) -> None:
    """Applies each record once, tells of it as often as it is delivered."""
    async for batch in batches:
        rows, outs = [], []
        for record in batch:
            if record.value == b"poison":
                raise ValueError("poison")
            kept = table.partition(record.partition).rows
            applied, total, offsets = json.loads(kept.get(record.key, b"[0,0,{}]"))
            if offsets.get(record.topic, -1) < record.offset:
                row = [applied + 1, total + int(record.value), {**offsets, record.topic: record.offset}]
                kept[record.key] = json.dumps(row).encode()
                rows.append(Out(STATE, record.partition, record.key, kept[record.key]))
            outs.append(Out(OUT, record.partition, record.key, record.value))
        await asyncio.sleep(DECIDE_S)
        _reached("decided")
        await batch.write(**{"first": rows, OUTPUTS: rows + outs if OUTPUTS == "first" else outs})


def _reached(point: str) -> None:
    global BREAK_AT  # noqa: PLW0603
    if point == BREAK:
        BREAK_AT -= 1
        if BREAK_AT == 0:
            _crash()


def _crash() -> NoReturn:
    os._exit(CRASHED)


def _break() -> None:
    """Makes the process die at the BREAK_AT-th time it reaches a point: `decided` (nothing written),
    `written` (first confirmed, offsets not yet in the transaction), `atomic` (first and offsets done, then
    not sent), `confirmed` (all confirmed, not reported).
    """

    def after(owner: Any, name: str, point: str) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any) -> Any:
            result = original(*args)
            _reached(point)
            return result

        setattr(owner, name, wrapped)

    after(writer._Producer, "confirm", "written")
    after(writer._Transactional, "write", "atomic")
    after(writer._Idempotent, "write", "atomic")
    after(writer.Writer, "_write", "confirmed")


if __name__ == "__main__":
    sys.argv[0] = "transport_worker"
    _break()
    app.main()

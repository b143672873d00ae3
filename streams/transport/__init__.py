"""A Faust transport that writes first and commits afterwards: batches in, one atomic write out.

Stock Faust loses data (it commits offsets before its own writes are confirmed, acknowledges what an agent
failed on, swallows failed sends, lets a paused owner go on writing) and spends most of its time on objects
per record. This package replaces those parts through Faust's own extension points and leaves the rest as it
is: ``@app.agent``, ``app.Table``, ``@app.page`` and ``faust -A app worker``. It knows nothing of jobs.

How an app takes it::

    from streams import transport

    app = faust.App("my-app", **transport.faust_settings("127.0.0.1:9092"))  # broker="jobstream://..."
    raw = {"key_type": bytes, "value_type": bytes}
    table = app.Table("state", changelog_topic=app.topic("state", **raw), partition_state=MyPartition)

    @app.agent(app.topic("requests", "receipts", **raw))
    async def decide(batches):
        async for batch in batches:  # one element per fetch: all records of all its topics
            rows, facts, dispatches = [], [], []
            for record in batch:  # topic, partition, offset, timestamp (epoch ms), key, value, headers
                partition = table.partition(record.partition)  # a MyPartition, restored before any record
                ...  # decide, change memory, collect what must be written:
                rows.append(Out("state", record.partition, key, value))
            await batch.write(first=rows + facts, then=dispatches)

What is promised:

- **Order**: records of one topic partition arrive in order, each once per generation, and never before the
  state of that partition was restored. One batch is with the agent at a time.
- **Write, then commit**: ``first`` (changelog rows, facts) and the batch's offsets become visible together or
  not at all; ``then`` (what makes something run) leaves only after ``first`` is durable; ``early`` leaves at
  once, for what may overtake its row. Two modes: ``transactional`` (``first`` and the offsets are one Kafka
  transaction, fenced by the broker with the consumer's group generation, KIP-447) and ``idempotent``
  (acks=all; offsets are committed after every delivery of the batch was confirmed, so a replay may repeat
  outputs).
- **write() returns when the writer has the batch**, so that the next one is decided while the broker answers;
  what was handed over meanwhile is written as one group. An idle worker answers each batch at once, a busy
  one groups. ``await batch.written()`` waits until it is durable. Every batch must be written, an empty one
  with ``await batch.write()``: that is what moves its offsets.
- **State per partition**: ``partition_state(number)`` is called at assignment and makes the object that keeps
  that partition (see ``PartitionState``): ``restore(records)`` in bulk in log order, then
  ``restored(doubtful)``, and ``revoked()`` when it is taken away, after the last batch was committed. Nothing
  is kept of a partition that is not owned.
- **Crash-only**: an exception in the agent, a delivery or a transaction that failed, a membership that
  changed under a batch end the process with one line and an exit code of ``Exit``. Memory is then ahead of
  the log, and only a restart from the log is right.

Not available on batch topics: ``Event`` and ``ack``, ``take``, ``group_by``, ``through``, ``noack``, sensors
per event, ``table[key] = value`` (write rows with ``batch.write``) and ``topic.send`` (``await
writer_of(app).send(outs)`` sends apart from batches and returns when confirmed).
"""

from schemas.kafka import Security
from streams.transport.batch import Batch, Out, Position, Record
from streams.transport.crash import Exit, die
from streams.transport.table import PartitionState, Row, Rows, Table
from streams.transport.transport import Transport, faust_settings, writer_of
from streams.transport.writer import Mode, Writer

__all__ = [
    "Batch",
    "Exit",
    "Mode",
    "Out",
    "PartitionState",
    "Position",
    "Record",
    "Row",
    "Rows",
    "Security",
    "Table",
    "Transport",
    "Writer",
    "die",
    "faust_settings",
    "writer_of",
]

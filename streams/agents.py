"""The one agent: every record of every source, one after the other, in one stream.

Owns the way from Faust's events to the shell. Must never swallow an error: a record that was not decided must
not be passed over, so whatever goes wrong here ends the process, and the record is read again.
"""

import asyncio
from typing import Any

import faust
from faust.types import EventT

from streams.crash import crash
from streams.record import Record
from streams.shell import Shell
from streams.tables import raw_topic

CONCURRENCY = 1
"""One thread of decisions for each partition; Faust's own offset keeping is wrong with more (and not used
here).
"""


def add_agent(app: faust.App, shell: Shell) -> None:
    """Gives the app its agent, over one channel of all sources: their events come in one in-order stream."""
    topics = shell.topics
    sources = raw_topic(
        app, topics.requests, topics.receipts, topics.heartbeats, topics.timers, topics.schedules
    )

    @app.agent(sources, name="jobstream.decide", concurrency=CONCURRENCY)
    async def decide(stream: Any) -> None:
        """Decides each record; the Committer writes and commits."""
        try:
            async for event in stream.events():
                await shell.decide(record_of(event))
        except asyncio.CancelledError:
            raise  # Faust stops, or restarts the agent
        except BaseException as error:  # noqa: BLE001  Faust would log it, and go on with the next record
            crash("the agent failed", error)


def record_of(event: EventT[Any]) -> Record:
    """A Faust event as a record; Faust has made seconds of the broker's milliseconds."""
    message: Any = event.message
    headers = message.headers
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    return Record(
        message.topic,
        message.partition,
        message.offset,
        round(message.timestamp * 1000),
        message.key,
        message.value,
        tuple((name, value or b"") for name, value in pairs),
    )

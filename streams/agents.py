"""The one agent: every record of every source, in one stream of batches.

Owns the way from the transport's batches to the shell and back. Must never swallow an error: a record that
was not decided must not be passed over, so whatever is raised here ends the process, and the record is read
again.
"""

from functools import partial
from typing import Any

import faust

from streams.record import Record
from streams.shell import Shell
from streams.tables import raw_topic


def add_agent(app: faust.App, shell: Shell) -> None:
    """Gives the app its agent: one channel of all sources, so one thread of decisions for each partition."""
    topics = shell.topics
    sources = raw_topic(
        app, topics.requests, topics.receipts, topics.heartbeats, topics.timers, topics.schedules
    )

    @app.agent(sources, name="jobstream.decide")
    async def decide(batches: Any) -> None:
        """Decides all that was fetched, and hands over what it leads to with its offsets."""
        async for batch in batches:
            writes = shell.decide(map(Record._make, batch))
            await batch.write(*writes)
            batch.when_written(partial(shell.confirmed, batch.positions))

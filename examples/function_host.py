"""Functions that a function host runs: Google Cloud Functions, AWS Lambda, or any other that calls a handler
for each request. One call serves many jobs.

    functions-framework --source function_host.py --target handler --port 8091  # Cloud Functions, or at home
    python -m awslambdaric function_host.lambda_handler                         # in a Lambda container

and in the relay's jobstream.toml:

    [pools.thumbs]
    url = "http://127.0.0.1:8091/"
    functions = ["thumb.make"]
    concurrency = 10
    max = 2
    jobs_each = 200      # a second call only for more than 200 open jobs
    idle_ms = 500        # a call without a job for half a second ends
    limit_ms = 60_000    # and is over after a minute: less than the platform allows
"""

import asyncio
import os
from typing import Any

from jobstream import function
from jobstream.minion import NotConnected, invoked


@function(name="thumb.make")
async def make(ms: int) -> int:
    """Stands for what waits for others most of its time."""
    await asyncio.sleep(ms / 1_000)
    return os.getpid()


def handler(request: Any) -> Any:
    """For functions-framework, and whatever else hands over a Flask request."""
    try:
        return invoked(request.get_json())
    except NotConnected as error:
        return str(error), 503


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """For AWS Lambda, which knows best how much time there is."""
    return invoked(event, limit=context.get_remaining_time_in_millis() / 1_000)

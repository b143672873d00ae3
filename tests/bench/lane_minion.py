"""A minion that is ready, and connects when a line comes on its standard input: so that a benchmark's clock
begins with the work. Runs `bench.lane` with 100 jobs at once, until its input ends.
"""

import asyncio
import sys

from jobstream import Context, NonRetryable, Retry, function
from jobstream.minion import Minion

FUNCTION = "bench.lane"
CONCURRENCY = 100
FAILS_ONCE, FAILS = "once", "always"


@function(name=FUNCTION, retry=Retry(kind="constant", initial=0.01))
async def lane(ms: float, fails: str, ctx: Context) -> None:
    """Takes so long; fails at its first attempt, or for good, if it is told to."""
    await asyncio.sleep(ms / 1_000)
    if fails == FAILS:
        raise NonRetryable("as it was told")
    if fails == FAILS_ONCE and ctx.attempt == 1:
        raise ValueError("as it was told")


async def main(relay: str, queue: str) -> None:
    """Waits for the word, then works until the input ends."""
    minion = Minion([lane], relay=relay, queues=[queue], concurrency=CONCURRENCY, name="lanes", grace=0)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    async with minion:
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""An ASGI app that listens, for tests: started, waited for, and ended without leaving sockets behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from relay.doors.http.guard import App
from relay.doors.http.serve import Listen, serve
from tests.waiting import eventually_async


@contextlib.asynccontextmanager
async def served(app: App, listen: Listen) -> AsyncIterator[None]:
    """Listens until the block ends."""
    stop = asyncio.Event()

    async def stopped() -> None:
        await stop.wait()

    async def answers() -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", int(listen.address.split(":")[1]))
            await shut(writer)
            return True
        assert not running.done(), running
        return False

    running = asyncio.create_task(serve(app, listen, stopped))
    await eventually_async(answers, timeout_s=30)
    try:
        yield
    finally:
        stop.set()
        await running
        await _close_what_hypercorn_leaves()


async def shut(writer: asyncio.StreamWriter) -> None:
    """Closes a connection, whatever the other side did."""
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _close_what_hypercorn_leaves() -> None:
    """It never closes its UDP transports; a process that ends needs not, a test does."""
    for key in list(asyncio.get_running_loop()._selector.get_map().values()):  # type: ignore[attr-defined]
        owner = getattr(getattr(key.data[0], "_callback", None), "__self__", None)
        if isinstance(owner, asyncio.BaseTransport):
            owner.close()
    await asyncio.sleep(0)

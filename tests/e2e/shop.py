"""The functions of a small shop, for the tests of the dashboard and its pictures."""

import asyncio

from jobstream import Context, Retry, function

SMTP_DOWN = "a@down.example"


class MailServerBusy(Exception):
    """The other side has too much to do."""


@function(name="mail.send", queue="mail", retry=Retry(attempts=3, initial=60))
async def send(to: str, subject: str = "") -> str:
    """Sends no mail; fails for one address."""
    await asyncio.sleep(0.02)
    if to == SMTP_DOWN:
        raise MailServerBusy("421 4.3.2 too many connections, try again later")
    return f"sent {subject!r} to {to}"


@function(name="picture.resize", queue="pictures")
async def resize(path: str, width: int) -> dict[str, object]:
    """Resizes nothing."""
    await asyncio.sleep(0.08)
    return {"path": path.replace(".png", f"-{width}.png"), "width": width, "bytes": 48_213}


@function(name="report.build", queue="reports", retry=Retry(attempts=2, initial=1, jitter=0))
async def build(month: str, rows: int) -> str:
    """Fails with a trace that leads somewhere."""
    return _render(month, rows)


def _render(month: str, rows: int) -> str:
    if rows < 0:
        raise ValueError(f"a report must have rows, got {rows} for {month}")
    return f"{month}: {rows} rows"


@function(name="export.orders", queue="reports", timeout=300)
async def export(orders: int, *, ctx: Context) -> int:
    """Takes its time, and says how far it is."""
    ctx.step("reading orders")
    for done in range(orders):
        ctx.progress(done, orders)
        await asyncio.sleep(0.1)
    return orders

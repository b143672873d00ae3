"""The Gearman door as a process of its own: foreground jobs between Gearman clients and workers, without
Kafka.

Owns start, stop and signals. It keeps nothing: a door that was killed is replaced by an empty one.
"""

import asyncio
import gc
import ipaddress
import logging
import signal
from importlib.metadata import version

from relay.doors.gearman.door import Door
from relay.gauges import call_gauges
from relay.switchboard import Switchboard
from schemas import loops
from schemas.settings import Settings
from schemas.telemetry.process import Telemetry

log = logging.getLogger("relay.gearman")

ADDRESS = "127.0.0.1:4730"
"""Where it listens unless it is told otherwise: Gearman's port, on loopback."""

DRAIN_S = 10.0
"""How long a door that was told to go waits for what runs."""

DRAIN_LOOK_S = 0.02
"""How often it looks whether something runs yet."""

GC_YOUNG_MAX = 100_000
"""Objects made, less those freed, before the collector looks at the young ones."""

LEAVING = "this door is going away; ask another one"


class CannotListen(Exception):
    """The door cannot be there; the text is one sentence."""


async def open_door(door: Door, address: str, settings: Settings) -> str:
    """Listens at host:port, port 0 for any; the address in force. CannotListen with the reason."""
    host, port = address.rsplit(":", 1)
    if not is_loopback(host):
        if settings.gearman_open != "yes":
            raise CannotListen(
                f"the Gearman door must listen on loopback, or be opened by gearman_open=yes, got {address}:"
                " whoever reaches it may ask for jobs and take them"
            )
        log.warning("whoever reaches %s may ask for jobs and take them; it is not loopback", address)
    try:
        found = await door.start(host.strip("[]"), int(port))
    except OSError as error:
        raise CannotListen(
            f"the Gearman door cannot listen at {address}: {error.strerror or error}"
        ) from None
    return f"{host}:{found}"


def main(settings: Settings, address: str, *, timeouts_required: bool) -> None:
    """Serves until it is told to stop. CannotListen with the reason."""
    loops.run(run(settings, address, timeouts_required=timeouts_required))


async def run(settings: Settings, address: str, *, timeouts_required: bool) -> None:
    """Serves until SIGTERM, SIGINT, or an administrator's word; then no more is taken, and what runs may end.

    Raises:
        CannotListen: with the reason.
    """
    telemetry = Telemetry(settings, "gearman")
    telemetry.begin()
    try:
        await _serve(settings, address, telemetry, timeouts_required=timeouts_required)
    finally:
        await asyncio.to_thread(telemetry.end)


async def _serve(settings: Settings, address: str, telemetry: Telemetry, *, timeouts_required: bool) -> None:
    """Until it is told to stop."""
    gc.freeze()
    gc.set_threshold(GC_YOUNG_MAX, 50, 100)
    told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def tell(graceful: bool) -> None:  # noqa: FBT001 - as the office says it
        if not told.done():
            told.set_result(graceful)

    board = Switchboard(relay=address, telemetry=telemetry)
    door = Door(
        board,
        timeouts_required=timeouts_required,
        version=release(),
        told_to_stop=tell,
        telemetry=telemetry,
    )
    telemetry.meter.watch(lambda: call_gauges(board.calls, board.clock()), asyncio.get_running_loop())
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, tell, True)
    found = await open_door(door, address, settings)
    log.info("gearman door started address=%s kafka=no", found)
    graceful = await told
    board.calls.drain(LEAVING, board.clock())
    board.pump()
    if graceful:
        await _drained(board)
    await door.stop("the door went away")
    board.close()
    log.info("gearman door stopped runs_left=%d", len(board.calls.runs))


async def _drained(board: Switchboard) -> None:
    """Waits until nothing runs, for a while."""
    for _ in range(int(DRAIN_S / DRAIN_LOOK_S)):
        if not board.calls.runs:
            return
        await asyncio.sleep(DRAIN_LOOK_S)


def release() -> str:
    """What `version` says: the version of Jobstream."""
    return version("jobstream")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"

"""A minion from modules by name, as the command line starts it: it imports them, and runs what they declare.

It owns the way from names to a running minion, the set-up of logging and the exit codes; it must never run a
function of a module that was not named.
"""

import importlib
import logging
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from jobstream.errors import BadFunction, BadRequest
from jobstream.functions import Function
from jobstream.minion.child import LOG_FORMAT
from jobstream.minion.minion import EXIT_UNUSABLE, GRACE_S, RELAY, Minion
from jobstream.minion.wire import Wire

if TYPE_CHECKING:
    from schemas.settings import Settings
    from schemas.telemetry.process import Telemetry

log = logging.getLogger(__name__)


def run_modules(  # noqa: PLR0913  # one keyword for each thing that a minion is told
    modules: Sequence[str],
    *,
    relay: str = RELAY,
    wire: Wire | None = None,
    concurrency: int | None = None,
    name: str | None = None,
    queues: Iterable[str] | None = None,
    grace: float = GRACE_S,
    level: int = logging.INFO,
    settings: "Settings | None" = None,
) -> int:
    """Runs the functions of the modules until a signal ends it; blocks the main thread.

    Modules are imported from the working directory first, as `python -m` does. A module's functions are the
    declared ones that it has as attributes, its own and imported ones. With `settings` its metrics and traces
    go where those say.

    Returns:
        The exit code: 0 drained, 1 receipts were left that no relay confirmed, 2 not usable, 3 a resource
        failed.
    """
    configure_logging(level)
    telemetry = None if settings is None else _telemetry(settings)
    try:
        minion = Minion(
            load(modules),
            relay=relay,
            wire=wire,
            concurrency=concurrency,
            name=name,
            queues=queues,
            grace=grace,
            telemetry=telemetry,
        )
    except (BadFunction, BadRequest) as error:
        log.error("minion cannot start: %s", error)  # noqa: TRY400  # the sentence says it all
        return EXIT_UNUSABLE
    if telemetry is None:
        return minion.run()
    telemetry.begin()
    try:
        return minion.run()
    finally:
        telemetry.end()


def _telemetry(settings: "Settings") -> "Telemetry":
    from schemas.telemetry.process import Telemetry  # only who tells needs it

    return Telemetry(settings, "minion")


def load(modules: Sequence[str]) -> list[Function[..., Any]]:
    """The declared functions of the modules.

    Raises:
        BadFunction: A module cannot be imported, or has none.
    """
    if not modules:
        raise BadFunction("modules must name one at least, like package.module, got none")
    if "" not in sys.path and "." not in sys.path:
        sys.path.insert(0, "")
    found: dict[int, Function[..., Any]] = {}
    for name in modules:
        mine = [each for each in vars(_imported(name)).values() if isinstance(each, Function)]
        if not mine:
            raise BadFunction(
                f"module {name} must have functions declared with @jobstream.function, got none"
            )
        found.update((id(each), each) for each in mine)
    return list(found.values())


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise BadFunction(
            f"module {name!r} must be importable from the working directory, got: {error}"
        ) from error
    except BadFunction:
        raise
    except Exception as error:
        log.exception("module %s raised when it was imported", name)
        raise BadFunction(
            f"module {name!r} must be importable, got {type(error).__name__}: {error}"
        ) from error


def configure_logging(level: int) -> None:
    """One line per event on standard error, unless the program has set up logging itself."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=level, format=LOG_FORMAT)

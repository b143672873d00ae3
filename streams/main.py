"""Runs a streams worker in this process: `python -m streams`, and what `jobstream streams` calls.

Owns the process: its log and its end. Must never be imported by anything that only wants the core.
"""

import gc
import logging
import sys
from typing import NoReturn

from schemas.settings import BadSetting, Settings, load
from streams.app import create_app

EXIT_USAGE = 64
"""EX_USAGE of sysexits.h: a setting that can't be."""

GC_YOUNG_MAX = 100_000
"""Objects made, less those freed, before the collector looks at the young ones."""

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run(settings: Settings) -> NoReturn:
    """Runs until SIGTERM or SIGINT, then finishes what was decided, and exits with 0.

    Ends at once with one line and exit code 70 when anything can't be confirmed; a supervisor starts it
    again.
    """
    logging.basicConfig(format=LOG_FORMAT, level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("jobstream").setLevel(logging.INFO)
    app = create_app(settings)
    _spare_the_collector()
    worker = app.Worker(quiet=True, loglevel="WARNING", override_logging=False)
    worker.spinner = None
    worker.execute_from_commandline()


def _spare_the_collector() -> None:
    """Lets the cycle collector run rarely. Rows replace each other and free themselves; walking over those of
    10,000 schedules was measured to stop a worker for 250 to 310 ms, twice in three minutes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG_MAX, 50, 100)


def main() -> NoReturn:
    """Runs with the settings of the environment and jobstream.toml."""
    try:
        settings, _ = load()
    except BadSetting as error:
        sys.stderr.write(f"jobstream streams: {error}\n")
        sys.exit(EXIT_USAGE)
    run(settings)

"""The end of a process that cannot confirm what it did: one clear line, then nothing more.

Crash-only: whatever cannot be confirmed must not be acknowledged, and a worker in doubt must not write
another record. A restart recovers from the log. Nothing here may flush, close or clean up.
"""

import os
from typing import NoReturn

STDERR = 2
EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h: a supervisor may start it again."""


def crash(what: str, error: BaseException | None = None) -> NoReturn:
    """Ends the process at once with one line on standard error that says what and why."""
    why = f": {type(error).__name__}: {' '.join(str(error).split())}" if error is not None else ""
    line = f"jobstream streams: {what}{why}; stopping, a restart goes on from the log\n"
    os.write(STDERR, line.encode())  # sys.stderr may be something of Faust's
    os._exit(EXIT_CODE)

"""A program of a few lines: has itself told to drain when its parent ends, then becomes the command it
was given.

Run by path, as `python -I -S tether.py <parent pid> <command> [argument ...]`. On Linux the kernel sends
SIGTERM to the command when the relay ends in any way, SIGKILL included (prctl(2), PR_SET_PDEATHSIG), so that
its minion ends what it runs, tells another relay, and goes; elsewhere the command just runs on. Must never
import the project, nor anything outside the standard library.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_EXIT_ORPHANED = 125


def main() -> None:
    """Sets the signal, then replaces this process by the command; does not return.

    A parent that ended before the signal was set would never cause it, hence the look at its pid afterwards.
    """
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(_EXIT_ORPHANED)
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the point; no shell is involved


if __name__ == "__main__":
    main()

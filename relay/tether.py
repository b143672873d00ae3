"""A program of a few lines: ties itself to its parent's life, then becomes the command it was given.

Run by path, as `python -I -S tether.py <signal number> <parent pid> <command> [argument ...]`, so that it
starts in about 20 ms. On Linux the kernel then sends that signal to the command when the parent ends in any
way, SIGKILL included (prctl(2), PR_SET_PDEATHSIG): SIGKILL to a part that shall end with its cluster, SIGTERM
to a minion that shall end what it runs, tell another relay, and go. Elsewhere the command just runs on. Must
never import the project, nor anything outside the standard library.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_EXIT_ORPHANED = 125


def main() -> None:
    """Sets the signal, then replaces this process by the command; does not return.

    A parent that ended before the signal was set would never cause it, hence the look at its pid afterwards.
    """
    signum, parent, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signum)
        if os.getppid() != parent:
            sys.exit(_EXIT_ORPHANED)
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the point; no shell is involved


if __name__ == "__main__":
    main()

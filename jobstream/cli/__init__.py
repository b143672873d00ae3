"""The command line: `jobstream <verb>`. It reads flags, calls the parts, and prints; it decides nothing
about jobs.

Every verb imports what it needs when it runs, so that `jobstream submit` loads no service. Expected errors
are one sentence on standard error and an exit code of `exits`; only errors of the program itself show a
traceback. Standard output is for the answer, standard error for talk.
"""

import contextlib
import os
import sys

from jobstream.cli.exits import Exit, exit_of


def main() -> int:
    """Runs the verb that was typed; the exit code."""
    from typer import TyperException

    from jobstream.cli.app import app
    from jobstream.cli.starting import COMPLETE

    if COMPLETE in os.environ:
        from typer.completion import completion_init

        completion_init()
    try:
        ended = app(prog_name="jobstream", standalone_mode=False)
    except TyperException as error:
        return _usage(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has enough
        return Exit.OK
    except Exception as error:
        code = exit_of(error)
        if code is None:
            raise
        print(f"jobstream: {error}", file=sys.stderr)
        return code
    return int(ended or Exit.OK)


def _usage(error: Exception) -> int:
    """One sentence about what was typed; nothing more where typing nothing has shown the help."""
    if type(error).__name__ != "NoArgsIsHelpError":
        message = getattr(error, "format_message", lambda: str(error))()
        context = getattr(error, "ctx", None)
        verb = context.command_path if context is not None else "jobstream"
        message = message.replace("Value error, ", "")  # typer's checks say so of their own sentences
        print(f"{verb}: {message.rstrip('.')} (see {verb} --help)", file=sys.stderr)
    return Exit.USAGE

"""`python -m jobstream.minion package.module`: a minion with nothing installed but gRPC and protobuf."""

import argparse
import sys

from jobstream.errors import BadRequest
from jobstream.minion.minion import EXIT_UNUSABLE, GRACE_S
from jobstream.minion.modules import run_modules
from jobstream.minion.wire import wire_of
from schemas.settings import BadSetting, load


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jobstream.minion", description="Run the functions of modules."
    )
    parser.add_argument("modules", nargs="+", metavar="package.module", help="what declares the functions")
    parser.add_argument("--relay", help="host:port, several with commas [JOBSTREAM_RELAY]")
    parser.add_argument(
        "--concurrency", type=int, help="attempts at once [100, or the cores for plain functions]"
    )
    parser.add_argument("--name", help="of this minion, for people [host and process id]")
    parser.add_argument(
        "--queue", action="append", dest="queues", help="to serve; repeatable [the functions' own]"
    )
    parser.add_argument("--grace", type=float, default=GRACE_S, help="seconds to end within [%(default)s]")
    given = parser.parse_args()
    try:
        settings, _ = load({"relay": given.relay})
        wire = wire_of(settings)
    except (BadSetting, BadRequest) as bad:
        sys.stderr.write(f"jobstream minion: {bad}\n")
        return EXIT_UNUSABLE
    return run_modules(
        given.modules,
        relay=settings.relay,
        wire=wire,
        concurrency=given.concurrency,
        name=given.name,
        queues=given.queues,
        grace=given.grace,
    )


if __name__ == "__main__":
    sys.exit(main())

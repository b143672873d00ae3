"""`python -m jobstream.minion package.module`: a minion with nothing installed but gRPC and protobuf."""

import argparse
import os
import sys

from jobstream.minion.minion import GRACE_S, RELAY
from jobstream.minion.modules import run_modules


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jobstream.minion", description="Run the functions of modules."
    )
    parser.add_argument("modules", nargs="+", metavar="package.module", help="what declares the functions")
    parser.add_argument(
        "--relay", default=os.environ.get("JOBSTREAM_RELAY", RELAY), help="host:port [%(default)s]"
    )
    parser.add_argument(
        "--concurrency", type=int, help="attempts at once [100, or the cores for plain functions]"
    )
    parser.add_argument("--name", help="of this minion, for people [host and process id]")
    parser.add_argument(
        "--queue", action="append", dest="queues", help="to serve; repeatable [the functions' own]"
    )
    parser.add_argument("--grace", type=float, default=GRACE_S, help="seconds to end within [%(default)s]")
    given = parser.parse_args()
    return run_modules(
        given.modules,
        relay=given.relay,
        concurrency=given.concurrency,
        name=given.name,
        queues=given.queues,
        grace=given.grace,
    )


if __name__ == "__main__":
    sys.exit(main())

"""Keeps the schemas of a release, for ever: `python -m schemas.release 0.1.0`, as a part of releasing.

Copies the avsc files and ids.json to schemas/released/<version>. From then on every change is held against
them by `python -m schemas.compat`; values in their forms are read, and written as long as they lose nothing.
"""

import argparse
import re
import shutil
import sys

from schemas.compat import SCHEMAS

VERSION = re.compile(r"\d+(\.\d+)*")


def main(arguments: list[str]) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m schemas.release", description=__doc__)
    parser.add_argument("version", help="as in 0.1.0")
    version = parser.parse_args(arguments).version
    if VERSION.fullmatch(version) is None:
        parser.error(f"version must be numbers with dots between, got {version!r}")
    folder = SCHEMAS / "released" / version
    if folder.exists():
        parser.error(f"version must be a new one, got {version}: {folder} stays as it was released")
    folder.mkdir(parents=True)
    for path in (*(SCHEMAS / "avro").glob("*.avsc"), SCHEMAS / "ids.json"):
        shutil.copy(path, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

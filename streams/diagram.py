"""Draws the life of a job from the table of transitions, into the README of this package.

`python -m streams.diagram` writes the block between the two marks; `--check` only tells (exit 1) if it is
stale. Draws nothing that is not in the table.
"""

import argparse
import re
import sys
from collections import defaultdict
from pathlib import Path

from streams.core.facts import Deduplicated, Fact
from streams.core.job import TRANSITIONS

README = Path(__file__).parent / "README.md"
BEGIN = "<!-- begin: drawn by `python -m streams.diagram` -->"
END = "<!-- end: drawn by `python -m streams.diagram` -->"
NOWHERE = "[*]"
"""Before a job's row is there, and after."""


def mermaid() -> str:
    """The table of transitions as a Mermaid state diagram: one arrow for all facts between the same two
    phases.

    A duplicate request changes no phase, and is left out.
    """
    arrows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for before, ways in TRANSITIONS.items():
        for fact, after in ways.items():
            if fact is not Deduplicated:
                arrows[before or NOWHERE, after or NOWHERE].append(words(fact))
    lines = [f"    {before} --> {after}: {', '.join(facts)}" for (before, after), facts in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def words(fact: type[Fact]) -> str:
    """The name of a fact as words: `HandedBack` is `handed back`."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", fact.__name__).lower()


def drawn(page: str) -> str:
    """The page with the diagram between its marks.

    Raises:
        ValueError: the page has not both marks, once each and in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"the page must have the marks {BEGIN!r} and {END!r} once each, in this order")
    return f"{before}{BEGIN}\n{mermaid()}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Writes or checks; the exit code is 1 if a check found the page stale."""
    parser = argparse.ArgumentParser(prog="python -m streams.diagram", description="draws the life of a job")
    parser.add_argument("--check", action="store_true", help="write nothing, tell whether the page is fresh")
    page = README.read_text("utf-8")
    fresh = drawn(page)
    if not parser.parse_args(arguments).check:
        README.write_text(fresh, "utf-8")
    elif page != fresh:
        sys.stderr.write(f"{README} is stale: run `python -m streams.diagram`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A long job that says where it is: heartbeats carry steps and progress, a checkpoint survives its minion.

    jobstream minion examples.heartbeat
    jobstream submit examples.count_words '{"path": "README.md"}' --wait

While it runs, `jobstream status` shows "last located at count at 14:05, progress 40/100". Kill the minion in
the middle: the next attempt goes on at the line of the last checkpoint.
"""

import time
from pathlib import Path

from jobstream import Context, function

LINE_S = 0.05
"""How long each line takes, seconds: this example has all the time in the world."""


@function(name="examples.count_words", timeout=600, expected=30)
def count_words(path: str, *, ctx: Context) -> int:
    """Counts the words of a text file, slowly."""
    ctx.step("read")
    lines = Path(path).read_text().splitlines()
    state = ctx.previous_json() or {"line": 0, "words": 0}
    ctx.step("count")
    for number in range(state["line"], len(lines)):
        words = len(lines[number].split())
        state = {"line": number + 1, "words": state["words"] + words}
        ctx.progress(number + 1, len(lines))
        ctx.checkpoint(state)
        ctx.raise_if_cancelled()
        time.sleep(LINE_S)
    return int(state["words"])

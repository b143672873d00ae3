"""The worked examples do what they say, called as plain functions."""

import sqlite3
from pathlib import Path

from examples.fenced import SCHEMA, pay
from examples.heartbeat import count_words
from jobstream import Context
from jobstream.context import Attempt


def test_a_count_goes_on_at_its_checkpoint(tmp_path: Path) -> None:
    """Words of lines before the checkpoint are not counted again."""
    text = tmp_path / "text"
    text.write_text("one two\nthree\n")
    assert count_words(str(text), ctx=Context()) == 3
    attempt = Attempt(previous=b'{"line": 1, "words": 40}')
    assert count_words(str(text), ctx=Context(attempt)) == 41
    assert attempt.progress == (2, 2)


def test_an_older_epoch_pays_nothing() -> None:
    """A write of an attempt that another has overtaken changes nothing."""
    ledger = sqlite3.connect(":memory:", isolation_level=None)
    ledger.execute(SCHEMA)

    def run(epoch: int) -> bool:
        return pay("a-1", 1_999, ctx=Context(Attempt(job="job", epoch=epoch)), ledger=ledger)

    assert run(2)
    assert not run(1)
    assert ledger.execute("SELECT epoch, cents FROM payments").fetchall() == [(2, 1_999)]
    ledger.close()

"""Pages that are made from the code are those that the code makes."""

from pathlib import Path

from jobstream.topics import docs
from schemas.topics import Topics

PAGE = Path(__file__).parents[3] / "docs" / "topics.md"


def test_the_page_of_topics_is_fresh() -> None:
    """`make docs` writes docs/topics.md; the catalogue has not changed since."""
    assert PAGE.read_text() == docs(Topics())

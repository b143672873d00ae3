"""The drawing of the life of a job."""

import pytest

from streams import diagram
from streams.core import facts
from streams.core.job import TRANSITIONS


def test_the_drawing_in_the_page_is_that_of_the_table() -> None:
    """A transition that was added or taken away is drawn: run `python -m streams.diagram`."""
    assert diagram.main(["--check"]) == 0


def test_every_transition_but_that_of_a_duplicate_is_drawn() -> None:
    """One arrow for each two phases, with a word for each fact between them."""
    drawing = diagram.mermaid()
    for before, ways in TRANSITIONS.items():
        for fact, after in ways.items():
            arrow = f"    {before or '[*]'} --> {after or '[*]'}: "
            (line,) = [line for line in drawing.splitlines() if line.startswith(arrow)] or [""]
            labels = line.removeprefix(arrow).split(", ")
            assert (diagram.words(fact) in labels) == (fact is not facts.Deduplicated)


def test_a_stale_page_is_told() -> None:
    """What stands between the marks is replaced, and nothing else."""
    page = f"before\n{diagram.BEGIN}\nold\n{diagram.END}\nafter\n"
    fresh = f"before\n{diagram.BEGIN}\n{diagram.mermaid()}\n{diagram.END}\nafter\n"
    assert diagram.drawn(page) == fresh == diagram.drawn(fresh)


@pytest.mark.parametrize(
    "page", ["", diagram.BEGIN, diagram.END + diagram.BEGIN, (diagram.BEGIN + diagram.END) * 2]
)
def test_a_page_without_the_marks_is_an_error(page: str) -> None:
    """Nobody's page is overwritten."""
    with pytest.raises(ValueError, match="the page must have the marks"):
        diagram.drawn(page)

"""docs/clients.md: what it says of homes is so, and the files it names are there."""

import re

from schemas.keys import home
from tests.tidy.source import ROOT

PAGE = ROOT / "docs" / "clients.md"


def test_the_homes_it_names() -> None:
    """Whoever checks a hash of their own against the page checks it against the service."""
    named = re.findall(r"`([a-z0-9-]+)` (?:is at home )?in (\d)", PAGE.read_text())
    assert len(named) == 3
    assert named == [(key, str(home(key, 8))) for key, _ in named]


def test_the_files_it_names() -> None:
    """Links within the project lead somewhere."""
    links = re.findall(r"\]\((\.\./[^)]+)\)", PAGE.read_text())
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []

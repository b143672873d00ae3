"""The status pages: what the rows of this worker say, as JSON for machines and as plain pages for people."""

from streams.web.pages import add_pages

__all__ = ["add_pages"]

"""The answers of the status pages as plain HTML, for people with a browser. Knows JSON values and links, no
jobs.

Everything that comes from outside is escaped; no script, no image, no other host.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

LINKS = {"jobs": "/jobstream/jobs", "counts": "/jobstream/counts", "schedules": "/jobstream/schedules"}
LINKS["health"] = "/jobstream/health"

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color:
#222 } nav a { margin-right: 1rem } a { color: #06c; text-decoration: none } a:hover { text-decoration:
underline } table { border-collapse: collapse; margin: .5rem 0 1.5rem } caption { text-align: left;
font-weight: 600 } td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0;
border-bottom: 1px solid #ddd } th { font-weight: 500; color: #666 } .none { color: #aaa } pre { margin: 0;
white-space: pre-wrap } @media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd } td, th { border-color: #333 } a { color: #6af } }
"""


def as_page(path: str, answer: Mapping[str, Any]) -> str:
    """A whole page for an answer."""
    links = "".join(f'<a href="{url}">{name}</a>' for name, url in LINKS.items())
    body = _table(answer) if "error" not in answer else f"<p>{escape(str(answer['error']))}</p>"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(path)}</title>'
        f"<style>{STYLE}</style>"
        f"<nav>{links}</nav><h1>{escape(path)}</h1>{body}</html>"
    )


def _table(fields: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{_words(name)}</th><td>{_value(name, found)}</td></tr>" for name, found in fields.items()
    )
    return f"<table>{rows}</table>"


def _value(name: str, found: Any) -> str:
    match found:
        case None | [] | {}:
            return '<span class="none">none</span>'
        case bool():
            return "yes" if found else "no"
        case [dict(), *_]:
            return _list(name, found)
        case dict() if name not in {"args", "result"}:
            return _table(found)
        case dict() | list():
            return f"<pre>{escape(json.dumps(found, ensure_ascii=False, indent=1))}</pre>"
        case _:
            return _text(name, str(found))


def _list(name: str, items: Sequence[Mapping[str, Any]]) -> str:
    """Many things of one kind as one table, without the columns that are empty for all."""
    columns = [
        column for column in items[0] if any(item.get(column) not in (None, [], False) for item in items)
    ]
    head = "".join(f"<th>{_words(column)}</th>" for column in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(name, column, item.get(column))}</td>" for column in columns) + "</tr>"
        for item in items
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _cell(name: str, column: str, found: Any) -> str:
    if name == "jobs" and column == "id":
        return f'<a href="/jobstream/job/{quote(str(found), safe="")}">{escape(str(found))}</a>'
    return _value(column, found)


def _text(name: str, found: str) -> str:
    if name == "queue":
        return f'<a href="/jobstream/jobs?queue={quote(found, safe="")}">{escape(found)}</a>'
    if name == "parent":
        return f'<a href="/jobstream/job/{quote(found, safe="")}">{escape(found)}</a>'
    return escape(found)


def _words(name: str) -> str:
    return escape(name.replace("_", " "))

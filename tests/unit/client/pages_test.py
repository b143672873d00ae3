"""Asking the status pages: what they answer, and what they do not."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from jobstream.client.pages import Pages
from jobstream.errors import JobUnknown, NotReachable

ANSWERS: dict[str, tuple[int, dict[str, object] | str]] = {
    "/jobstream/job/a%2Fb?key=k": (200, {"id": "a/b"}),
    "/jobstream/job/none": (404, {"error": "no job none is kept"}),
    "/jobstream/job/moving": (503, {"error": "partition 3 is being restored"}),
    "/jobstream/queue/mails?phase=dead&limit=3": (200, {"jobs": []}),
    "/jobstream/counts": (500, "<html>"),
    "/jobstream/schedules": (200, "<html>"),
}


class Handler(BaseHTTPRequestHandler):
    """Answers as ANSWERS says."""

    def do_GET(self) -> None:
        """One page."""
        status, body = ANSWERS[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode() if isinstance(body, dict) else body.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def pages() -> Iterator[Pages]:
    """Pages of a real HTTP server."""
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Pages(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


def test_answers_are_handed_on(pages: Pages) -> None:
    """Ids and options get into the address as they must, and the JSON comes back as it is."""
    assert pages.status("a/b", "k") == {"id": "a/b"}
    assert pages.list("mails", "dead", 3) == {"jobs": []}


def test_an_unknown_job_is_told_in_the_words_of_the_page(pages: Pages) -> None:
    """404 is no failure of the service."""
    with pytest.raises(JobUnknown, match="no job none is kept"):
        pages.status("none")


def test_other_answers_are_no_answers(pages: Pages) -> None:
    """503, 500, and what is no JSON are a sentence each, with the address."""
    with pytest.raises(NotReachable, match="cannot answer at the moment: partition 3 is being restored"):
        pages.status("moving")
    with pytest.raises(NotReachable, match="answered 500"):
        pages.counts()
    with pytest.raises(NotReachable, match="is not the status pages"):
        pages.schedules()


def test_nobody_answers() -> None:
    """A port that nobody listens on is a sentence with the address."""
    with pytest.raises(NotReachable, match=r"the status pages do not answer at http://127\.0\.0\.1:9"):
        Pages("http://127.0.0.1:9").health()

"""Whoever asks a service over HTTP, and hears from somebody else or half an answer: a sentence, no trace."""

from collections.abc import Callable

import pytest

from jobstream.cli import service
from jobstream.client.pages import Pages
from jobstream.connect.rest import ConnectFailed, Worker
from jobstream.errors import NotReachable
from jobstream.top.source import Source
from relay import standings
from schemas.registered import RegistryFailed, adopt
from schemas.settings import Settings
from tests.fakes.garbled import BROKEN_OFF, NO_HTTP, answering

Ask = Callable[[str], object]

ASKS: dict[str, tuple[Ask, type[Exception]]] = {
    "pages": (lambda at: Pages(f"http://{at}").health(), NotReachable),
    "top": (lambda at: Source(f"http://{at}").job("j", None), NotReachable),
    "verbs": (lambda at: service.text(f"http://{at}", None, "GET", "/queues"), NotReachable),
    "connect": (lambda at: Worker(at).names(), ConnectFailed),
    "standings": (lambda at: standings._ask(at, "j"), standings.Unclear),
    "registry": (lambda at: adopt(Settings(registry=f"http://{at}"), patience_s=0.1), RegistryFailed),
}


@pytest.mark.parametrize("answer", [NO_HTTP, BROKEN_OFF], ids=["no-http", "broken-off"])
@pytest.mark.parametrize("who", ASKS)
def test_what_is_no_answer_is_told_as_none(who: str, answer: bytes) -> None:
    """Services are restarted while they are asked, and their ports are given to others."""
    ask, error = ASKS[who]
    with answering(answer) as at, pytest.raises(error):
        ask(at)


def test_lines_of_somebody_else() -> None:
    """As the answers; what breaks off has simply ended."""
    with answering(NO_HTTP) as at, pytest.raises(NotReachable):
        list(service.lines(f"http://{at}", None, "/facts", {}))

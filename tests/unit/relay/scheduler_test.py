"""How a relay finds its scheduler, and what pools jobstream.toml may ask for."""

import tomllib
from typing import Any

import pytest

from relay.core.traffic import Hook, Told
from relay.scheduler import Pools, Scheduler
from relay.scheduler.hooks import find, offers_of, tell
from relay.scheduler.invoked import Invoked
from relay.scheduler.local import Local
from relay.scheduler.settings import scheduler_of
from schemas.settings import BadSetting, Settings

POOLS = """
[mails]
modules = ["shop.mails"]
functions = ["mail.send"]
queues = ["default", "mails"]
concurrency = 20
max = 4

[thumbs]
url = "https://functions.example/thumbs"
functions = ["thumb.make"]
limit_ms = 900_000
jobs_each = 200
headers = { "X-Team" = "shop" }
"""


class Mine(Scheduler):
    """A scheduler of one's own."""

    offers = {"default": ["mine"]}  # noqa: RUF012 - as a user would write it


MADE = Mine()


def pools(text: str) -> Any:
    """The scheduler of a section."""
    return scheduler_of(Settings(), tomllib.loads(text))


def test_none_without_being_asked() -> None:
    """A relay brings nobody by default."""
    assert scheduler_of(Settings(), {}) is None


@pytest.mark.parametrize("name", ["Mine", "MADE"])
def test_ones_own_is_found_by_its_name(name: str) -> None:
    """A class is called, an object taken as it is."""
    found = scheduler_of(Settings(scheduler=f"{__name__}:{name}"), {})
    assert isinstance(found, Mine)
    assert offers_of(found).functions == {"default": frozenset({"mine"})}


@pytest.mark.parametrize(
    "name", ["no.such:Thing", "relay.scheduler:nothing", "builtins:list", "builtins:open"]
)
def test_what_is_no_scheduler_is_refused(name: str) -> None:
    """With the name that was found."""
    with pytest.raises(BadSetting, match=name):
        find(name)


def test_pools_are_as_their_section_says() -> None:
    """Processes for modules, calls for a URL, and the rest by default."""
    found = pools(POOLS)
    assert isinstance(found, Pools)
    assert found.offers == {
        "default": frozenset({"mail.send", "thumb.make"}),
        "mails": frozenset({"mail.send"}),
    }
    mails, thumbs = (keeper._launcher for keeper in found._keepers)
    assert isinstance(mails, Local)
    assert list(mails.command[1:]) == [
        *("-m", "jobstream.minion", "shop.mails", "--relay", "{relay}", "--name", "{minion}"),
        *("--concurrency", "20", "--queue", "default", "--queue", "mails", "--grace", "30"),
    ]
    assert isinstance(thumbs, Invoked)
    assert (thumbs.limit_s, thumbs.idle_s, thumbs.headers) == (900, 2, {"X-Team": "shop"})
    plan = found._keepers[1].pool.plan
    assert (plan.most, plan.jobs_each, plan.life_ms, plan.leaves) == (1, 200, 810_000, True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[p]", "pool p must have one of command, modules, url, got none"),
        ('[p]\nurl = "http://x"\ncommand = ["x"]', "got command, url"),
        (
            '[p]\nurl = "ftp://x"\nfunctions = ["f"]',
            "pool p must have a url with http or https, got 'ftp://x'",
        ),
        ('[p]\nurl = "http://x"', "pool p must have functions as a list of texts"),
        (
            '[p]\nurl = "http://x"\nfunctions = ["f"]\nmin = 2',
            "pool p must have min of at most 1, its max, got 2",
        ),
        (
            '[p]\nurl = "http://x"\nfunctions = ["f"]\nmax = -1',
            "max as a whole number from 1 to 10000, got -1",
        ),
        ('[p]\nurl = "http://x"\nfunctions = ["f"]\nidle = 3', "pool p has no setting 'idle'"),
        ('[p]\nurl = "http://x"\nfunctions = ["f f"]', "pool p: "),
        ("p = 3", "pool p must have a table, got 3"),
        (
            '[a]\nurl = "http://x"\nfunctions = ["f"]\n[b]\nurl = "http://y"\nfunctions = ["f"]',
            "function f of queue default must be of one pool, got a and b",
        ),
    ],
)
def test_pools_that_cannot_be_are_refused(text: str, sentence: str) -> None:
    """With the pool's name and the value found."""
    with pytest.raises(BadSetting) as refused:
        pools(text)
    assert sentence in str(refused.value)


def test_a_scheduler_that_fails_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    """What it raises is told in the log, and the next call comes all the same."""
    done: list[int] = []

    class Failing(Scheduler):
        def inbound(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
            raise ValueError(f"{queue} {function} {areas} {count}")

        def done(self, queue: str, function: str, areas: tuple[str, ...], count: int) -> None:
            assert (queue, function, areas) == ("q", "f", ())
            done.append(count)

    tell(Failing(), [Told(Hook.INBOUND, "q", "f", ()), Told(Hook.DONE, "q", "f", (), 2)])
    assert done == [2]
    assert "the scheduler failed at inbound function=f" in caplog.text

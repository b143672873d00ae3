"""Dead letters, histories, many jobs at once and lags over HTTP, on the real state machine."""

from typing import Any

import pytest

from relay.doors.http.attempt import Attempt, sign
from schemas.times import parse_time
from tests.fakes.gateway import SECRET, Gateway

NOW_MS = parse_time("2027-01-15T08:00:00Z")
DAY_MS = 24 * 3_600_000


@pytest.fixture
def gateway() -> Gateway:
    """A service without tokens."""
    return Gateway(now_ms=NOW_MS)


async def die(gateway: Gateway, id: str, function: str = "f", error: str = "no") -> None:
    """A job that fails for good."""
    asked = {"function": function, "id": id, "args": {"to": "a"}, "retry": False}
    assert (await gateway.ask("POST", "/job", asked))[0] == 201
    await fail(gateway, id, function, 1, error)


async def fail(gateway: Gateway, id: str, function: str, epoch: int, error: str) -> None:
    """Its attempt fails."""
    token = sign(Attempt(id, id, 0, "default", function, 1, epoch, NOW_MS, 60_000, "push"), SECRET)
    body = {"status": "failure", "error": error, "token": token}
    assert (await gateway.ask("POST", f"/job/{id}/receipt", body))[0] == 200


async def ids(gateway: Gateway, query: str = "") -> list[str]:
    """The jobs whose letters are listed."""
    status, page = await gateway.ask("GET", f"/dead-letters{query}")
    assert status == 200, page
    return [letter["id"] for letter in page["letters"]]


async def test_letters_are_read_by_filter_and_page(gateway: Gateway) -> None:
    """The newest first, with their errors and request; an older page goes on behind a newer one."""
    for number in range(3):
        gateway.machine.now_ms += 1
        await die(gateway, f"j{number}", "f" if number else "g", f"error {number}")
    assert await ids(gateway) == ["j2", "j1", "j0"]
    assert await ids(gateway, "?function=g") == ["j0"]
    assert await ids(gateway, "?error=error+2") == ["j2"]
    assert await ids(gateway, "?queue=other") == []
    page = (await gateway.ask("GET", "/dead-letters?limit=2"))[1]
    assert page["total"] == 3
    assert await ids(gateway, f"?limit=2&after={page['next']}") == ["j0"]
    letter = (await gateway.ask("GET", "/dead-letters/j1"))[1]
    assert (letter["args"], letter["request"]["function"]) == ({"to": "a"}, "f")
    assert letter["errors"][0]["error_message"] == "error 1"
    assert (await gateway.ask("GET", "/dead-letters/none"))[0] == 404


async def test_a_letter_is_redriven_once(gateway: Gateway) -> None:
    """The job runs again and its letter is gone; it comes back when the job dies once more."""
    await die(gateway, "j")
    status, told = await gateway.ask("POST", "/dead-letters/j/redrive")
    assert (status, told["outcome"]) == (200, "redriven")
    row = gateway.machine.job("j")
    assert row is not None
    assert (row.phase, await ids(gateway)) == ("ready", [])
    assert (await gateway.ask("POST", "/dead-letters/j/redrive"))[0] == 404
    gateway.machine.now_ms += 1
    await fail(gateway, "j", "f", 3, "again")
    assert await ids(gateway) == ["j"]


async def test_a_letter_of_a_forgotten_job_asks_for_another(gateway: Gateway) -> None:
    """A new job for the same work, called after the old one."""
    await die(gateway, "j")
    gateway.machine.now_ms += 2 * DAY_MS
    gateway.machine.tick()
    assert gateway.machine.job("j") is None
    told = (await gateway.ask("POST", "/dead-letters/redrive", {"ids": ["j"]}))[1]
    assert told["counts"] == {"redriven": 1}
    new = gateway.machine.job(told["letters"][0]["job"])
    assert new is not None
    assert (new.spec.parent, new.spec.args) == ("j", b'{"to":"a"}')
    assert await ids(gateway) == []


async def test_a_job_that_is_not_dead_any_more_is_left_alone(gateway: Gateway) -> None:
    """409 with the reason, and nobody is shown its letter again."""
    await die(gateway, "j")
    assert (await gateway.ask("POST", "/job/j/retry"))[0] == 200
    status, problem = await gateway.ask("POST", "/dead-letters/j/redrive")
    assert (status, problem["code"]) == (409, "not_now")
    assert await ids(gateway) == []


async def test_letters_are_discarded(gateway: Gateway) -> None:
    """One by its id, others by filter; the jobs stay as they are."""
    for id, function in (("a", "f"), ("b", "f"), ("c", "g")):
        await die(gateway, id, function)
    assert (await gateway.ask("DELETE", "/dead-letters/a"))[1]["outcome"] == "discarded"
    assert sorted(await ids(gateway)) == ["b", "c"]
    told = (await gateway.ask("POST", "/dead-letters/discard", {"function": "f"}))[1]
    assert (told["found"], told["counts"]) == (1, {"discarded": 1})
    assert await ids(gateway) == ["c"]
    row = gateway.machine.job("a")
    assert row is not None
    assert row.phase == "dead"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/dead-letters/redrive", {}, "the body must say which by ids"),
        ("/dead-letters/discard", {"quue": "x"}, "the body has no field 'quue'"),
        ("/dead-letters/redrive", {"ids": "a"}, "ids must be a list of ids, got 'a'"),
        ("/dead-letters/redrive", {"all": True, "limit": 0}, "limit must be a whole number from 1 to 1000"),
        ("/jobs/cancel", {}, "the body must say which by queue"),
        ("/jobs/cancel", {"phase": "dead"}, "phase must be one of scheduled"),
        ("/jobs/cancel", {"queue": "x", "force": True}, "the body has no field 'force'"),
        ("/jobs/cancel", {"all": "yes"}, "all must be true or false, got 'yes'"),
        ("/jobs/cancel", {"since": "01/02/2020"}, "write the year first"),
    ],
)
async def test_a_filter_must_say_which(gateway: Gateway, path: str, body: Any, words: str) -> None:
    """400 with the value found: a filter that says nothing is never all of them."""
    await die(gateway, "j")
    status, problem = await gateway.ask("POST", path, body)
    assert status == 400, problem
    assert words in problem["detail"]
    assert await ids(gateway) == ["j"]


async def test_jobs_are_cancelled_by_filter(gateway: Gateway) -> None:
    """Those that fit and have not ended; a dry run only counts."""
    for id, function, tags in (("a", "f", ["x"]), ("b", "f", []), ("c", "g", ["x"])):
        asked = {"function": function, "id": id, "tags": tags, "delay": 60 if id == "a" else 0}
        await gateway.ask("POST", "/job", asked)
    dry = (await gateway.ask("POST", "/jobs/cancel", {"tag": "x", "dryRun": True}))[1]
    assert (dry["found"], dry["counts"], sorted(dry["ids"])) == (2, {}, ["a", "c"])
    told = (await gateway.ask("POST", "/jobs/cancel", {"function": "f", "reason": "wrong"}))[1]
    assert (told["counts"], told["more"]) == ({"cancelled": 2}, False)
    phases = {id: row.phase for id in "abc" if (row := gateway.machine.job(id)) is not None}
    assert phases == {"a": "cancelled", "b": "cancelled", "c": "ready"}
    assert (await gateway.ask("POST", "/jobs/cancel", {"all": True}))[1]["found"] == 1


async def test_the_history_of_a_job_is_all_its_facts(gateway: Gateway) -> None:
    """In order, also of a job that is forgotten; 404 for one that never was."""
    await die(gateway, "j")
    told = (await gateway.ask("GET", "/job/j/history"))[1]
    assert ([fact["fact"] for fact in told["facts"]], told["complete"]) == (["admitted", "died"], True)
    gateway.machine.now_ms += 2 * DAY_MS
    gateway.machine.tick()
    told = (await gateway.ask("GET", "/job/j/history"))[1]
    assert [fact["fact"] for fact in told["facts"]] == ["admitted", "died", "purged"]
    assert (await gateway.ask("GET", "/job/none/history"))[0] == 404


async def test_queues_tell_their_lag(gateway: Gateway) -> None:
    """Beside the jobs in each phase: the dispatches that no relay is done with."""
    await gateway.ask("POST", "/jobs", [{"function": "f"}, {"function": "f", "queue": "slow"}])
    queues = (await gateway.ask("GET", "/queues"))[1]["queues"]
    assert queues == {"default": {"ready": 1, "lag": 1}, "slow": {"ready": 1, "lag": 1}}


async def test_the_duties_are_told(gateway: Gateway) -> None:
    """What time asks, in four words; a parameter is one too many."""
    told = (await gateway.ask("GET", "/duties"))[1]
    assert set(told["duties"]) == {"due", "timed_out", "recurring", "purge"}
    assert (await gateway.ask("GET", "/duties?queue=a"))[0] == 400


async def test_a_job_gets_another_time(gateway: Gateway) -> None:
    """By a time or a delay; 409 for one that runs, 400 for what says nothing."""
    await gateway.ask("POST", "/job", {"function": "f", "id": "j", "startWithin": "2d", "retention": "1h"})
    status, told = await gateway.ask(
        "POST", "/job/j/reschedule", {"runAt": "2027-01-16 09:00", "reason": "x"}
    )
    assert (status, told["outcome"], told["next_at"]) == (200, "rescheduled", "2027-01-16T09:00:00.000Z")
    for body, words in (
        ({}, "must have one of run_at and delay, got neither"),
        ({"delay": 1, "runAt": "now"}, "got both"),
        ({"delay": 1, "when": 2}, "reschedule has no field 'when'"),
        ({"delay": "soon"}, "delay must be seconds"),
        ({"delay": 1, "reason": 5}, "reason must be a text"),
        ({"runAt": "2027-02-16"}, "must be before its expiry"),
    ):
        status, problem = await gateway.ask("POST", "/job/j/reschedule", body)
        assert status == 400, problem
        assert words in problem["detail"]
    await gateway.ask("POST", "/job/j/cancel")
    assert (await gateway.ask("POST", "/job/j/reschedule", {"delay": 1}))[0] == 409


async def test_a_unique_job_over_http(gateway: Gateway) -> None:
    """201, 200 with the job that is the answer, 201 with the one that was replaced."""
    asked = {"function": "f", "args": {"to": "a", "n": 1}, "unique": {"fields": ["to"]}}
    status, first = await gateway.ask("POST", "/job", asked)
    assert (status, first["outcome"]) == (201, "accepted")
    status, second = await gateway.ask("POST", "/job", {**asked, "args": {"to": "a", "n": 2}})
    assert (status, second["outcome"], second["duplicate_of"]) == (200, "duplicate", first["id"])
    assert second["id"] == first["id"]
    replacing = {**asked, "unique": {"fields": ["to"], "then": "replace"}, "priority": 1}
    status, third = await gateway.ask("POST", "/job", replacing)
    assert (status, third["outcome"], third["replaced"]) == (201, "replaced", first["id"])
    many = (await gateway.ask("POST", "/jobs", [asked, {"function": "f", "unique": {"window": "1m"}}]))[1]
    assert [job["outcome"] for job in many["jobs"]] == ["duplicate", "accepted"]
    assert many["jobs"][0]["duplicate_of"] == third["id"]
    assert (await gateway.ask("POST", "/job", {"function": "g", "unique": True}))[0] == 201
    waited = await gateway.ask("POST", "/job", {**asked, "wait": 0.01})
    assert (waited[0], waited[1]["id"]) == (200, third["id"])


async def test_a_schedule_takes_the_options_of_its_jobs(gateway: Gateway) -> None:
    """Its jobs have them; the schedule shows them."""
    body = {
        "function": "f",
        "cron": "@hourly",
        "retry": {"kind": "constant", "initial": "2s", "attempts": 3},
        "priority": "high",
        "tags": ["t"],
        "startWithin": "10m",
        "retention": "1h",
    }
    assert (await gateway.ask("PUT", "/schedules/s", body))[0] == 201
    assert (await gateway.ask("POST", "/schedules/s/trigger", {}))[1]["outcome"] == "schedule_fired"
    (job,) = (await gateway.ask("GET", "/jobs"))[1]["jobs"]
    policy = job["policy"]
    assert (policy["retry_kind"], policy["retry_initial_ms"], policy["attempts_max"]) == (
        "constant",
        2_000,
        3,
    )
    assert (policy["priority"], policy["retention_ms"], job["tags"]) == ("high", 3_600_000, ["t"])
    assert policy["expires_at"] == "2027-01-15T08:10:00.000Z"
    shown = (await gateway.ask("GET", "/schedules/s"))[1]
    assert shown["options"]["retry_initial_ms"] == 2_000

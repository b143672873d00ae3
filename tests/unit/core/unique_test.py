"""What makes two requests the same, and which job stands in the way of another."""

from typing import Any

import pytest

from schemas.events import JobRequest, JobRow, JobSpec
from schemas.limits import Refused
from schemas.records import replace
from schemas.unique import Then, Unique, While, read_unique, unique_key
from schemas.words import Phase
from streams.core.admission import Position, admit
from streams.core.config import Config
from streams.core.records import duplicate_record
from streams.core.rejection import Rejection
from streams.core.unique import Uniques
from tests.life import T0, Life

WHERE = Position("jobs.requests", 0, 7, T0)
NAME = ("key-1", "u")
BOTH = Unique()


def key(unique: Unique = BOTH, **fields: Any) -> str:
    """The unique key of a request."""
    return unique_key(JobRequest(**{"function": "f", **fields}), unique)


def test_a_policy_is_read() -> None:
    """What is left out is as the smallest one says; a window alone says that it is one."""
    assert read_unique("{}") == Unique(While.BOTH, None, (), Then.DUPLICATE)
    text = '{"while":"window","window_ms":5,"fields":["b","a","a"],"then":"replace"}'
    assert read_unique(text) == Unique(While.WINDOW, 5, ("a", "b"), Then.REPLACE)
    assert read_unique('{"window_ms":5}').while_ == While.WINDOW
    assert read_unique('{"while":null}') == Unique()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "unique must be a JSON object, got '[]'"),
        ("{", "unique must be a JSON object, got '{'"),
        ('{"by":["to"]}', "unique has no field 'by'; there are while, window_ms, fields, then"),
        ('{"while":"always"}', "unique.while must be one of queued, running, both, window, got 'always'"),
        (
            '{"while":"window"}',
            "unique.window_ms must be given with while window alone, got None with window",
        ),
        ('{"while":"both","window_ms":5}', "unique.window_ms must be given with while window alone, got 5"),
        ('{"window_ms":0}', "unique.window_ms must be a whole number from 1 to 2592000000, got 0"),
        ('{"window_ms":true}', "unique.window_ms must be a whole number from 1 to 2592000000, got True"),
        ('{"then":"wait"}', "unique.then must be one of duplicate, replace, got 'wait'"),
        ('{"fields":"to"}', "unique.fields must be a list of at most 20 names, got 'to'"),
        ('{"fields":[""]}', "unique.fields must be a list of at most 20 names, got ['']"),
    ],
)
def test_a_policy_that_is_none_is_refused(text: str, sentence: str) -> None:
    """With the value found."""
    with pytest.raises(Refused) as refused:
        read_unique(text)
    assert str(refused.value).startswith(sentence)


def test_what_is_the_same_has_one_key() -> None:
    """Function, queue and arguments; how JSON is spaced or ordered does not matter."""
    same = key(args=b'{"to":"a","n":1}')
    assert same == key(args=b'{ "n": 1, "to": "a" }')
    others = [
        key(args=b'{"to":"b","n":1}'),
        key(args=b'{"to":"a","n":1}', queue="other"),
        key(args=b'{"to":"a","n":1}', function="g"),
        key(),
        key(args=b"\x00", content_type="application/octet-stream"),
        key(args=b"no json"),
    ]
    assert len({same, *others}) == len(others) + 1


def test_chosen_fields_alone_count() -> None:
    """Others may differ; one that is not there is refused, for it would be the same as none."""
    by_to = Unique(fields=("to",))
    assert key(by_to, args=b'{"to":"a","n":1}') == key(by_to, args=b'{"n":2,"to":"a"}')
    assert key(by_to, args=b'{"to":"a"}') != key(by_to, args=b'{"to":"b"}')
    for args, sentence in (
        (b"[1]", "unique.fields must be names of a JSON object of arguments, got '[1]'"),
        (b'{"n":1}', "unique.fields must be among the arguments ['n'], got 'to'"),
    ):
        with pytest.raises(Refused, match=r"unique\.fields must be") as refused:
            key(by_to, args=args)
        assert str(refused.value) == sentence


def admitted(record_key: bytes | None = None, **fields: Any) -> JobSpec | Rejection:
    """What becomes of a unique request."""
    request = JobRequest(**{"function": "f", "unique": "{}", "args": b"[1]", **fields})
    return admit(request, record_key, WHERE, 8, Config())


def test_equal_requests_without_a_key_meet_in_one_partition() -> None:
    """Their key is what they must not do twice; a key of their own is kept, whoever names it."""
    one, two = admitted(id="a"), admitted(id="b")
    assert isinstance(one, JobSpec)
    assert isinstance(two, JobSpec)
    assert one.key == one.unique == two.key
    assert one.partition == two.partition
    for found in (admitted(key="k"), admitted(b"k")):
        assert isinstance(found, JobSpec)
        assert (found.key, found.unique) == ("k", one.unique)


def test_a_window_is_noted_and_what_cannot_be_is_refused() -> None:
    """The row must be there as long as its window is open."""
    found = admitted(unique='{"window_ms":5000}')
    assert isinstance(found, JobSpec)
    assert found.unique_until_ms == T0 + 5_000
    refused = admitted(unique='{"fields":["x"]}')
    assert isinstance(refused, Rejection)
    assert refused.reason.startswith("unique.fields must be names of a JSON object")


def row(id: str, phase: Phase, at_ms: int = T0) -> JobRow:
    """A unique job in a phase."""
    life = Life()
    life.submit(unique="u", created_at_ms=at_ms)
    return replace(life.row, spec=replace(life.row.spec, id=id, key=NAME[0]), phase=phase)


def index(*rows: JobRow) -> Uniques:
    """These jobs."""
    made = Uniques()
    for each in rows:
        made.keep(None, each)
    return made


@pytest.mark.parametrize(
    ("phase", "ways"),
    [
        (Phase.SCHEDULED, {While.QUEUED, While.BOTH, While.WINDOW}),
        (Phase.READY, {While.QUEUED, While.BOTH, While.WINDOW}),
        (Phase.RETRYING, {While.QUEUED, While.BOTH, While.WINDOW}),
        (Phase.LEASED, {While.RUNNING, While.BOTH, While.WINDOW}),
        (Phase.SUCCEEDED, {While.WINDOW}),
        (Phase.DEAD, {While.WINDOW}),
    ],
)
def test_when_a_job_stands_in_the_way(phase: Phase, ways: set[While]) -> None:
    """While it is queued, while it runs, both, or for a window."""
    found = index(row("j", phase))
    policies = {each: Unique(each, 1_000 if each == While.WINDOW else None) for each in While}
    assert {each for each, policy in policies.items() if found.holder(NAME, policy, T0 + 999)} == ways
    assert found.holder(NAME, policies[While.WINDOW], T0 + 1_000) is None
    assert found.holder(("key-2", "u"), BOTH, T0) is None


def test_the_index_follows_the_rows() -> None:
    """The one that waits goes before the one that runs; what is forgotten stands in nobody's way."""
    runs, waits = row("runs", Phase.LEASED), row("waits", Phase.READY, T0 + 5)
    found = index(runs, waits)
    window = Unique(While.WINDOW, 1_000)
    assert [found.holder(NAME, policy, T0 + 5) for policy in (BOTH, window)] == ["waits", "waits"]
    found.keep(waits, None)
    assert [found.holder(NAME, policy, T0 + 5) for policy in (BOTH, window)] == ["runs", None]
    done = replace(runs, phase=Phase.SUCCEEDED)
    found.keep(runs, done)
    assert found.holder(NAME, BOTH, T0) is None
    assert found.holder(NAME, window, T0) == "runs"
    found.keep(None, row("later", Phase.SCHEDULED, T0 + 9))
    found.keep(done, None)
    assert found.holder(NAME, window, T0 + 9) == "later"
    found.keep(None, None)
    found.keep(row("later", Phase.SCHEDULED, T0 + 9), None)
    assert found.holder(NAME, BOTH, T0) is None


def test_what_who_asks_twice_is_told() -> None:
    """The fact is about the id that was asked for, and names the job that is the answer."""
    there = row("there", Phase.LEASED)
    told = duplicate_record(replace(there.spec, id="asked", parent="p"), there, T0 + 5)
    assert (told.fact, told.job, told.duplicate_of, told.phase) == (
        "deduplicated",
        "asked",
        "there",
        "leased",
    )
    assert (told.at_ms, told.parent, told.key) == (T0 + 5, "p", NAME[0])

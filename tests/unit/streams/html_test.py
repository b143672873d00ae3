"""The pages for people: everything from outside is escaped, and what is empty says so."""

from streams.web.html import as_page


def test_what_comes_from_outside_is_escaped() -> None:
    """No name, message or argument can become markup."""
    evil = "<script>alert(1)</script>"
    page = as_page(
        evil, {"id": evil, "args": {evil: [evil]}, "tags": [evil], "jobs": [{"id": evil, "phase": evil}]}
    )
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") >= 6


def test_a_list_is_one_table_without_empty_columns() -> None:
    """Many jobs are rows of one table, linked to their own pages; columns that are empty for all are left
    out.
    """
    jobs = [
        {"id": "a/b", "phase": "ready", "error_type": None},
        {"id": "c", "phase": "dead", "error_type": None},
    ]
    page = as_page("/jobstream/jobs", {"jobs": jobs, "next": None})
    assert '<a href="/jobstream/job/a%2Fb">a/b</a>' in page
    assert "error type" not in page
    assert page.count("<tr>") == 2 + 3


def test_a_refusal_is_a_sentence() -> None:
    """A page that has no answer shows the sentence, and the way to others."""
    page = as_page("/jobstream/job/x", {"error": "no job x is kept"})
    assert "<p>no job x is kept</p>" in page
    assert 'href="/jobstream/counts"' in page


def test_words_for_values() -> None:
    """Nothing, yes and no are words; a queue leads to its jobs."""
    page = as_page("/jobstream/job/x", {"minion": None, "slow": False, "ready": True, "queue": "mail"})
    assert '<span class="none">none</span>' in page
    assert "<td>no</td>" in page
    assert "<td>yes</td>" in page
    assert '<a href="/jobstream/jobs?queue=mail">mail</a>' in page

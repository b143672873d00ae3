"""Dead letters: which of them stand, and what asks for the same work again. Pure.

A letter is settled by another one with the same time of death that says what became of it, so that the topic
alone tells which still wait for somebody. Must never decide whether a job may run again: the service does.
"""

from collections.abc import Iterable

from schemas.codec import decode
from schemas.defaults import NAME_CHARS_MAX
from schemas.events import DeadLetter, JobRequest
from schemas.names import derived_id
from schemas.records import replace
from schemas.words import Settled


def standing(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """The last letter of each job that nobody has settled, the oldest first.

    Args:
        letters: Those of a job in the order in which they were written.
    """
    last: dict[tuple[str, str], DeadLetter] = {}
    over: set[tuple[str, str, int]] = set()
    for letter in letters:
        job = letter.job, letter.key
        if letter.settled is not None:
            over.add((*job, letter.at_ms))
        elif job not in last or last[job].at_ms <= letter.at_ms:
            last[job] = letter
            over.discard((*job, letter.at_ms))
    left = (letter for job, letter in last.items() if (*job, letter.at_ms) not in over)
    return sorted(left, key=lambda letter: (letter.at_ms, letter.job))


def settled(letter: DeadLetter, what: Settled, at_ms: int) -> DeadLetter:
    """The letter that settles one, without what only a redrive needs."""
    return replace(letter, settled=what, settled_at_ms=at_ms, args=None, errors="[]")


def request_again(letter: DeadLetter) -> JobRequest:
    """The request for the same work as a job of its own. Its id follows from the letter, so that a letter
    that is redriven twice asks for one job.
    """
    again = f"{letter.job}@redriven-{letter.at_ms}"
    if len(again) > NAME_CHARS_MAX:
        again = derived_id(letter.job, letter.partition, letter.at_ms, letter.at_ms)
    request: JobRequest = decode(letter.request.encode(), (JobRequest,))
    return replace(
        request,
        id=again,
        key=letter.key,
        args=letter.args,
        content_type=letter.content_type,
        parent=letter.job,
    )

"""Dead letters: reads the topic of the dead, and makes of a letter the request that asks for its work again.

It must never decide whether a job may run again: the service answers that.
"""

from jobstream.client import whole
from schemas.codec import Undecodable, decode
from schemas.defaults import NAME_CHARS_MAX
from schemas.events import DeadLetter, JobRequest
from schemas.names import derived_id
from schemas.records import replace


def read_letters(bootstrap: str, topic: str, partitions: int, since_ms: int) -> list[DeadLetter]:
    """The last letter of each job that was written since a time, the oldest first. Blocks.

    Raises:
        NotReachable: Kafka does not answer, or not in time.
        TopicsMissing: There is no such topic.
    """
    letters = [
        letter
        for message in whole.read(bootstrap, topic, partitions, since_ms)
        if (letter := _decoded(message.value())) is not None and letter.at_ms >= since_ms
    ]
    found = {(letter.job, letter.key): letter for letter in letters}
    return sorted(found.values(), key=lambda letter: letter.at_ms)


def _decoded(value: bytes | None) -> DeadLetter | None:
    try:
        letter: DeadLetter | None = None if value is None else decode(value, (DeadLetter,))
    except Undecodable:
        return None  # not one of ours; nothing can be run by it
    return letter


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

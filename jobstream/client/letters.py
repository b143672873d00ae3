"""Dead letters, as they stand in the topic of the dead. It must never change one."""

from jobstream.client import whole
from schemas.codec import Undecodable, decode
from schemas.events import DeadLetter
from schemas.letters import standing


def read_letters(bootstrap: str, topic: str, partitions: int, since_ms: int) -> list[DeadLetter]:
    """The last letter of each job that died since a time and that nobody has settled, the oldest first.
    Blocks.

    Raises:
        NotReachable: Kafka does not answer, or not in time.
        TopicsMissing: There is no such topic.
    """
    messages = whole.read(bootstrap, topic, range(partitions), since_ms)
    letters = (letter for message in messages if (letter := _decoded(message.value())) is not None)
    return [letter for letter in standing(letters) if letter.at_ms >= since_ms]


def _decoded(value: bytes | None) -> DeadLetter | None:
    try:
        letter: DeadLetter | None = None if value is None else decode(value, (DeadLetter,))
    except Undecodable:
        return None  # not one of ours; nothing can be run by it
    return letter

"""What becomes of a record in a dispatch topic that is no dispatch: it goes to the rejects, and its offset is
finished when it is there. Pure.
"""

from relay.core.record import Ending, Record
from relay.core.window import Window
from schemas.defaults import REJECT_VALUE_BYTES_MAX
from schemas.events import Reject
from schemas.undecodable import Undecodable

KEY_BYTES_MAX = 1_024
"""Of a record's key that is kept."""


def refused(
    window: Window,
    offset: int,
    record: tuple[bytes | None, bytes | None, int],
    bad: Undecodable,
    now_ms: int,
) -> Record | None:
    """The reject for a record (its key, value and time, epoch ms); None: it was finished before."""
    if not window.take(offset):
        return None
    key, value, at_ms = record
    event = Reject(
        topic=window.topic,
        partition=window.partition,
        offset=offset,
        record_at_ms=max(at_ms, 0),
        at_ms=now_ms,
        code=bad.code,
        reason=bad.sentence,
        id=bad.id,
        record_key=None if key is None else key[:KEY_BYTES_MAX],
        value=None if value is None else value[:REJECT_VALUE_BYTES_MAX],
        value_bytes=len(value or b""),
    )
    place = f"{window.topic}/{window.partition}/{offset}"
    ending = Ending(now_ms, 0, by_minion=False, places=[(window, offset)])
    return Record(event, place, ending=ending)

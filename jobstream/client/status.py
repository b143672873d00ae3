"""From what the status pages say of a job to the fact that would have told its end. Pure."""

import base64
import json
from typing import Any

from schemas.defaults import CONTENT_TYPE
from schemas.events import Fact
from schemas.words import PHASES_TERMINAL, FactKind, Phase

_KINDS = {
    Phase.SUCCEEDED: FactKind.SUCCEEDED,
    Phase.DEAD: FactKind.DIED,
    Phase.CANCELLED: FactKind.CANCELLED,
    Phase.EXPIRED: FactKind.EXPIRED,
}


def end_of(status: dict[str, Any]) -> Fact | None:
    """The end of the job as a fact; None if it has not ended."""
    phase = status["phase"]
    if phase not in PHASES_TERMINAL:
        return None
    result, result_type = _result(status)
    return Fact(
        fact=_KINDS[Phase(phase)],
        job=status["id"],
        key=status["key"],
        partition=status["partition"],
        at_ms=0,
        phase=phase,
        attempt=status["attempt"],
        error_type=status.get("error_type"),
        error_message=status.get("error_message"),
        reason=status.get("end_reason"),
        result=result,
        result_type=result_type,
    )


def _result(status: dict[str, Any]) -> tuple[bytes | None, str | None]:
    """The result's bytes, which a page shows as JSON where they are JSON and in base64 otherwise."""
    if "result_base64" in status:
        return base64.b64decode(status["result_base64"]), status["result_type"]
    if status.get("result") is None:
        return None, None
    return json.dumps(status["result"]).encode(), CONTENT_TYPE

"""The HTTP service serves the schemas too, under a path of their own."""

import json

from schemas.events import JobRequest
from schemas.registry import MEDIA, shipped
from schemas.wire import IDS
from tests.fakes.gateway import Gateway


async def test_it_is_a_registry_to_be_read() -> None:
    """A deserializer that is given `/registry` finds every schema; nothing can be changed."""
    gateway = Gateway(now_ms=0)
    number = IDS[JobRequest]
    answer = await gateway.http.get(f"/registry/schemas/ids/{number}?subject=")
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA)
    assert json.loads(answer.json()["schema"])["name"] == "JobRequest"
    body = json.dumps({"schema": json.dumps(shipped()[number])})
    found = await gateway.http.post(
        "/registry/subjects/t.requests-value", content=body, headers={"Content-Type": MEDIA}
    )
    assert found.json()["id"] == number
    assert (await gateway.ask("GET", "/registry/subjects/none/versions"))[0] == 404
    assert (await gateway.ask("DELETE", "/registry/subjects/t.requests-value"))[0] == 405

"""An agent whose failure is the end of the process.

Owns what happens when an agent raises. Stock Faust acknowledges what it was working on and starts it again
(hazard H5); here its memory would be ahead of the log. Must never swallow an exception.
"""

from typing import Any, NoReturn

import faust

from streams.transport.crash import Exit, die


class Agent(faust.Agent):
    """Takes the place of `faust.Agent` by the setting `Agent`; hook: `on_error`, which is official."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._on_error = _end


async def _end(agent: Any, error: BaseException) -> NoReturn:
    agent.log.error("%s raised", agent.label, exc_info=error)
    die(Exit.AGENT, f"{agent.label} raised", error)

"""The switchboard: what one caller makes of its end is no other one's business."""

from relay.core.call import Call, CallOutcome, Word
from relay.switchboard import Switchboard


class Caller:
    """Hears of its end, and may not stand it."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.ends: list[CallOutcome] = []

    def told(self, call: Call, word: Word) -> None:
        """Nothing follows."""

    def over(self, call: Call) -> None:
        """Notes the end, or raises."""
        if self.fails:
            raise ValueError("it is broken")
        assert call.end is not None
        self.ends.append(call.end.outcome)


async def test_a_fault_of_one_caller_is_told_and_the_others_hear_of_their_ends() -> None:
    """Whoever was told in the same turn."""
    board = Switchboard()
    faults: list[Exception] = []
    board.fault = faults.append
    callers = [Caller(), Caller(fails=True), Caller()]
    for caller in callers:
        board.ask(Call("f", tag=caller))
    board.calls.drain("the relay goes away", board.clock())
    board.pump()
    board.close()
    assert [caller.ends for caller in callers] == [["refused"], [], ["refused"]]
    assert [str(fault) for fault in faults] == ["it is broken"]

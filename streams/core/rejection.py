"""How the core says no: as a value. A rejection changes nothing, and is recorded with the record it
refuses.
"""

from dataclasses import dataclass

from schemas.words import RejectCode


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event or a request that is refused."""

    code: RejectCode
    """What is wrong, for machines."""
    reason: str
    """What is wrong, as a sentence with the values found, for people."""

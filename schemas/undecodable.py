"""The one error that bytes from outside can cause."""

from schemas.words import RejectCode


class Undecodable(Exception):
    """A value that is none of our records, or not the one that belongs here. It goes to the rejects as it is.

    `code` is for machines; `sentence` is for people and names the value found; `id` is the one it claims.
    """

    def __init__(self, code: RejectCode, sentence: str, id: str | None = None) -> None:
        super().__init__(code, sentence, id)
        self.code = code
        self.sentence = sentence
        self.id = id

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


def shown(found: object, chars_max: int = 80) -> str:
    """The value found, short enough for a sentence."""
    if isinstance(found, str | bytes) and len(found) > chars_max:
        return f"{found[:chars_max]!r}... ({len(found)} in all)"
    text = repr(found)
    return text if len(text) <= chars_max else f"{text[:chars_max]}... ({len(text)} characters)"

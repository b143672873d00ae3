"""What every record can do beside being a frozen dataclass: be made and be changed quickly.

A frozen dataclass sets each field by a call of its own: 4 us for a record of 27 fields, and as much again for
`dataclasses.replace`. Here both fill the new record's dict at once. Records stay what they look like to mypy,
`dataclasses.replace`, `fields` and readers.
"""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

Record = TypeVar("Record")


def quick(record: type[Record]) -> type[Record]:
    """Gives a frozen, keyword-only dataclass a constructor that does the same in less time."""
    every = fields(record)  # type: ignore[arg-type]
    defaults = {field.name: field.default for field in every if field.default is not MISSING}
    names = frozenset(field.name for field in every)
    size = len(names)
    # Once one instance was set field by field, dicts of instances share their keys: a third of the size.
    whole = object.__new__(record)
    for field in every:
        object.__setattr__(whole, field.name, None)
    blank = object.__new__(record)
    for name, default in defaults.items():
        object.__setattr__(blank, name, default)
    blanks = blank.__dict__

    def __init__(self: Record, /, **given: Any) -> None:  # noqa: N807 - it becomes the class's own
        content = self.__dict__
        content.update(blanks)
        content.update(given)
        if len(content) != size or not given.keys() <= names:
            missing, unknown = sorted(names - content.keys()), sorted(given.keys() - names)
            raise TypeError(
                f"{record.__name__} must be given its fields: {missing} missing, {unknown} unknown"
            )

    record.__init__ = __init__  # type: ignore[assignment,method-assign]
    return record


def replace(record: Record, /, **changes: Any) -> Record:
    """The record with these fields changed: `dataclasses.replace`, in a fifth of the time.

    A name that is no field is a TypeError. The values are not checked by mypy, as they are by the slower one.
    """
    changed = object.__new__(type(record))
    content = changed.__dict__
    content.update(record.__dict__)
    size = len(content)
    content.update(changes)
    if len(content) != size:
        raise TypeError(
            f"{type(record).__name__} has no field {sorted(content.keys() - record.__dict__.keys())}"
        )
    return changed

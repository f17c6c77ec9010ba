"""Whether parts that were read from JSON hold what their annotations say, all the way down.

A dataclass takes whatever it is handed; JSON from a stranger hands it texts for numbers. Here
each field is held against its annotation, in nested dataclasses, tuples and mappings too:

    float           a number, finite and below 1e100 in size
    int             a whole number below 2 ** 63, 0 or more: in a Report all of them are counts or
                    places
    tuple[int, int] so many of each; tuple[int, ...] any number of them
    int | str       one of them, a negative number too: a label is no count
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from tronie.errors import BadInput

_LARGEST = 1e100
_INT_LIMIT = 2**63


def expect_types(part: object, *, name: str) -> None:
    """See that every field of a dataclass is what its annotation says.

    Args:
        part: A dataclass.
        name: What to call it in an error.

    Raises:
        BadInput: a field is something else; the message names it, as in "report.values['a']".
    """
    hints = get_type_hints(type(part))
    for field in fields(part):  # type: ignore[arg-type]
        _expect(getattr(part, field.name), hints[field.name], f"{name}.{field.name}")


def _expect(value: Any, wanted: Any, name: str) -> None:
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted is Any:
        return
    if origin in (UnionType, Union):
        _expect_one_of(value, arguments, name)
    elif isinstance(wanted, type) and is_dataclass(wanted):
        _refuse(not isinstance(value, wanted), value, wanted, name)
        expect_types(value, name=name)
    elif origin is tuple:
        endless = arguments[-1] is Ellipsis
        fits = isinstance(value, tuple) and (endless or len(value) == len(arguments))
        _refuse(not fits, value, wanted, name)
        kinds = [arguments[0]] * len(value) if endless else arguments
        for n, (item, kind) in enumerate(zip(value, kinds, strict=True)):
            _expect(item, kind, f"{name}[{n}]")
    elif origin in (Mapping, dict):
        _refuse(not isinstance(value, Mapping), value, wanted, name)
        for key, item in value.items():
            _expect(item, arguments[1], f"{name}[{key!r}]")
    elif origin is Sequence:
        _refuse(isinstance(value, str) or not isinstance(value, Sequence), value, wanted, name)
        for n, item in enumerate(value):
            _expect(item, arguments[0], f"{name}[{n}]")
    else:
        whole = wanted is int and type(value) is int
        _refuse(not whole and not _is(value, wanted), value, wanted, name)
        _refuse(whole and value < 0, value, "0 or more", name)
        _refuse(whole and value >= _INT_LIMIT, value, "below 2 ** 63", name)


def _expect_one_of(value: Any, kinds: tuple[Any, ...], name: str) -> None:
    """A dataclass or None is looked into; plain kinds are told apart."""
    parts = [kind for kind in kinds if is_dataclass(kind)]
    if parts and value is not None:
        _expect(value, parts[0], name)
        return
    _refuse(
        not any(_is(value, kind) for kind in kinds), value, " or ".join(map(_word, kinds)), name
    )


def _is(value: Any, kind: Any) -> bool:
    if kind in (None, NoneType):
        return value is None
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        # Compared before anything else: a whole number may be too large for any float. Of NaN
        # and infinity it is not true either.
        return isinstance(value, int | float) and abs(value) < _LARGEST
    if kind is int:
        return isinstance(value, int) and abs(value) < _INT_LIMIT
    return isinstance(kind, type) and isinstance(value, kind)


def _refuse(wrong: bool, value: Any, wanted: Any, name: str) -> None:
    if wrong:
        found = repr(value)
        found = found if len(found) <= 60 else f"{found[:59]}…"
        raise BadInput(f"{name} must be {_word(wanted)}; got {found}")


def _word(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)

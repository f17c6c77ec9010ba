"""Frozen dataclasses as settings: overridden by name, held to their annotations, JSON both ways.

    override(recipe, ["schedule.peak_lr=0.2", "margin=cosface", "margin.margin=0.4"])

A dot goes into a nested dataclass. The value is read by the annotation of its field: numbers,
texts, true and false, one of the stated words, "none" where that is allowed, and for a tuple
its parts between commas. A field that names an entry of a catalogue takes its key, and a dot
after it an option of that entry, read by the annotation in the entry's own constructor. To name
another entry forgets the options of the one before: they were its own.

An unknown name is answered with the nearest. Nothing is written to; a changed copy is returned.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from tronie import catalog
from tronie.errors import BadFile, BadInput, TronieError

Option = str | int | float | bool | None
SettingsT = TypeVar("SettingsT")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a catalogue, by its key, and what its constructor is given."""

    name: str
    """The key, as `tronie list` prints it."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """Keyword arguments that are not left at the entry's own values."""


def entry_of(package: str, attribute: str, *, given: tuple[str, ...] = ()) -> dict[str, Any]:
    """Metadata of a field that holds an `Entry`.

    Args:
        package: The catalogue's folder, as a module.
        attribute: The class that an entry of it exports.
        given: Arguments of its constructor that a run gives and settings cannot.
    """
    return {"package": package, "attribute": attribute, "given": given}


def override(settings: SettingsT, changes: Iterable[str]) -> SettingsT:
    """A copy with changes, each `name=value`, read from left to right and made all at once.

    So settings that must fit each other may be changed one after the other.

    Raises:
        BadInput: a change has no `=`, a value is not what its field takes, or the whole cannot be.
        NotFound: there is no field, entry or option of a name.
    """
    record = to_dict(settings)
    for change in changes:
        name, mark, value = change.partition("=")
        if not mark or not name.strip():
            raise BadInput(f"a setting is changed by name=value; got {change!r}")
        _change(type(settings), record, name.strip().split("."), value.strip(), name.strip())
    return cast(SettingsT, _built(type(settings), record, ""))


def to_dict(settings: Any) -> dict[str, Any]:
    """A plain dictionary, ready for JSON, that `from_dict` reads back to an equal object."""
    return {f.name: _plain(getattr(settings, f.name)) for f in fields(settings)}


def from_dict(kind: type[SettingsT], record: Mapping[str, Any], *, where: str = "") -> SettingsT:
    """The inverse of `to_dict`, held to the annotations.

    Args:
        where: What to call the record in an error: the file it was read from.

    Raises:
        BadFile: a field is unknown, missing or of another type, or cannot have its value.
    """
    try:
        return cast(SettingsT, _built(kind, record, ""))
    except (TronieError, TypeError) as error:
        raise BadFile(f"{where or 'this record'} holds no {kind.__name__}: {error}") from error


def differences(old: Any, new: Any) -> list[str]:
    """Each field whose value differs, as "schedule.peak_lr: 0.1 is now 0.2"; no two alike."""
    before, after = _leaves(to_dict(old), ""), _leaves(to_dict(new), "")
    told = []
    for name in [*before, *(name for name in after if name not in before)]:
        was, now = before.get(name, _OWN), after.get(name, _OWN)
        if was != now:
            told.append(f"{name}: {_told(was)} is now {_told(now)}")
    return told


def check_entries(settings: Any) -> None:
    """See that each entry that is named exists and takes the options it is given.

    Raises:
        NotFound: it does not exist, or has no such option.
        BadInput: an option has a value of another type.
    """
    for f in fields(settings):
        value = getattr(settings, f.name)
        if isinstance(value, Entry):
            takes = _options_of(value.name, f.metadata)
            for option, given in value.options.items():
                if option not in takes:
                    raise catalog.not_found(option, takes, where=f"the options of {value.name}")
                _expect(given, takes[option], f"{f.name}.{option}")
        elif is_dataclass(value):
            check_entries(value)


_OWN = "its own value"


def _change(kind: Any, record: dict[str, Any], path: list[str], value: str, name: str) -> None:
    """Put a value into the record of a dataclass, in place."""
    known = {f.name: f for f in fields(kind)}
    head, rest = path[0], path[1:]
    if head not in known:
        raise catalog.not_found(head, known, where=kind.__name__)
    hint = get_type_hints(kind)[head]
    if hint is Entry:
        _change_entry(record[head], known[head].metadata, rest, value)
    elif is_dataclass(hint):
        if not rest:
            inner = ", ".join(f"{name}.{f.name}" for f in fields(hint))
            raise BadInput(f"{name} holds several settings; set one of {inner}")
        _change(hint, record[head], rest, value, name)
    elif rest:
        raise BadInput(f"{head} is one value and holds no {'.'.join(rest)}")
    else:
        record[head] = _read(value, hint, name)


def _change_entry(
    record: dict[str, Any], metadata: Mapping[str, Any], rest: list[str], value: str
) -> None:
    if not rest:
        _options_of(value, metadata)  # that there is such an entry
        record |= {"name": value.replace("_", "-"), "options": {}}
        return
    takes = _options_of(record["name"], metadata)
    option = ".".join(rest)
    if option not in takes:
        raise catalog.not_found(option, takes, where=f"the options of {record['name']}")
    read = _read(value, takes[option], f"{record['name']}.{option}")
    record["options"] = {**record["options"], option: read}


def _options_of(name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry's constructor takes by name, and how it is annotated."""
    kind = catalog.load(metadata["package"], name, metadata["attribute"])
    hints = get_type_hints(kind.__init__)
    taken = inspect.signature(kind.__init__).parameters
    return {
        key: hints.get(key, Any)
        for key, parameter in taken.items()
        if parameter.kind is parameter.KEYWORD_ONLY and key not in metadata["given"]
    }


def _read(text: str, hint: Any, name: str) -> Any:
    """A value of the annotated type, from its text."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        if NoneType in arguments and text.lower() == "none":
            return None
        kinds = [kind for kind in arguments if kind is not NoneType]
        return _read(text, kinds[0] if len(kinds) == 1 else Any, name)
    if origin is Literal:
        if text not in map(str, arguments):
            raise BadInput(f"{name} must be one of {', '.join(map(str, arguments))}; got {text!r}")
        return next(word for word in arguments if str(word) == text)
    if origin is tuple:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return tuple(_read(part, arguments[0], name) for part in parts)
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise BadInput(f"{name} must be true or false; got {text!r}")
        return text.lower() == "true"
    if hint in (int, float):
        return _number(text, hint, name)
    return text


def _number(text: str, kind: type[int] | type[float], name: str) -> int | float:
    try:
        number = kind(text)
        if math.isfinite(number):
            return number
    except ValueError:
        pass
    raise BadInput(f"{name} must be {_word(kind)}; got {text!r}")


def _built(kind: Any, record: Any, prefix: str) -> Any:
    if not isinstance(record, Mapping):
        raise BadInput(f"{prefix or 'it'} must be an object of settings; got {record!r}")
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    for name in record:
        if name not in known:
            raise catalog.not_found(name, known, where=kind.__name__)
    values = {}
    for name, value in record.items():
        hint = hints[name]
        if is_dataclass(hint):
            values[name] = _built(hint, value, f"{prefix}{name}.")
        elif get_origin(hint) is tuple and isinstance(value, list):
            values[name] = tuple(value)
            _expect(values[name], hint, f"{prefix}{name}")
        else:
            _expect(value, hint, f"{prefix}{name}")
            values[name] = value
    return kind(**values)


def _expect(value: Any, hint: Any, name: str) -> None:
    if not _fits(value, hint):
        raise BadInput(f"{name} must be {_word(hint)}; got {value!r}")


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (UnionType, Union):
        return any(_fits(value, kind) for kind in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(part, arguments[0]) for part in value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(_fits(v, arguments[1]) for v in value.values())
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(hint, type) and isinstance(value, hint)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return dict(value) if isinstance(value, Mapping) else value


def _leaves(record: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) or "nothing" if isinstance(value, list) else str(value)


def _word(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    if kind in words:
        return words[kind]
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)

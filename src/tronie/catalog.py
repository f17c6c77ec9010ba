"""A folder is a registry: list, load and suggest names without importing the rest.

A catalogue is a package that holds only entries: one Python file an entry, or one data file
an entry (`.toml`). The file's name is the key, with a hyphen for each underscore, so that
`lfw_type.py` answers to `lfw-type`; a key asked for may be written either way. Files whose
name begins with an underscore are no entries.

Nothing registers itself. To add an entry is to add a file, and to list a catalogue imports
none of its entries.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tronie.errors import NotFound


def entries(package: str) -> tuple[str, ...]:
    """Keys of the Python files in `package`, sorted, none of them imported.

    Raises:
        NotFound: there is no such package.

    Example:
        >>> "main" in entries("tronie.cli")
        True
    """
    return tuple(sorted(_files(package, ".py")))


def data_entries(package: str, suffix: str) -> tuple[str, ...]:
    """Keys of the data files in `package` that end in `suffix`, sorted.

    `suffix` includes its dot, as in ".toml". The package may be a folder without `__init__.py`.

    Raises:
        NotFound: there is no such package.
    """
    return tuple(sorted(_files(package, suffix)))


def load(package: str, key: str, attribute: str) -> Any:
    """What the entry `key` exports under the name `attribute`; imports that entry only.

    Raises:
        NotFound: no entry of that name; the message holds the nearest one and the list.

    Example:
        >>> load("tronie.cli", "main", "main").__name__
        'main'
    """
    file = _entry_file(package, key, ".py")
    return getattr(importlib.import_module(f"{package}.{file.stem}"), attribute)


def data_file(package: str, key: str, suffix: str) -> Path:
    """Path of the data file that is entry `key` of `package`.

    Raises:
        NotFound: no entry of that name; the message holds the nearest one and the list.
    """
    return _entry_file(package, key, suffix)


def docstring(package: str, key: str) -> str:
    """Docstring of the entry `key`, read from its source without importing it; "" if none.

    Raises:
        NotFound: no entry of that name; the message holds the nearest one and the list.
    """
    source = _entry_file(package, key, ".py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def variants(package: str, key: str, *, table: str = "VARIANTS") -> tuple[str, ...]:
    """Names that the entry `key` lists in its dictionary `table`, read without importing it.

    In the order of the source, where the dictionary is written out with strings as its keys;
    none where it has no such dictionary.

    Raises:
        NotFound: no entry of that name; the message holds the nearest one and the list.
    """
    source = _entry_file(package, key, ".py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        named = [t.id for t in targets if isinstance(t, ast.Name)]
        value = getattr(node, "value", None)
        if table in named and isinstance(value, ast.Dict):
            return tuple(str(ast.literal_eval(name)) for name in value.keys if name is not None)
    return ()


def variant_names(package: str) -> tuple[str, ...]:
    """Every variant of every entry of `package`, as in "iresnet-100", none of them imported.

    Entries in their order, and of each its variants in the order of its source.

    Raises:
        NotFound: there is no such package.
    """
    return tuple(
        f"{key}-{variant}" for key in entries(package) for variant in variants(package, key)
    )


def variant_parts(package: str, name: str, *, exact: bool = False) -> tuple[str, str]:
    """Entry and variant of a name that `variant_names` lists: "iresnet" and "100".

    Args:
        package: The catalogue.
        name: As in "iresnet-100".
        exact: Refuse a name with underscores for its hyphens, which is taken otherwise.

    Raises:
        NotFound: no variant of that name; the message holds the nearest one and the list.
    """
    asked = name if exact else _as_key(name)
    for key in entries(package):
        variant = asked.removeprefix(f"{key}-")
        if variant != asked and variant in variants(package, key):
            return key, variant
    raise not_found(name, variant_names(package), where=package)


def not_found(key: str, known: Iterable[str], *, where: str) -> NotFound:
    """The error for a name that is not there, to be raised by the caller.

    It names what was asked, where, the nearest name if one is near, and all there are.

    Example:
        >>> print(not_found("arkface", ["arcface"], where="tronie.lab.nn.margins"))
        no entry 'arkface' in tronie.lab.nn.margins. Did you mean 'arcface'? It holds: arcface.
    """
    names = sorted(known)
    near = difflib.get_close_matches(key.lower(), names, n=1)
    suggestion = f" Did you mean '{near[0]}'?" if near else ""
    holds = f"It holds: {', '.join(names)}." if names else "It holds nothing."
    return NotFound(f"no entry {key!r} in {where}.{suggestion} {holds}")


def _entry_file(package: str, key: str, suffix: str) -> Path:
    files = _files(package, suffix)
    file = files.get(_as_key(key))
    if file is None:
        raise not_found(key, files, where=package)
    return file


def _files(package: str, suffix: str) -> dict[str, Path]:
    return {
        _as_key(file.name.removesuffix(suffix)): file
        for folder in _folders(package)
        for file in sorted(folder.iterdir())
        if file.name.endswith(suffix) and not file.name.startswith("_") and file.is_file()
    }


def _folders(package: str) -> list[Path]:
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.submodule_search_locations is None:
        raise NotFound(f"no catalogue {package!r}: it must be a package of entries")
    return [Path(location) for location in spec.submodule_search_locations]


def _as_key(stem: str) -> str:
    return stem.replace("_", "-")

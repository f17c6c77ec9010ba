"""The catalogue of models: what each is, and what may be done with it.

An entry is a TOML file in `zoo_entries/`: licence, allowed use, source, SHA-256, contract and
measured accuracy. A card `NAME.calibration.json` beside it says what its scores mean.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from tronie.catalog import data_entries, data_file
from tronie.runtime import cache
from tronie.runtime.calibration import Calibration, read_calibration
from tronie.runtime.contract import Contract, contract_from_table

CATALOG = "tronie.runtime.zoo_entries"


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A file inside a pinned wheel of the public package index."""

    requirement: str
    sha256: tuple[str, ...]
    member: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One model of the catalogue: what it is, and what may be done with it."""

    name: str
    kind: str
    summary: str
    license: str
    allowed_use: str
    needs_acceptance: bool
    source: str
    sha256: str
    size_bytes: int
    contract: Contract
    prepare: tuple[str, ...] = ()
    """Steps of `preparation` before the file is kept."""
    wheel: Wheel | None = None
    """Where it is fetched from; None where only the user's own copy can be run."""
    accuracy: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `here` tells whether the cache holds it."""
        told = {k: v for k, v in vars(self).items() if k not in ("contract", "wheel")}
        told |= {"prepare": list(self.prepare), "accuracy": list(self.accuracy)}
        told["wheel"] = vars(self.wheel) if self.wheel else None
        return {**told, "contract": self.contract.to_dict(), "here": cache.is_here(self.name)}


def entry_names() -> tuple[str, ...]:
    """Names of the catalogue, sorted."""
    return data_entries(CATALOG, ".toml")


def catalog_entries() -> tuple[Entry, ...]:
    """Every entry of the catalogue, by name."""
    return tuple(entry(name) for name in entry_names())


def entry(name: str) -> Entry:
    """The catalogue's entry of that name.

    Raises:
        NotFound: there is none; the nearest is told.
    """
    file = data_file(CATALOG, name, ".toml")
    table = tomllib.loads(file.read_text("utf-8"))
    wheel = table.pop("wheel", None)
    return Entry(
        name=file.name.removesuffix(".toml"),
        contract=contract_from_table(table.pop("contract"), name=file.name),
        wheel=Wheel(**{**wheel, "sha256": tuple(wheel["sha256"])}) if wheel else None,
        prepare=tuple(table.pop("prepare", ())),
        accuracy=tuple(table.pop("accuracy", ())),
        **table,
    )


def entry_of_file(sha256: str) -> Entry | None:
    """The entry whose published file has that SHA-256, if there is one."""
    return next((known for known in catalog_entries() if known.sha256 == sha256), None)


def card_of_entry(name: str) -> Calibration | None:
    """The calibration card that ships with a catalogue entry; None where it has none."""
    if name not in data_entries(CATALOG, ".calibration.json"):
        return None
    return read_calibration(data_file(CATALOG, name, ".calibration.json"))

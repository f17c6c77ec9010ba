"""Rows of results, kept in a CSV file beside their benchmark with who made them; no benchmark."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tronie.provenance import provenance


def append_row(path: Path, told: dict[str, object]) -> None:
    """One row, with who made it."""
    made = provenance().to_dict()
    keys = ("date", "commit", "dirty", "cpu", "cores")
    libraries = " ".join(f"{name}={found}" for name, found in made["libraries"].items())
    append_rows(path, [{**{key: made[key] for key in keys}, **told, "libraries": libraries}])


def append_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows of the same columns, under a header where the file is new."""
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows(rows)

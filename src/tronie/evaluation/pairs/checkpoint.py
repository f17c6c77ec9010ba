"""The state of a pass in one file, so that a run that was killed goes on where it was.

Written whole beside its place, flushed to the disk, then renamed: a reader finds the old file
or the new one. The file names the run it belongs to; of another run it is refused.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.npy import read_npy
from tronie.errors import BadFile, BadInput
from tronie.evaluation.pairs.bracket import Bracket
from tronie.evaluation.pairs.exact_threshold import TopPairs
from tronie.evaluation.pairs.sweep import Pass

_FORMAT = 1
# What a damaged archive, header, JSON or shape raises. RuntimeError: an unknown compression, an
# encrypted part, JSON that is nested too deeply.
_FAULTS = (
    OSError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    EOFError,
    OverflowError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
)


def save_pass(path: Path, state: Pass, *, run: str, memo: dict[str, Any]) -> None:
    """Write `state` to `path`; `run` says whose it is, `memo` is JSON kept beside it.

    Raises:
        BadInput: the file cannot be written.
    """
    scores, codes = state.top.best()
    head = {
        "format": _FORMAT,
        "run": run,
        "memo": memo,
        "floor": state.floor,
        "panel_rows": state.panel_rows,
        "keep": state.top.keep,
        "top_floor": state.top.floor,
        "brackets": [[b.low, b.high, b.above, b.inside] for b in state.brackets],
    }
    arrays: dict[str, NDArray[Any]] = {
        "head": np.array(json.dumps(head)),
        "done": state.done,
        "scores": scores,
        "codes": codes,
    }
    for n, bracket in enumerate(state.brackets):
        arrays |= {
            f"rows_{n}": bracket.rows,
            f"scores_{n}": bracket.scores,
            f"codes_{n}": bracket.codes,
        }
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as fault:
        raise BadInput(f"the checkpoint {path} cannot be written: {fault.strerror}") from fault


def load_pass(path: Path, *, run: str) -> tuple[Pass, dict[str, Any]] | None:
    """The state and its memo, or None where there is no such file.

    Raises:
        BadInput: it belongs to another run.
        BadFile: it is damaged, or no checkpoint.
    """
    try:
        arrays = _arrays(path)
        head = json.loads(str(arrays["head"]))
        if head["format"] != _FORMAT or head["run"] != run:
            raise BadInput(
                f"the checkpoint {path} belongs to another run (other features, labels, pairs or "
                "FARs); delete it, or name another file"
            )
        return _state(head, arrays), head["memo"]
    except FileNotFoundError:
        return None
    except (BadFile, *_FAULTS) as fault:
        raise BadFile(
            f"the checkpoint {path} cannot be read ({type(fault).__name__}); "
            "delete it to start anew"
        ) from fault


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file as `save_pass` writes it: stored, and so not larger than it."""
    with zipfile.ZipFile(path) as file:
        members = file.infolist()
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise BadFile(f"{path} holds more than its own size")
        found = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            with file.open(member) as part:
                found[name] = read_npy(part, size=member.file_size, name=f"{path}:{name}")
        return found


def _state(head: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Pass:
    top = TopPairs(head["keep"], floor=head["top_floor"])
    top.add(arrays["scores"], arrays["codes"])
    brackets = [
        Bracket(
            low=low,
            high=high,
            above=above,
            inside=inside,
            rows=arrays[f"rows_{n}"],
            scores=arrays[f"scores_{n}"],
            codes=arrays[f"codes_{n}"],
        )
        for n, (low, high, above, inside) in enumerate(head["brackets"])
    ]
    return Pass(
        floor=head["floor"],
        panel_rows=head["panel_rows"],
        done=arrays["done"],
        top=top,
        brackets=brackets,
    )

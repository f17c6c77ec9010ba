"""One JSON object a line for each step that is told: log.jsonl in the folder of a run.

    {"step": 120, "epoch": 0.4, "loss": 11.93, "lr": 0.1, "grad_norm": 3.1,
     "images_per_s": 1830.2, "remaining_s": 5400.0, ...}
    {"step": 2000, "validation": {"lfw": 0.9912}}

Steps count from 1, as the steps that are done. A run that goes on from an earlier step first
forgets what it had told of later ones, so that the log reads as if nothing had happened. The same
numbers go to TensorBoard's files where that package is installed, they are asked for, and the name
of the folder is UTF-8.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tronie.errors import BadInput

LOG = "log.jsonl"


class RunLog:
    """The log of one run, appended to. Use as a context manager, or call `close`.

    Args:
        folder: Of the run.
        after_step: Lines of later steps are forgotten; 0 for a run that begins.
        tensorboard: Write TensorBoard's files too, where it can be imported.

    Raises:
        BadInput: the log cannot be opened or cut.
    """

    def __init__(
        self, folder: str | Path, *, after_step: int = 0, tensorboard: bool = True
    ) -> None:
        path = Path(folder) / LOG
        try:
            _cut(path, after_step)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"the log {path} cannot be written: {error.strerror}") from error
        self._board = _board(Path(folder), after_step) if tensorboard else None

    def write(self, line: Mapping[str, Any]) -> None:
        """Append one line; it holds "step". Numbers that are not finite become null.

        Raises:
            BadInput: it cannot be written.
        """
        try:
            self._file.write(json.dumps(_finite(line), allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise BadInput(f"the log {self._file.name} cannot be written: {error.strerror}") from (
                error
            )
        if self._board is not None:
            for name, number in _numbers(line, "").items():
                self._board.add_scalar(name, number, line["step"])

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """The lines of a run's log; none where there is no log. A line that was cut off is left out."""
    try:
        text = (Path(folder) / LOG).read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadInput(f"cannot read the log of {folder}: {error.strerror}") from error
    return [json.loads(line) for line in text.split(b"\n")[:-1] if line.strip()]


def _cut(path: Path, after_step: int) -> None:
    """Keep the lines up to a step. What a crash left half written is dropped."""
    kept = 0
    try:
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") or json.loads(line)["step"] > after_step:
                    break
                kept += len(line)
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is no log of a run: {error}; move it away, and the run goes on without it"
        ) from error
    os.truncate(path, kept)


def _board(folder: Path, after_step: int) -> Any:
    try:
        str(folder).encode()  # TensorBoard takes no name that is not text
    except UnicodeEncodeError:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    purge = after_step + 1 if after_step else None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=purge)


def _numbers(line: Mapping[str, Any], prefix: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in line.items():
        if isinstance(value, Mapping):
            found |= _numbers(value, f"{prefix}{name}/")
        elif name != "step" and isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix + name] = float(value)
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value

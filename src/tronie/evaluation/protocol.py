"""What a protocol is: where its rules come from, what it needs, and the sum it does.

An entry of `tronie.evaluation.protocols` is one file with one `PROTOCOL`. Its `score`
takes what was measured (embeddings, boxes, label maps) and returns a Report: it reads no
file and knows no engine, so that any model can be judged by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tronie.evaluation.report import Report


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The rules of one evaluation."""

    name: str
    """As the command line calls it."""
    version: str
    """Changes whenever the same measurements would give another number."""
    source: str
    """Who defined it, and where."""
    needs: tuple[str, ...]
    """Files that must lie in the data folder, one sentence each."""
    score: Callable[..., Report]
    """From measurements to a Report; the arguments are the protocol's own."""

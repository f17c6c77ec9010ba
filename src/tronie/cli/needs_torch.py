"""Verbs that need torch say so in a sentence where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tronie.errors import EngineUnavailable


@contextmanager
def torch_needed(what: str) -> Iterator[None]:
    """Around an import of the lab.

    Args:
        what: Who needs it, as the sentence begins: "tronie train".

    Raises:
        EngineUnavailable: torch is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as lacking:
        if (lacking.name or "").split(".")[0] != "torch":
            raise
        raise EngineUnavailable(
            f"{what} needs torch, which is not installed; pip install 'tronie[train]'"
        ) from None

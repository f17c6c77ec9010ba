"""A protocol is data: nothing in it can be changed after it was read."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from tronie.evaluation.protocol import Protocol
from tronie.evaluation.report import Report


def test_a_protocol_is_frozen():
    protocol = Protocol(
        name="x",
        version="1",
        source="nobody",
        needs=(),
        score=lambda: Report(name="x", version="1", values={}),
    )
    with pytest.raises(FrozenInstanceError, match="version"):
        protocol.version = "2"

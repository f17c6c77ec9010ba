"""NormFace: every cosine times the scale."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.normface import Margin  # noqa: E402

pytestmark = pytest.mark.lab


def test_every_column_is_multiplied_by_the_scale_the_own_one_too():
    logits = Margin(scale=32)(torch.tensor([[0.5, -1.0]]), torch.tensor([0]))
    assert logits.tolist() == [[16, -32]]


def test_the_scale_of_a_published_run_is_64():
    assert Margin()(torch.ones((1, 1)), torch.tensor([0])).item() == 64


def test_a_scale_of_0_is_refused():
    with pytest.raises(BadInput, match=r"^scale must be above 0 and finite; got 0$"):
        Margin(scale=0)

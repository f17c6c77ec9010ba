"""CosFace: the margin is taken from the own cosine."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.cosface import Margin  # noqa: E402
from tronie.lab.nn.margins.normface import Margin as NormFace  # noqa: E402

pytestmark = pytest.mark.lab


def test_the_own_cosine_loses_the_margin_and_the_others_nothing():
    cosine = torch.tensor([[0.5, 0.25], [0.5, 0.25]], dtype=torch.float64)
    logits = Margin(margin=0.4)(cosine, torch.tensor([0, -1]))
    np.testing.assert_allclose(logits.numpy(), [[6.4, 16], [32, 16]])


def test_without_a_margin_it_is_normface():
    cosine = torch.rand((5, 4), generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.arange(5) % 4
    assert torch.equal(Margin(margin=0)(cosine, labels), NormFace()(cosine, labels))


def test_a_margin_larger_than_the_range_of_a_cosine_is_refused():
    with pytest.raises(BadInput, match=r"^margin must lie in \[0, 2\]; got 2.5$"):
        Margin(margin=2.5)

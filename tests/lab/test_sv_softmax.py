"""SV-X-Softmax: which columns are support vectors, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.arcface import Margin as ArcFace  # noqa: E402
from tronie.lab.nn.margins.cosface import Margin as CosFace  # noqa: E402
from tronie.lab.nn.margins.sv_softmax import Margin  # noqa: E402

pytestmark = pytest.mark.lab

COSINE = torch.tensor([[0.5, 0.2, 0.1, 0.6]], dtype=torch.float64)
OWN = torch.zeros(1, dtype=torch.int64)


def test_columns_above_the_target_with_its_margin_are_made_harder():
    """The limit is 0.5 - 0.35 = 0.15: 0.2 and 0.6 are above it, 0.1 is not."""
    adaptive = Margin(scale=1)(COSINE, OWN)
    np.testing.assert_allclose(adaptive.numpy(), [[0.15, 0.44, 0.1, 0.92]])
    fixed = Margin(scale=1, emphasis="fixed")(COSINE, OWN)
    np.testing.assert_allclose(fixed.numpy(), [[0.15, 0.4, 0.1, 0.8]])


def test_a_column_just_at_the_limit_is_no_support_vector():
    cosine = torch.tensor([[0.5, 0.25]], dtype=torch.float64)
    assert Margin(scale=1, margin=0.25)(cosine, OWN).tolist() == [[0.25, 0.25]]


@pytest.mark.parametrize(("form", "paper"), [("cosface", CosFace), ("arcface", ArcFace)])
@pytest.mark.parametrize("emphasis", ["fixed", "adaptive"])
def test_without_hardness_it_is_the_margin_it_is_built_on(form, paper, emphasis):
    cosine = torch.rand((9, 6), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    labels = torch.arange(9) % 6
    ours = Margin(scale=32, margin=0.4, hardness=0, form=form, emphasis=emphasis)
    theirs = paper(scale=32, margin=0.4)
    assert torch.equal(ours(cosine, labels), theirs(cosine, labels))


def test_a_target_of_another_shard_decides_what_is_hard_here():
    nowhere = torch.tensor([-1])
    target = torch.tensor([0.9], dtype=torch.float64)  # the limit is 0.55
    logits = Margin(scale=1)(COSINE, nowhere, target=target)
    np.testing.assert_allclose(logits.numpy(), [[0.5, 0.2, 0.1, 0.92]])


def test_an_unknown_form_is_refused():
    with pytest.raises(BadInput, match=r"^form must be 'arcface' or 'cosface'; got 'arc'$"):
        Margin(form="arc")


def test_an_unknown_emphasis_is_refused():
    with pytest.raises(BadInput, match=r"^emphasis must be 'fixed' or 'adaptive'; got 'hard'$"):
        Margin(emphasis="hard")

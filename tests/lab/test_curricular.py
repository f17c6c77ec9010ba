"""CurricularFace: what is hard, how t moves, and that it moves alike on every rank."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.arcface import Margin as ArcFace  # noqa: E402
from tronie.lab.nn.margins.curricular import Margin  # noqa: E402

pytestmark = pytest.mark.lab

OWN = torch.zeros(1, dtype=torch.int64)


def test_hard_columns_are_bent_and_easy_ones_are_not():
    margin = Margin(scale=1).eval()
    margin.t.fill_(0.25)
    limit = math.cos(1.0 + 0.5)
    cosine = torch.tensor([[math.cos(1.0), limit + 0.1, limit - 0.1]], dtype=torch.float64)
    hard = (limit + 0.1) * (0.25 + limit + 0.1)
    np.testing.assert_allclose(margin(cosine, OWN).numpy(), [[limit, hard, limit - 0.1]])


def test_t_is_a_running_mean_of_own_cosines_moved_before_it_is_used():
    margin = Margin(scale=1, momentum=0.9)
    cosine = torch.tensor([[0.5, 0.8], [0.2, 0.7]], dtype=torch.float64)
    labels = torch.tensor([0, 1])  # own cosines 0.5 and 0.7
    logits = margin(cosine, labels)
    assert float(margin.t) == pytest.approx(0.1 * 0.6)
    assert float(logits[0, 1]) == pytest.approx(0.8 * (0.06 + 0.8))
    margin(cosine, labels)
    assert float(margin.t) == pytest.approx(0.9 * 0.06 + 0.1 * 0.6)


def test_t_moves_by_the_target_of_all_ranks_wherever_the_rows_belong():
    ranks = [Margin(), Margin()]
    target = torch.tensor([0.1, 0.5])
    for margin, labels in zip(ranks, ([0, -1], [-1, 0]), strict=True):
        margin(torch.zeros((2, 3)), torch.tensor(labels), target=target)
    assert float(ranks[0].t) == float(ranks[1].t) == pytest.approx(0.01 * 0.3)


def test_rows_whose_target_nobody_knows_do_not_move_t():
    margin = Margin()
    margin(torch.ones((2, 3)), torch.tensor([-1, -1]))
    assert float(margin.t) == 0
    margin(torch.tensor([[1.0], [0.5]]), torch.tensor([-1, 0]))
    assert float(margin.t) == pytest.approx(0.005)


def test_evaluation_does_not_move_t_and_a_checkpoint_keeps_it():
    margin = Margin()
    margin(torch.ones((1, 2)), OWN)
    margin.eval()(torch.ones((1, 2)), OWN)
    resumed = Margin()
    resumed.load_state_dict(margin.state_dict())
    assert float(resumed.t) == pytest.approx(0.01)


def test_where_nothing_is_hard_it_is_arcface():
    cosine = torch.tensor([[0.99, -0.5, -0.9]], dtype=torch.float64)
    assert torch.equal(Margin()(cosine, OWN), ArcFace()(cosine, OWN))


def test_two_forwards_before_a_backward_do_not_spoil_the_first():
    margin = Margin(scale=1)
    cosine = torch.tensor([[0.1, 0.9]], dtype=torch.float64, requires_grad=True)
    first = margin(cosine, OWN)
    t = float(margin.t)
    margin(cosine.detach(), OWN)
    first[0, 1].backward()
    assert float(cosine.grad[0, 1]) == pytest.approx(t + 2 * 0.9)


def test_a_momentum_above_1_is_refused():
    with pytest.raises(BadInput, match=r"^momentum must lie in \[0, 1\]; got 99$"):
        Margin(momentum=99)

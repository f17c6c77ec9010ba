"""AdaCos: the scale by its definition, in one process and from shards."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn.margins.adacos import Margin  # noqa: E402

pytestmark = pytest.mark.lab


def batch(rows=7, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    cosine = torch.tensor(rng.uniform(-0.4, 0.9, (rows, classes)))
    return cosine, torch.tensor(rng.integers(0, classes, rows))


def next_scale(scale, cosine, labels):
    """The definition, with loops."""
    rows = list(zip(cosine.tolist(), labels.tolist(), strict=True))
    sums = [sum(math.exp(scale * c) for j, c in enumerate(row) if j != y) for row, y in rows]
    median = statistics.median(math.acos(row[y]) for row, y in rows)
    return math.log(statistics.fmean(sums)) / math.cos(min(math.pi / 4, median))


@pytest.mark.parametrize(
    ("classes", "scale"), [(10_575, 13.10), (85_742, 16.06), (93_431, 16.19), (360_232, 18.09)]
)
def test_the_first_scale_of_the_usual_training_sets(classes, scale):
    assert float(Margin(classes=classes).scale) == pytest.approx(scale, abs=5e-3)


def test_at_right_angles_to_all_centres_the_scale_stays_what_it_was():
    margin = Margin(classes=100)
    margin(torch.zeros((8, 100), dtype=torch.float64), torch.arange(8))
    assert float(margin.scale) == pytest.approx(math.sqrt(2) * math.log(99), rel=1e-12)


@pytest.mark.parametrize("rows", [6, 7])
def test_the_scale_follows_its_definition_step_by_step(rows):
    margin, scale = Margin(classes=5), math.sqrt(2) * math.log(4)
    for seed in range(3):
        cosine, labels = batch(rows, seed=seed)
        logits = margin(cosine, labels)
        scale = next_scale(scale, cosine, labels)
        assert float(margin.scale) == pytest.approx(scale)
        np.testing.assert_allclose(logits.numpy(), scale * cosine.numpy())


def test_sums_of_shards_and_one_update_are_the_scale_of_the_whole():
    whole, sharded = Margin(classes=5), Margin(classes=5)
    cosine, labels = batch()
    target = cosine.gather(1, labels[:, None])[:, 0]
    sums = torch.zeros(len(labels), dtype=torch.float64)
    for first, last in ((0, 2), (2, 2), (2, 5)):  # the one in the middle has no columns
        columns = torch.where((labels >= first) & (labels < last), labels - first, -1)
        sums += sharded.others(cosine[:, first:last], columns)
    sharded.update(target, sums)
    whole(cosine, labels)
    assert float(sharded.scale) == pytest.approx(float(whole.scale), rel=1e-12)
    before = float(sharded.scale)
    sharded(cosine[:, :2], torch.where(labels < 2, labels, -1), target=target)
    assert float(sharded.scale) == before  # a part of the classes moves nothing


def test_the_fixed_rule_never_moves():
    margin = Margin(classes=5, rule="fixed")
    assert not margin.needs_others
    margin(*batch())
    assert float(margin.scale) == pytest.approx(math.sqrt(2) * math.log(4))


def test_two_forwards_before_a_backward_do_not_spoil_the_first():
    margin = Margin(classes=5)
    cosine, labels = batch()
    cosine.requires_grad_()
    first = margin(cosine, labels)
    scale = float(margin.scale)
    margin(cosine.detach() * 0.5, labels)
    first.sum().backward()
    np.testing.assert_allclose(cosine.grad.numpy(), scale)


def test_a_scale_that_is_no_use_is_not_taken():
    margin = Margin(classes=3)
    margin.update(torch.ones(2), torch.zeros(2))  # ln 0
    assert float(margin.scale) == pytest.approx(math.sqrt(2) * math.log(2))


def test_two_classes_are_too_few():
    with pytest.raises(BadInput, match=r"^the scale of AdaCos is .*; C = 2 is too few$"):
        Margin(classes=2)

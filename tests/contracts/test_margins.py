"""Every margin: its formula, number by number in plain Python, over all angles and both ways.

An entry of the catalogue gets a case here: its options, and `logits`, which computes one row
from angles with the formula of the paper. `own` is the angle to the row's own class, None where
nobody knows it; `y` is its column, -1 where another shard holds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import cos, exp, log, pi, sin, sqrt
from typing import Any

import numpy as np
import pytest

from tronie.catalog import docstring, entries, load
from tronie.errors import BadArray

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.lab

MARGINS = "tronie.lab.nn.margins"
COLUMNS = 4
OWN = np.concatenate([[0.0, 1e-4], np.linspace(0.01, 3.13, 157), [pi - 1e-4, pi]])

Row = Callable[[list[float], float | None, int, float], list[float]]
"""Angles of the columns, angle to the own class, its column, length of the embedding."""


@dataclass(frozen=True)
class Case:
    """One entry with its options, and the formula for them."""

    entry: str
    logits: Row
    options: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, float] = field(default_factory=dict)
    slope_is_one: bool = False
    """The derivative of the own column by its cosine is the scale, not that of the formula."""

    def margin(self):
        made = load(MARGINS, self.entry, "Margin")(**self.options).eval()
        for name, value in self.state.items():
            getattr(made, name).fill_(value)
        return made


def each(scale: float, own_value: Callable[[float, float], float], other=cos) -> Row:
    """Rows whose columns do not depend on each other."""

    def row(theta: list[float], own: float | None, y: int, length: float) -> list[float]:
        return [
            scale * (own_value(angle, length) if j == y else other(angle))
            for j, angle in enumerate(theta)
        ]

    return row


def arc(theta: float, m: float) -> float:
    return cos(theta + m) if theta < pi - m else cos(theta) - m * sin(m)


def falling(phase: float) -> float:
    """cos(phase), turned over and lowered in each period so that it goes on falling."""
    k = math.floor(phase / pi)
    return (-1) ** k * cos(phase) - 2 * k


def paper_sphereface(theta: list[float], own: float | None, y: int, length: float) -> list[float]:
    lam = max(5, 1000 * (1 + 0.12 * 40) ** -1)
    target = lambda angle: (falling(4 * angle) + lam * cos(angle)) / (1 + lam)  # noqa: E731
    return each(length, lambda angle, _: target(angle))(theta, own, y, length)


def adj_arcface(theta: list[float], own: float | None, y: int, length: float) -> list[float]:
    if own is None:
        return [64 * cos(angle) for angle in theta]
    a = arc(own, 0.5)
    weights = [1.2 * exp(-((cos(angle) - a) ** 2) / 2) for angle in theta]
    return [
        64 * (a if j == y else t * cos(angle) + t - 1)
        for j, (angle, t) in enumerate(zip(theta, weights, strict=True))
    ]


def support_vectors(psi: Callable[[float], float], harder: Callable[[float], float]) -> Row:
    def row(theta: list[float], own: float | None, y: int, length: float) -> list[float]:
        def other(angle: float) -> float:
            hard = own is not None and cos(angle) > psi(own)
            return harder(cos(angle)) if hard else cos(angle)

        return [32 * (psi(angle) if j == y else other(angle)) for j, angle in enumerate(theta)]

    return row


def curricular(theta: list[float], own: float | None, y: int, length: float) -> list[float]:
    def other(angle: float) -> float:
        hard = own is not None and cos(angle) > arc(own, 0.5)
        return cos(angle) * (0.3 + cos(angle)) if hard else cos(angle)

    return [64 * (arc(angle, 0.5) if j == y else other(angle)) for j, angle in enumerate(theta)]


def magface(theta: float, length: float) -> float:
    a = min(max(length, 10), 110)
    return arc(theta, 0.45 + 0.35 / 100 * (a - 10))


def adaface(theta: float, length: float) -> float:
    z = min(max(0.333 * (min(length, 100) - 25) / (8 + 1e-3), -1), 1)
    return cos(min(max(theta - 0.4 * z, 0), pi)) - 0.4 - 0.4 * z


THROUGH = {"gradient": "straight_through"}
CASES = {
    "normface": Case("normface", each(64, lambda t, _: cos(t))),
    "arcface": Case("arcface", each(64, lambda t, _: arc(t, 0.5))),
    "arcface, through": Case("arcface", each(64, lambda t, _: arc(t, 0.5)), THROUGH, {}, True),
    "arcface, 1.5": Case(
        "arcface", each(32, lambda t, _: arc(t, 1.5)), {"margin": 1.5, "scale": 32}
    ),
    "cosface": Case("cosface", each(64, lambda t, _: cos(t) - 0.35)),
    "combined": Case("combined", each(64, lambda t, _: falling(t + 0.3) - 0.2)),
    "combined, all": Case(
        "combined",
        each(64, lambda t, _: falling(1.7 * t + 0.4) - 0.15),
        {"m1": 1.7, "m2": 0.4, "m3": 0.15},
    ),
    "combined, through": Case(
        "combined", each(64, lambda t, _: falling(t + 0.3) - 0.2), THROUGH, {}, True
    ),
    "sphereface": Case("sphereface", each(30, lambda t, _: falling(1.7 * t))),
    "sphereface, through": Case(
        "sphereface", each(30, lambda t, _: falling(1.7 * t)), THROUGH, {}, True
    ),
    "sphereface, as published": Case(
        "sphereface",
        paper_sphereface,
        {"scale": None, "margin": 4, "lambda_start": 1000, "lambda_least": 5},
        {"steps": 40},
    ),
    "li-arcface": Case(
        "li-arcface",
        each(64, lambda t, _: (pi - 2 * (t + 0.45)) / pi, lambda t: (pi - 2 * t) / pi),
    ),
    "adj-arcface": Case("adj-arcface", adj_arcface),
    "adj-arcface, through": Case("adj-arcface", adj_arcface, THROUGH),
    "sv-softmax": Case(
        "sv-softmax", support_vectors(lambda t: cos(t) - 0.35, lambda c: 1.2 * c + 0.2)
    ),
    "sv-softmax, fixed": Case(
        "sv-softmax",
        support_vectors(lambda t: cos(t) - 0.35, lambda c: c + 0.3),
        {"emphasis": "fixed", "hardness": 0.3},
    ),
    "sv-softmax, arcface": Case(
        "sv-softmax",
        support_vectors(lambda t: arc(t, 0.5), lambda c: 1.2 * c + 0.2),
        {"form": "arcface", "margin": 0.5},
    ),
    "adacos": Case("adacos", each(sqrt(2) * log(99), lambda t, _: cos(t)), {"classes": 100}),
    "adacos, fixed": Case(
        "adacos",
        each(sqrt(2) * log(9), lambda t, _: cos(t)),
        {"classes": 10, "rule": "fixed"},
    ),
    "p2sgrad": Case("p2sgrad", each(1, lambda t, _: cos(t) - 1)),
    "curricular": Case("curricular", curricular, {}, {"t": 0.3}),
    "magface": Case("magface", each(64, magface)),
    "adaface": Case("adaface", each(64, adaface), {}, {"mean": 25, "deviation": 8}),
}
EXACT = [name for name, case in CASES.items() if case.options.get("gradient") is None]


def batch(*, dtype=torch.float64, seed=0):
    """Angles (N, C) with own ones over all of [0, pi], labels, lengths."""
    rng = np.random.default_rng(seed)
    theta = rng.uniform(0, pi, (len(OWN), COLUMNS))
    labels = rng.integers(0, COLUMNS, len(OWN))
    theta[np.arange(len(OWN)), labels] = OWN
    lengths = rng.uniform(1, 130, len(OWN))
    cosine = torch.tensor(np.cos(theta), dtype=dtype)
    return theta, cosine, torch.tensor(labels), torch.tensor(lengths, dtype=dtype)


def expected(case, theta, own, columns, lengths):
    rows = zip(theta.tolist(), own, columns, lengths.tolist(), strict=True)
    return np.array([case.logits(*row) for row in rows])


def test_every_entry_has_a_case_and_no_case_is_of_another():
    assert {case.entry for case in CASES.values()} == set(entries(MARGINS))


@pytest.mark.parametrize("entry", entries(MARGINS))
def test_an_entry_states_its_formula_its_paper_and_where_it_differs(entry):
    told = docstring(MARGINS, entry)
    for part in ("cos(theta", "radians", "Source: ", "arXiv:", "Differs from the paper:"):
        assert part in told


@pytest.mark.parametrize("name", CASES)
def test_logits_follow_the_formula_over_all_angles(name):
    theta, cosine, labels, lengths = batch()
    logits = CASES[name].margin()(cosine, labels, norms=lengths)
    oracle = expected(CASES[name], theta, OWN.tolist(), labels.tolist(), lengths)
    np.testing.assert_allclose(logits.numpy(), oracle, atol=2e-6)  # cos(1e-4) has lost its bits
    inner = np.abs(OWN - pi / 2) < pi / 2 - 0.005
    np.testing.assert_allclose(logits.numpy()[inner], oracle[inner], atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_the_formula_holds_in_float32_to_its_rounding(name):
    theta, cosine, labels, lengths = batch(dtype=torch.float32)
    logits = CASES[name].margin()(cosine, labels, norms=lengths)
    assert logits.dtype == torch.float32
    oracle = expected(CASES[name], theta, OWN.tolist(), labels.tolist(), lengths)
    np.testing.assert_allclose(logits.numpy(), oracle, atol=64 * 8e-4)  # sqrt(eps) in an angle
    inner = np.abs(OWN - pi / 2) < pi / 2 - 0.05
    np.testing.assert_allclose(logits.numpy()[inner], oracle[inner], atol=64 * 2e-5)


@pytest.mark.parametrize("name", CASES)
def test_rows_of_another_shard_follow_the_formula_of_the_others(name):
    """Without a target too: nothing is then compared with it."""
    theta, cosine, labels, lengths = batch()
    nowhere = torch.full_like(labels, -1)
    margin = CASES[name].margin()
    for target, own in [(torch.tensor(np.cos(OWN)), OWN.tolist()), (None, [None] * len(OWN))]:
        logits = margin(cosine, nowhere, target=target, norms=lengths)
        oracle = expected(CASES[name], theta, own, nowhere.tolist(), lengths)
        np.testing.assert_allclose(logits.numpy(), oracle, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_shards_of_the_columns_together_are_the_whole(name, cut):
    _, cosine, labels, lengths = batch(seed=1)
    target = cosine.gather(1, labels[:, None])[:, 0]
    margin = CASES[name].margin()
    parts = []
    for first, last in ((0, cut), (cut, COLUMNS)):
        here = (labels >= first) & (labels < last)
        columns = torch.where(here, labels - first, -1)
        parts.append(margin(cosine[:, first:last], columns, target=target, norms=lengths))
    whole = margin(cosine, labels, norms=lengths)
    # Wide registers and their rest may round an arctangent differently.
    np.testing.assert_allclose(torch.cat(parts, dim=1).numpy(), whole.numpy(), atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_what_is_handed_in_is_not_written_to(name):
    _, cosine, labels, lengths = batch()
    before = [t.clone() for t in (cosine, labels, lengths)]
    margin = CASES[name].margin().train()
    logits = margin(cosine, labels, norms=lengths)
    logits += 1
    for now, then in zip((cosine, labels, lengths), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize("name", EXACT)
def test_the_gradient_is_that_of_finite_differences(name):
    """The target is handed in: rules that compare with it hold it constant."""
    rng = np.random.default_rng(2)
    theta = torch.tensor(rng.uniform(0.05, pi - 0.05, (24, COLUMNS)))
    cosine = torch.cos(theta).requires_grad_()
    labels = torch.tensor(rng.integers(-1, COLUMNS, 24))
    target = torch.tensor(np.cos(rng.uniform(0.05, pi - 0.05, 24)))
    lengths = torch.tensor(rng.uniform(15, 90, 24))
    margin = CASES[name].margin()
    assert torch.autograd.gradcheck(
        lambda c: margin(c, labels, target=target, norms=lengths), cosine, eps=1e-7, atol=1e-4
    )


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.slope_is_one])
def test_straight_through_has_the_values_of_the_formula_and_the_slope_of_the_cosine(name):
    _, cosine, labels, lengths = batch()
    cosine.requires_grad_()
    margin = CASES[name].margin()
    margin(cosine, labels, norms=lengths).sum().backward()
    np.testing.assert_allclose(cosine.grad.numpy(), margin.scale)


@pytest.mark.parametrize("name", CASES)
def test_the_target_never_rises_with_its_angle(name):
    theta = torch.linspace(0, pi, 4001, dtype=torch.float64)
    cosine = torch.stack([torch.cos(theta), torch.full_like(theta, 0.1)], dim=1)
    labels = torch.zeros(len(theta), dtype=torch.int64)
    for length in (1.0, 25.0, 60.0, 200.0):
        lengths = torch.full_like(theta, length)
        logits = CASES[name].margin()(cosine, labels, norms=lengths)[:, 0]
        assert float(logits.diff().max()) <= 1e-9


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_an_embedding_on_its_centre_or_opposite_has_finite_numbers(name, direction):
    """In float32, where the cosine may also be rounded past 1."""
    generator = torch.Generator().manual_seed(0)
    centers = torch.nn.functional.normalize(torch.randn(6, 512, generator=generator), dim=1)
    embeddings = (direction * 7 * centers).requires_grad_()
    cosine = torch.nn.functional.normalize(embeddings, dim=1) @ centers.T
    margin = CASES[name].margin().train()
    for past in (0.0, 1e-7, 2e-7):
        own = direction * (1 + past) * torch.eye(6)
        c = cosine + torch.where(own != 0, own - cosine, 0).detach()
        logits = margin(c, torch.arange(6), norms=embeddings.norm(dim=1))
        assert torch.isfinite(logits).all()
        loss = torch.nn.functional.cross_entropy(logits, torch.arange(6))
        (gradient,) = torch.autograd.grad(loss, embeddings, retain_graph=True)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cosines_of_sixteen_bits_are_computed_in_float32(name, dtype):
    _, cosine, labels, lengths = batch(dtype=torch.float32)
    short = cosine.to(dtype)
    margin = CASES[name].margin()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = margin(short, labels, norms=lengths)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, margin(short.float(), labels, norms=lengths))


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if not c.margin().needs_norms])
def test_the_gradient_of_an_embedding_is_at_right_angles_to_it(name):
    rng = np.random.default_rng(3)
    x = torch.tensor(rng.standard_normal((9, 16)), requires_grad=True)
    w = torch.tensor(rng.standard_normal((COLUMNS, 16)), requires_grad=True)
    cosine = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(w).T
    labels = torch.tensor(rng.integers(0, COLUMNS, 9))
    torch.nn.functional.cross_entropy(CASES[name].margin()(cosine, labels), labels).backward()
    for leaf in (x, w):
        assert float(leaf.grad.norm()) > 1e-3
        np.testing.assert_allclose((leaf.grad * leaf).sum(dim=1).detach().numpy(), 0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_in_evaluation_nothing_is_kept_from_the_batch(name):
    _, cosine, labels, lengths = batch()
    margin = CASES[name].margin()
    before = {key: value.clone() for key, value in margin.state_dict().items()}
    margin(cosine, labels, norms=lengths)
    assert all(torch.equal(value, before[key]) for key, value in margin.state_dict().items())


@pytest.mark.parametrize("name", CASES)
def test_a_penalty_is_a_scalar_that_is_not_negative(name):
    penalty = CASES[name].margin().penalty(torch.tensor([5.0, 20.0, 300.0]))
    assert penalty.shape == ()
    assert float(penalty) >= 0
    assert (float(penalty) > 0) == (CASES[name].entry == "magface")


@pytest.mark.parametrize("entry", entries(MARGINS))
def test_labels_of_another_type_are_refused(entry):
    case = next(case for case in CASES.values() if case.entry == entry)
    expected_text = r"^labels must have shape \(2,\) and type int64, .* of torch.int32$"
    with pytest.raises(BadArray, match=expected_text):
        case.margin()(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int32), norms=torch.ones(2))

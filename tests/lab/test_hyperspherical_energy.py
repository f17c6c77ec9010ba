"""Hyperspherical energy: loops over all pairs, and the arrangements that are known to be best."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadArray, BadInput, NotEnoughData  # noqa: E402 - only where torch is
from tronie.lab.nn.losses.hyperspherical_energy import hyperspherical_energy  # noqa: E402

pytestmark = pytest.mark.lab

F = {0: lambda rho: -math.log(rho), 1: lambda rho: 1 / rho, 2: lambda rho: 1 / rho**2}


def by_loops(centers, power, distance, space, rows=None):
    unit = centers / np.linalg.norm(centers, axis=1, keepdims=True)
    charges = np.concatenate([unit, -unit]) if space == "half" else unit
    terms = []
    for i in range(len(unit)) if rows is None else rows:
        for j in range(len(charges)):
            if i == j:
                continue
            chord = float(np.linalg.norm(unit[i] - charges[j]))
            rho = chord if distance == "euclidean" else 2 * math.asin(min(1, chord / 2))
            terms.append(F[power](rho))
    return float(np.mean(terms))


@pytest.mark.parametrize("power", [0, 1, 2])
@pytest.mark.parametrize("distance", ["euclidean", "angular"])
@pytest.mark.parametrize("space", ["full", "half"])
@pytest.mark.parametrize("rows", [None, [0, 3, 4]])
def test_the_energy_is_the_mean_over_pairs(power, distance, space, rows):
    centers = np.random.default_rng(0).standard_normal((7, 5))
    energy = hyperspherical_energy(
        torch.tensor(centers),
        power=power,
        distance=distance,
        space=space,
        rows=None if rows is None else torch.tensor(rows),
    )
    assert float(energy) == pytest.approx(by_loops(centers, power, distance, space, rows))


def simplex(n):
    """n points with cosine -1 / (n - 1) to each other."""
    return torch.eye(n, dtype=torch.float64) - 1 / n


@pytest.mark.parametrize("power", [0, 1, 2])
def test_no_arrangement_of_one_more_than_dimensions_is_below_the_simplex(power):
    best = float(hyperspherical_energy(simplex(5), power=power))
    rho = math.sqrt(2 + 2 / 4)
    assert best == pytest.approx(F[power](rho))
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        moved = simplex(5) + 0.1 * torch.randn((5, 5), generator=generator)
        # Only within the plane that holds the simplex: with a dimension more there is more room.
        moved = moved - moved.mean(dim=1, keepdim=True)
        assert float(hyperspherical_energy(moved, power=power)) > best


@pytest.mark.parametrize(
    ("distance", "power"),
    [("euclidean", 0), ("euclidean", 1), ("euclidean", 2), ("angular", 1), ("angular", 2)],
)
def test_descent_from_random_centres_ends_at_the_simplex(power, distance):
    generator = torch.Generator().manual_seed(1)
    centers = torch.randn((4, 3), generator=generator, dtype=torch.float64).requires_grad_()
    for _ in range(300):
        energy = hyperspherical_energy(centers, power=power, distance=distance)
        (gradient,) = torch.autograd.grad(energy, centers)
        centers = torch.nn.functional.normalize(centers.detach() - gradient).requires_grad_()
    cosine = (centers @ centers.T).detach().numpy()
    np.testing.assert_allclose(cosine, np.full((4, 4), -1 / 3) + np.eye(4) * 4 / 3, atol=1e-3)


def test_by_the_logarithm_of_the_angle_a_cross_lies_below_the_simplex():
    cross = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])
    energy = float(hyperspherical_energy(cross, power=0, distance="angular"))
    assert energy == pytest.approx(-(4 * math.log(math.pi / 2) + 2 * math.log(math.pi)) / 6)
    assert energy < float(hyperspherical_energy(simplex(4), power=0, distance="angular"))


def test_in_the_half_space_two_centres_end_at_right_angles():
    centers = torch.tensor([[1.0, 0.1], [1.0, -0.2]], dtype=torch.float64).requires_grad_()
    for _ in range(200):
        energy = hyperspherical_energy(centers, power=1, space="half")
        (gradient,) = torch.autograd.grad(energy, centers)
        centers = torch.nn.functional.normalize(centers.detach() - 0.3 * gradient).requires_grad_()
    assert float((centers[0] @ centers[1]).detach()) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("distance", ["euclidean", "angular"])
@pytest.mark.parametrize("space", ["full", "half"])
def test_the_gradient_is_that_of_finite_differences(distance, space):
    centers = torch.tensor(np.random.default_rng(2).standard_normal((4, 3)), requires_grad=True)
    for power in (0, 1, 2):
        assert torch.autograd.gradcheck(
            lambda w, power=power: hyperspherical_energy(
                w, power=power, distance=distance, space=space
            ),
            centers,
        )


@pytest.mark.parametrize("power", [0, 1, 2])
@pytest.mark.parametrize("distance", ["euclidean", "angular"])
@pytest.mark.parametrize("sign", [1, -1])
def test_centres_that_coincide_have_finite_energy_and_gradient(power, distance, sign):
    centers = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 1.0, 0.0]])
    centers[1] *= sign
    centers.requires_grad_()
    energy = hyperspherical_energy(centers, power=power, distance=distance, space="half")
    energy.backward()
    assert torch.isfinite(energy)
    assert torch.isfinite(centers.grad).all()


def test_one_centre_is_too_few():
    with pytest.raises(NotEnoughData, match=r"^energy is between centres and needs 2; got 1$"):
        hyperspherical_energy(torch.ones((1, 3)), power=0)


def test_a_single_vector_is_no_matrix_of_centres():
    with pytest.raises(BadArray, match=r"^centres must have shape \(C, D\); got shape \(3,\)$"):
        hyperspherical_energy(torch.ones(3), power=0)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"power": 3}, r"^power must be 0, 1 or 2; got 3$"),
        ({"power": 1, "distance": "l1"}, r"^distance must be 'euclidean' or 'angular'; got 'l1'$"),
        ({"power": 1, "space": "both"}, r"^space must be 'full' or 'half'; got 'both'$"),
    ],
)
def test_an_unknown_option_is_refused(option, text):
    with pytest.raises(BadInput, match=text):
        hyperspherical_energy(torch.eye(3), **option)

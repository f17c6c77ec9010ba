r"""Minimum hyperspherical energy (MHE): class centres spread over the sphere as charges would.

    energy      mean over pairs i != j of f(rho_ij)
    f           -ln(rho)    power 0
                1 / rho     power 1
                1 / rho^2   power 2
    rho         |w_i - w_j|         distance "euclidean", in (0, 2]
                angle(w_i, w_j)     distance "angular", in (0, pi] radians

w are the centres, brought to length 1. In space "half" each centre repels the opposite of each
other one too, so that w and -w count as one direction: n centres then act as 2n, and the pairs
of a centre with its own opposite add a constant.

D + 1 centres are spread best as a regular simplex, with cosine -1 / D to each other, for every
choice but one: by -ln of the angle, pairs of opposites lie lower.

Source: Liu et al., "Learning towards Minimum Hyperspherical Energy", NeurIPS 2018,
arXiv:1805.09298, section 3.
Differs from the paper: the mean over pairs instead of their sum, so that one weight serves any
number of classes. The release takes -ln(rho^2) for power 0, twice ours. A distance is taken no
smaller than 1e-3, where a centre lies on another one.

Letters: C centres, D numbers in each, R of them that repel.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tronie.errors import BadArray, BadInput, NotEnoughData
from tronie.lab.nn.angles import angle, curve, inner_angle, widened

LEAST_DISTANCE = 1e-3


def hyperspherical_energy(
    centers: Tensor,
    *,
    power: Literal[0, 1, 2],
    distance: Literal["euclidean", "angular"] = "euclidean",
    space: Literal["full", "half"] = "full",
    rows: Tensor | None = None,
) -> Tensor:
    """Energy of `centers`, a scalar; smaller where they are spread more evenly.

    Args:
        centers: (C, D) floats, of any length but 0.
        power: Which f.
        distance: Which rho.
        space: Whether opposites repel too.
        rows: (R,) int64 without repetition: only pairs from these to all others, as from the
            classes of a batch; None for every pair. The product (R, C) is held in memory.

    Raises:
        BadArray: `centers` is not two-dimensional.
        NotEnoughData: there are fewer than two centres.
        BadInput: `power`, `distance` or `space` is unknown.
    """
    _check(centers, power, distance, space)
    unit = normalize(widened(centers), dim=1)
    places = torch.arange(len(unit), device=unit.device) if rows is None else rows
    same = places[:, None] == torch.arange(len(unit), device=unit.device)
    total, pairs = energy_between(
        unit[places], unit, same, power=power, distance=distance, space=space
    )
    return total / pairs


def energy_between(
    some: Tensor,
    others: Tensor,
    same: Tensor,
    *,
    power: Literal[0, 1, 2],
    distance: Literal["euclidean", "angular"],
    space: Literal["full", "half"],
) -> tuple[Tensor, Tensor]:
    """The sum of f over pairs, and how many they are: of which the energy is the quotient.

    Args:
        some: (R, D) at length 1.
        others: (C, D) at length 1, perhaps a part of all; the sums of the parts add up.
        same: (R, C) bool: pairs that do not repel each other, as a center and itself.
    """
    cosine = some @ others.T
    counts = ~same
    if space == "half":
        opposite = torch.where(counts, -cosine, -1)
        cosine = torch.cat([cosine, opposite], dim=1)
        counts = torch.cat([counts, torch.ones_like(counts)], dim=1)
    rho = _chord(cosine) if distance == "euclidean" else _arc(cosine)
    rho = torch.where(counts, rho, 1).clamp(min=LEAST_DISTANCE)
    energy = -torch.log(rho) if power == 0 else rho**-power
    return torch.where(counts, energy, 0).sum(), counts.sum()


def _chord(cosine: Tensor) -> Tensor:
    return (2 - 2 * cosine).clamp(min=LEAST_DISTANCE**2).sqrt()


def _arc(cosine: Tensor) -> Tensor:
    detached = cosine.detach()
    return curve(angle(detached), (cosine, -1 / torch.sin(inner_angle(detached))))


def _check(centers: Tensor, power: int, distance: str, space: str) -> None:
    if centers.ndim != 2:
        raise BadArray(f"centres must have shape (C, D); got shape {tuple(centers.shape)}")
    if len(centers) < 2:
        raise NotEnoughData(f"energy is between centres and needs 2; got {len(centers)}")
    if power not in (0, 1, 2):
        raise BadInput(f"power must be 0, 1 or 2; got {power}")
    if distance not in ("euclidean", "angular"):
        raise BadInput(f"distance must be 'euclidean' or 'angular'; got {distance!r}")
    if space not in ("full", "half"):
        raise BadInput(f"space must be 'full' or 'half'; got {space!r}")

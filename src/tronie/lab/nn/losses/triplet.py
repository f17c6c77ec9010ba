r"""Triplet loss with semi-hard mining.

    loss        mean over triplets of max(0, |a - p|^2 - |a - n|^2 + m)
    semi-hard   |a - p|^2 < |a - n|^2 < |a - p|^2 + m

a (anchor) and p (positive) are unit embeddings of one identity, n (negative) of another; the
distances are squared and lie in [0, 4], and so does m. With |x - y|^2 = 2 - 2 cos the loss is
max(0, 2 cos(a, n) - 2 cos(a, p) + m), and mining needs one matrix product.

Source: Schroff et al., "FaceNet", CVPR 2015, arXiv:1503.03832, section 3; m = 0.3 and the use of
each pair once, anchor before positive, are of the InsightFace release for MXNet.
Differs from the paper: m = 0.2 there. A bag is embedded without a gradient (and with batch
normalization in evaluation mode) to mine it; its triplets are then embedded again in batches.

Letters: N rows of a bag, D numbers in an embedding, T triplets.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tronie.errors import BadArray, NotEnoughData
from tronie.lab.nn.angles import widened

_PAIRS_AT_ONCE = 4096


@torch.no_grad()
def semi_hard_triplets(
    embeddings: Tensor,
    identities: Tensor,
    *,
    generator: torch.Generator,
    margin: float = 0.3,
    farthest: float = 4.0,
) -> Tensor:
    """For each pair of one identity, one semi-hard negative drawn at random.

    Args:
        embeddings: (N, D) floats, of any length but 0.
        identities: (N,) whole numbers.
        generator: Of the device of `embeddings`; the same seed draws the same triplets.
        margin: m, in squared distance.
        farthest: Pairs of a squared distance above this are left out: they may be mislabeled.

    Returns:
        (T, 3) int64, the rows of anchor, positive and negative, in random order; anchors come
        before their positives in the bag. T is 0 where no pair has a semi-hard negative.

    Raises:
        BadArray: the shapes do not agree.
        NotEnoughData: the bag holds one identity only, or none twice.
    """
    _check(embeddings, identities)
    unit = normalize(widened(embeddings), dim=1)
    same = identities[:, None] == identities[None, :]
    anchors, positives = torch.triu(same, diagonal=1).nonzero(as_tuple=True)
    if len(anchors) == 0 or bool(same.all()):
        raise NotEnoughData(
            f"a bag for triplets needs two identities, one of them with two rows; got "
            f"{len(identities)} rows of {len(torch.unique(identities))} identities"
        )
    cosine = unit @ unit.T
    near = (2 - 2 * cosine[anchors, positives] <= farthest).nonzero()[:, 0]
    found = [torch.empty((0, 3), dtype=torch.int64, device=unit.device)]
    for part in torch.split(near, _PAIRS_AT_ONCE):
        a, p = anchors[part], positives[part]
        own = cosine[a, p][:, None]
        semi_hard = (cosine[a] < own) & (cosine[a] > own - margin / 2) & ~same[a]
        some = semi_hard.any(dim=1).nonzero()[:, 0]
        if len(some):
            drawn = torch.multinomial(semi_hard[some].float(), 1, generator=generator)[:, 0]
            found.append(torch.stack([a[some], p[some], drawn], dim=1))
    triplets = torch.cat(found)
    return triplets[torch.randperm(len(triplets), generator=generator, device=unit.device)]


def triplet_loss(embeddings: Tensor, triplets: Tensor, *, margin: float = 0.3) -> Tensor:
    """Mean loss of `triplets`, a scalar; 0 for none.

    Args:
        embeddings: (N, D) floats, of any length.
        triplets: (T, 3) int64, rows of `embeddings` as `semi_hard_triplets` gives them.
        margin: m, in squared distance.

    Raises:
        BadArray: `triplets` is of another shape.
    """
    if triplets.ndim != 2 or triplets.shape[1] != 3:
        raise BadArray(
            "triplets must have shape (T, 3): rows of anchor, positive and negative; "
            f"got shape {tuple(triplets.shape)}"
        )
    unit = normalize(widened(embeddings), dim=1)
    anchor, positive, negative = (unit[triplets[:, column]] for column in range(3))
    farther = torch.square(anchor - positive).sum(dim=1) - torch.square(anchor - negative).sum(
        dim=1
    )
    return torch.relu(farther + margin).sum() / max(1, len(triplets))


def _check(embeddings: Tensor, identities: Tensor) -> None:
    if embeddings.ndim != 2 or identities.shape != embeddings.shape[:1]:
        raise BadArray(
            "embeddings must have shape (N, D) and identities (N,); got shapes "
            f"{tuple(embeddings.shape)} and {tuple(identities.shape)}"
        )

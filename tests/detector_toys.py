"""Faces drawn for detectors that learn: pictures, their targets, and what is found in them."""

from __future__ import annotations

import numpy as np
import torch

from tronie.lab.nn.detector import Targets
from tronie.lab.nn.losses.box_overlap import iou

ODD = {
    "no faces": [[], []],
    "no area": [[[30.0, 30, 30, 60]], [[50.0, 50, 40, 40]]],
    "outside": [[[-300.0, -300, -200, -200]], [[1e30, 0, 2e30, 9]]],
    "over the border": [[[-1e3, -1e3, 1e3, 1e3]], [[60.0, 60, 90, 90]]],
    "half a pixel": [[[31.0, 31, 31.5, 31.5]], []],
    "no numbers": [[[float("nan")] * 4], [[8.0, 8, 24, 24]]],
}
"""Boxes of two pictures of 64 x 64, from which a loss must come out that is a number."""


def targets(boxes, *, ignore=None, points=None):
    """Of pictures that each hold a list of boxes; no points unless they are given."""
    most = max(1, *map(len, boxes))
    made = Targets(
        boxes=torch.zeros(len(boxes), most, 4),
        valid=torch.zeros(len(boxes), most, dtype=torch.bool),
        ignore=torch.zeros(len(boxes), most, dtype=torch.bool),
        points=torch.zeros(len(boxes), most, 5, 2),
        has_points=torch.zeros(len(boxes), most, 5, dtype=torch.bool),
    )
    for b, row in enumerate(boxes):
        for f, box in enumerate(row):
            made.boxes[b, f] = torch.tensor(box)
            made.valid[b, f] = True
            made.ignore[b, f] = ignore is not None and ignore[b][f]
            if points is not None:
                made.points[b, f] = torch.as_tensor(points[b][f])
                made.has_points[b, f] = True
    return made


def many_faces(count):
    """Targets of one picture of 320 x 320, a quarter of which are ignored."""
    draw = torch.Generator().manual_seed(0)
    upper = torch.rand(count, 2, generator=draw) * 300
    boxes = torch.cat([upper, upper + 4 + torch.rand(count, 2, generator=draw) * 20], dim=1)
    return targets([boxes.tolist()], ignore=[(torch.arange(count) % 4 == 0).tolist()])


def drawn(seed):
    """A picture of 96 x 96 with two faces: light ovals with dark eyes; boxes and five points."""
    draw = np.random.default_rng(seed)
    image = draw.uniform(-0.4, 0.0, (96, 96, 3))
    y, x = np.mgrid[0:96, 0:96]
    boxes, points = [], []
    for left, top in [(4, 6 + 10 * seed), (52, 40 - 12 * seed)]:
        width, height = draw.integers(22, 34, 2)
        cx, cy = left + width / 2, top + height / 2
        oval = ((x - cx) / (width / 2)) ** 2 + ((y - cy) / (height / 2)) ** 2 <= 1
        image[oval] = [0.9, 0.6, 0.4]
        shape = [(-0.4, -0.3), (0.4, -0.3), (0, 0.1), (-0.3, 0.5), (0.3, 0.5)]
        five = [(cx + u * width / 2, cy + v * height / 2) for u, v in shape]
        for px, py in five:
            image[(x - px) ** 2 + (y - py) ** 2 <= 4] = -0.9
        boxes.append([float(left), float(top), float(left + width), float(top + height)])
        points.append(five)
    return torch.tensor(image.transpose(2, 0, 1), dtype=torch.float32), boxes, points


def drawn_batch(count):
    """Images (count, 3, 96, 96), their boxes, their points, and the targets of both."""
    pictures = [drawn(seed) for seed in range(count)]
    boxes = [row for _, row, _ in pictures]
    points = [row for _, _, row in pictures]
    images = torch.stack([image for image, _, _ in pictures])
    return images, boxes, points, targets(boxes, points=points)


def overlap(one, other):
    """IoU of two boxes."""
    return float(iou(torch.as_tensor(one), torch.as_tensor(other)))


def best_apart(boxes, scores, *, most, share=0.4):
    """Anchors (at most `most`) by score, none of which overlaps one before it by `share`."""
    kept = []
    for a in scores.argsort(descending=True).tolist():
        if all(overlap(boxes[a], boxes[k]) < share for k in kept):
            kept.append(a)
        if len(kept) == most:
            break
    return kept


def assert_faces_are_found(network, images, boxes, points):
    """Two faces in each picture: both above 1/2, and nothing else half as sure; points near."""
    with torch.no_grad():
        found, scores, five = network.decode(network(images))
    for b, (wanted, places) in enumerate(zip(boxes, points, strict=True)):
        kept = best_apart(found[b], scores[b], most=3)
        assert scores[b, kept[1]] > 0.5 > 2 * scores[b, kept[2]]
        for box, place in zip(wanted, places, strict=True):
            best = max(kept[:2], key=lambda a, b=b, box=box: overlap(found[b, a], box))
            assert overlap(found[b, best], box) > 0.8
            assert (five[b, best] - torch.tensor(place)).norm(dim=1).max() < 4

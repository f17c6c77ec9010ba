"""How large the faces of crops are, by crop strategy: from a file of labels alone, in seconds.

    python benchmarks/training/crop_scales.py LABELS [--crops 3226] [--size 640] [--seeds 1 2 3]

LABELS is a labelv2 file that tells the size of each photograph, such as WIDER FACE's. Nothing is
read of the photographs: windows are drawn as in training, and the boxes moved along. Of each
strategy it prints the faces a crop, the share of them below 32 pixels, and the share on each level
of a pyramid (`tronie.data.face_scales`), means over the seeds. --out writes the rows of all seeds,
as crop_scales.csv here was.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tronie.data.augment.data_anchors import data_anchor_window
from tronie.data.augment.face_photo import FaceLabels, faces_of
from tronie.data.augment.scale_enhancement import scale_enhanced_window
from tronie.data.augment.square_crops import PLAIN_SCALES, SCALES, square_window
from tronie.data.augment.windows import Window
from tronie.data.face_scales import (
    LEVELS,
    CropScales,
    LabeledSize,
    WindowOf,
    crop_scales,
    shares_below,
    sizes_at,
)
from tronie.data.readers.widerface import read_labels
from tronie.provenance import provenance

LIMITS = (32, 16, 8)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw, print a table, write the rows where that is asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("--crops", default=3226, type=int, help="of each strategy and seed")
    parser.add_argument("--size", default=640, type=int, help="of a crop, in pixels")
    parser.add_argument("--seeds", default=[1, 2, 3], nargs="+", type=int)
    parser.add_argument("--out", type=Path, help="also write the rows there")
    asked = parser.parse_args(argv)
    photos = _photos(asked.labels)
    if not photos:
        print(f"{asked.labels} tells the size of no photograph", file=sys.stderr)
        return 1
    every = np.concatenate(
        [sizes_at(one.labels.boxes, width=one.width, height=one.height) for one in photos]
    )
    shares = ", ".join(
        f"{100 * share:.2f} % below {limit}"
        for share, limit in zip(shares_below(every, LIMITS), LIMITS, strict=True)
    )
    print(f"{len(photos)} photographs, {len(every)} faces; at a long side of 640: {shares} px\n")
    print(f"{'':18}{'faces/crop':>11}{'< 32 px':>9}" + "".join(f"{one:>7}" for one in LEVELS))
    rows = []
    for name, window_of in _strategies(asked.size).items():
        found = [
            crop_scales(photos, window_of, crops=asked.crops, size=asked.size, seed=seed)
            for seed in asked.seeds
        ]
        print(_line(name, found))
        rows += [
            _row(name, seed, asked.size, one) for seed, one in zip(asked.seeds, found, strict=True)
        ]
    if asked.out:
        _write(asked.out, asked.labels, rows)
    return 0


def _photos(labels: Path) -> list[LabeledSize]:
    return [
        LabeledSize(faces_of(photo), *photo.size) for photo in read_labels(labels) if photo.size
    ]


def _strategies(size: int) -> Mapping[str, WindowOf]:
    return {
        "square, 0.3 to 1.0": _squares(PLAIN_SCALES),
        "square, 0.3 to 2.0": _squares(SCALES),
        "data anchors": lambda labels, rng, width, height: data_anchor_window(
            labels, rng, width=width, height=height, size=size
        ),
        "scale-enhanced": lambda labels, rng, width, height: scale_enhanced_window(
            labels, rng, width=width, height=height, size=size
        ),
    }


def _squares(scales: tuple[float, ...]) -> WindowOf:
    def window_of(labels: FaceLabels, rng: np.random.Generator, width: int, height: int) -> Window:
        return square_window(labels, rng, width=width, height=height, scales=scales)

    return window_of


def _line(name: str, found: Sequence[CropScales]) -> str:
    faces = np.mean([one.faces_per_crop for one in found])
    small = np.mean([one.small for one in found])
    levels = np.mean([one.levels for one in found], axis=0)
    return f"{name:18}{faces:11.2f}{small:9.3f}" + "".join(f"{share:7.3f}" for share in levels)


def _row(name: str, seed: int, size: int, found: CropScales) -> dict[str, str]:
    levels = zip(LEVELS, found.levels, strict=True)
    return {
        "strategy": name,
        "seed": str(seed),
        "size_px": str(size),
        "crops": str(found.crops),
        "faces_per_crop": f"{found.faces_per_crop:.4f}",
        "below_32_px": f"{found.small:.4f}",
        **{level: f"{share:.4f}" for level, share in levels},
    }


def _write(out: Path, labels: Path, rows: Sequence[Mapping[str, str]]) -> None:
    made = provenance({"labels": labels})
    about = {"labels": labels.name, "labels_sha256": made.inputs["labels"], "date": made.date}
    about |= {"commit": str(made.commit), "dirty": str(made.dirty)}
    with out.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*rows[0], *about], lineterminator="\n")
        table.writeheader()
        table.writerows({**row, **about} for row in rows)


if __name__ == "__main__":
    sys.exit(main())

"""Aligned crops per second on one core: matrices and warp together, and the warp alone.

    python benchmarks/speed/alignment.py [--faces 1 8 64] [--rounds 15] [--size 112]

Faces with 12 to 141 pixels between the eyes, turned by up to half a radian, anywhere in a
1024 x 768 image of smooth noise; OpenCV held to one thread. Beside `aligned_crops` stands
cv2.warpAffine on the three channels with ready matrices, one call a face: the floor that a
plain loop cannot get under. Rounds alternate, so that a machine that slows down slows both.
Rows are appended to alignment.csv.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tronie.geometry.alignment import alignment_matrices, crop_width_height, five_point_template
from tronie.images.threads import set_opencv_threads
from tronie.images.warp import aligned_crops
from tronie.provenance import provenance

WIDTH, HEIGHT = 1024, 768
SIZES = (0.35, 4.0)  # of a face in the image over its size in the crop
CROPS_A_ROUND = 512


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, append the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", nargs="+", default=[1, 8, 64], type=int, help="in one image")
    parser.add_argument("--rounds", default=15, type=int)
    parser.add_argument("--size", default=112, type=int, help="side of a crop in pixels")
    parser.add_argument("--csv", default=Path(__file__).with_suffix(".csv"), type=Path)
    asked = parser.parse_args(argv)

    set_opencv_threads(1)
    record = provenance({})
    libraries = " ".join(f"{name} {version}" for name, version in record.libraries.items())
    print(f"{record.date}  commit {record.commit}  {record.cpu}, one thread\n{libraries}\n")
    print(f"{'faces':>6} {'what':<22} {'crops/s':>8} {'lowest':>8} {'highest':>8}")
    rows = []
    for faces in asked.faces:
        for what, rates in measure(faces, rounds=asked.rounds, size=asked.size).items():
            median, low, high = statistics.median(rates), min(rates), max(rates)
            print(f"{faces:>6} {what:<22} {median:>8.0f} {low:>8.0f} {high:>8.0f}")
            numbers = [round(median), round(low), round(high), len(rates)]
            about = [record.date, record.commit, record.dirty, record.cpu, libraries]
            rows.append([what, faces, asked.size, *numbers, *about])
    append(asked.csv, rows)
    return 0


def measure(faces: int, *, rounds: int, size: int) -> dict[str, list[float]]:
    """Crops per second of each round, for our function and for the bare warp.

    The same faces in every round and for every number of them in one call.
    """
    rng = np.random.default_rng(0)
    image = smooth_noise(rng)
    landmarks = some_faces(rng, CROPS_A_ROUND)
    matrices = alignment_matrices(landmarks, size=size)
    crops = np.empty((CROPS_A_ROUND, size, size, 3), np.uint8)
    sides = crop_width_height(size)

    def ours() -> None:
        for start in range(0, CROPS_A_ROUND, faces):
            aligned_crops(image, landmarks[start : start + faces], size=size)

    def bare() -> None:
        for matrix, crop in zip(matrices, crops, strict=True):
            cv2.warpAffine(image, matrix, sides, dst=crop)

    rates: dict[str, list[float]] = {"aligned_crops": [], "cv2.warpAffine alone": []}
    for _ in range(rounds + 1):
        for what, run in zip(rates, (ours, bare), strict=True):
            rates[what].append(CROPS_A_ROUND / seconds(run))
    return {what: each[1:] for what, each in rates.items()}  # the first round warms up


def some_faces(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Five points (N, 5, 2) of faces of many sizes, tilts and places, a little disturbed."""
    scale = np.exp(rng.uniform(math.log(SIZES[0]), math.log(SIZES[1]), count))
    angle = rng.uniform(-0.5, 0.5, count)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.stack([c, s, -s, c], axis=-1).reshape(-1, 2, 2)
    place = rng.uniform([0, 0], [WIDTH, HEIGHT], (count, 1, 2))
    points = (five_point_template() - 56) @ turn + place + rng.normal(size=(count, 5, 2))
    return np.asarray(points, np.float64)


def smooth_noise(rng: np.random.Generator) -> NDArray[np.uint8]:
    noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)


def seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def append(path: Path, rows: list[list[object]]) -> None:
    head = ["what", "faces", "size_px", "crops_per_s", "lowest", "highest", "rounds"]
    head += ["date", "commit", "dirty", "cpu", "libraries"]
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([head, *rows] if new else rows)


if __name__ == "__main__":
    raise SystemExit(main())

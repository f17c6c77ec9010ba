"""MR-All's size on this machine: every pair of 1,624,305 rows, exactly.

    python benchmarks/speed/pairs_mr_all.py --folder /where/4/GiB/fit          # half an hour or so
    python benchmarks/speed/pairs_mr_all.py --folder DIR --rows 20000          # to try it

Synthetic identities with the numbers that the MFR21 challenge publishes for its set MR-All:
242,143 people, 1,624,305 images, 4,689,037 genuine pairs (most people have 6 or 7 images; the
numbers leave little choice), D 512. Scores are compared at FAR 1e-6; the run has a checkpoint,
and killed at any moment it goes on with the same command. Then a subset of 200,000 rows is
measured twice, with the screen that ran and with another, and must give the same threshold to
the bit.

One row is appended to pairs_mr_all.csv; the last line of the output is JSON. Peak memory is
that of the whole process, pages of the mapped matrix included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from result_rows import append_row

from tronie.evaluation.run_pairs import PreparedPairs, prepare_pairs
from tronie.runtime.score_scan import open_screens

PEOPLE, ROWS, GENUINE = 242_143, 1_624_305, 4_689_037
DIMENSION = 512
SUBSET = 200_000
CHUNK = 8192


def main() -> int:
    """Make the rows where they are not there, measure, append, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for rows and the checkpoint")
    parser.add_argument("--rows", default=ROWS, type=int, help="fewer, to try it")
    parser.add_argument("--far", default=1e-6, type=float)
    parser.add_argument("--threads", default=len(os.sched_getaffinity(0)), type=int)
    parser.add_argument("--csv", default=Path(__file__).with_suffix(".csv"), type=Path)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.make:
        make_rows(asked.folder, asked.rows)
        return 0
    asked.folder.mkdir(parents=True, exist_ok=True)
    if not (asked.folder / "L.npy").exists():  # in a process of its own, for its memory
        words = [sys.executable, __file__, "--make", "--folder", str(asked.folder)]
        subprocess.run([*words, "--rows", str(asked.rows)], check=True)
    told = measure(asked)
    told |= same_threshold_twice(asked)
    append_row(asked.csv, told)
    print(json.dumps(told))
    return 0


def sizes_of(rows: int) -> NDArray[np.int64]:
    """Images of each person: the published numbers, or the first people of them."""
    sizes = np.full(PEOPLE, 6)
    sizes[: ROWS - 6 * PEOPLE] = 7
    lacking = (GENUINE - int((sizes * (sizes - 1) // 2).sum())) // 2
    sizes[:lacking] += 1  # one from 7 to 8 and one from 6 to 5: two pairs more
    sizes[-lacking:] -= 1
    assert (sizes.sum(), (sizes * (sizes - 1) // 2).sum()) == (ROWS, GENUINE)
    sizes = np.random.default_rng(0).permutation(sizes)
    return sizes[: int(np.searchsorted(np.cumsum(sizes), rows)) + 1]


def make_rows(folder: Path, rows: int) -> None:
    """M.npy, unit rows float32, and L.npy: a center a person, and noise of 0.8 to 2.2 of it."""
    rng = np.random.default_rng(1)
    sizes = sizes_of(rows)
    people = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))[:rows]
    centers = rng.standard_normal((len(sizes), DIMENSION), dtype=np.float32)
    matrix = np.lib.format.open_memmap(
        folder / "M.npy", mode="w+", dtype=np.float32, shape=(rows, DIMENSION)
    )
    for top in range(0, rows, CHUNK):
        whose = people[top : top + CHUNK]
        noise = rng.standard_normal((len(whose), DIMENSION), dtype=np.float32)
        exact = (centers[whose] + rng.uniform(0.8, 2.2, (len(whose), 1)) * noise).astype(np.float64)
        matrix[top : top + CHUNK] = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    matrix.flush()
    np.save(folder / "L.npy", people)


def prepare(folder: Path, asked: argparse.Namespace, *, only: str | None = None) -> PreparedPairs:
    def screens(dimension: int, error: float) -> list[object]:
        made = open_screens(dimension, float32_error=error, threads=asked.threads)
        return [one for one in made if only is None or only in one.name]

    return prepare_pairs(folder / "M.npy", folder / "L.npy", fars=[asked.far], screens=screens)


def measure(asked: argparse.Namespace) -> dict[str, object]:
    """The whole of it."""
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    prepared = prepare(asked.folder, asked)
    for line in prepared.plan.describe():
        print(line, file=sys.stderr)
    shown_s = [start_s]

    def show(done: int, total: int) -> None:
        now_s = time.perf_counter()
        if now_s - shown_s[0] > 30:
            shown_s[0] = now_s
            print(f"{done / total:7.2%} after {now_s - start_s:.0f} s", file=sys.stderr, flush=True)

    outcome = prepared.run(checkpoint=asked.folder / "state", progress=show)
    seconds = time.perf_counter() - start_s
    point = outcome.result.points[0]
    pairs = point.impostor_pairs + point.genuine_pairs
    interval = point.tar_interval
    return {
        "rows": len(outcome.labels),
        "dimension": DIMENSION,
        "far": asked.far,
        "impostor_pairs": point.impostor_pairs,
        "genuine_pairs": point.genuine_pairs,
        "threshold": point.threshold,
        "false_matches": point.false_matches,
        "tar": point.tar,
        "tar_low": None if interval is None else interval.low,
        "tar_high": None if interval is None else interval.high,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - start_cpu_s, 1),
        "pairs_per_s": round(pairs / seconds),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "screen": outcome.result.screen,
        "passes": outcome.result.passes,
        "estimated_s": round(prepared.plan.seconds, 1),
    }


def same_threshold_twice(asked: argparse.Namespace) -> dict[str, object]:
    """The first rows, once with 8-bit products and once with float32 ones."""
    folder = asked.folder / "subset"
    folder.mkdir(exist_ok=True)
    rows = min(SUBSET, asked.rows)
    for name in ("M.npy", "L.npy"):
        np.save(folder / name, np.load(asked.folder / name, mmap_mode="r")[:rows])
    found = {}
    for only in ("int8", "float32"):
        result = prepare(folder, asked, only=only).run().result
        found[result.screen] = (result.points[0].threshold, result.points[0].false_matches)
    if len(set(found.values())) != 1 or len(found) != 2:
        raise SystemExit(f"two screens must find the same threshold; got {found}")
    threshold, false_matches = next(iter(found.values()))
    return {
        "subset_rows": rows,
        "subset_threshold": threshold,
        "subset_false_matches": false_matches,
        "subset_screens": " = ".join(found),
    }


if __name__ == "__main__":
    sys.exit(main())

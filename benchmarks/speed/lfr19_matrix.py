"""A matrix of LFR19's image tracks, scored as a challenge does: exactly, at an FPR of 1e-8.

    python benchmarks/speed/lfr19_matrix.py --folder /where/1/GiB/fits     # 200,000 rows
    python benchmarks/speed/lfr19_matrix.py --folder DIR --quick           # 30,000 rows

Synthetic rows with the proportions of the challenge's 1,862,120: 274 of them in 1,854 are of
people (48 images each), the others distractors, who meet people and not each other; D 512. The
matrix is in the challenge's own form, four int32 and the rows, and goes the way of a submission:
the organizer's folder is opened, the matrix is checked, all pairs that count are compared, and
the whole row of the published table is there in the end, from 1e-3 on from a sample.

The headline is then found a second time, by NumPy's float32 product and nothing that the first
run used to search with, and must be the same to the bit.

One row is appended to lfr19_matrix.csv; the last line of the output is JSON. Peak memory is that
of the process that scored, pages of the mapped matrix included; anonymous memory is what is left
without them, as seen between parts of the pass.
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
from result_rows import append_row

from tronie.data.readers.features import open_features, write_features
from tronie.evaluation.pairs.sets import HowToRun
from tronie.evaluation.run_sets import prepare_far_row
from tronie.server.challenge.scoring import TrackData, score
from tronie.server.challenge.track import open_track

ROWS, QUICK_ROWS = 200_000, 30_000
LABELED = 274 / (274 + 1580)
IMAGES = 48
DIMENSION = 512
TRACK = "lfr19-deepglint-light"
CHUNK = 8192


def main() -> int:
    """Make the rows, score them, find the headline again, append, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="for the rows")
    parser.add_argument("--rows", type=int, help=f"default {ROWS:,}, with --quick {QUICK_ROWS:,}")
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--threads", default=len(os.sched_getaffinity(0)), type=int)
    parser.add_argument("--csv", default=Path(__file__).with_suffix(".csv"), type=Path)
    parser.add_argument("--step", choices=("make", "score", "again"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.rows = asked.rows or (QUICK_ROWS if asked.quick else ROWS)
    if asked.step is not None:
        print(json.dumps({"make": make, "score": scored, "again": again}[asked.step](asked)))
        return 0
    asked.folder.mkdir(parents=True, exist_ok=True)
    told: dict[str, object] = {}
    for step in ("make", "score", "again"):  # each in a process of its own, for its memory
        told |= step_alone(asked, step)
    if told["threshold"] != told.pop("threshold_again"):
        raise SystemExit(f"two searches must find one threshold; got {told}")
    append_row(asked.csv, told)
    print(json.dumps(told))
    return 0


def step_alone(asked: argparse.Namespace, step: str) -> dict[str, object]:
    """What a step printed last."""
    words = [sys.executable, __file__, "--step", step, "--folder", str(asked.folder)]
    words += ["--rows", str(asked.rows), "--threads", str(asked.threads)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def make(asked: argparse.Namespace) -> dict[str, object]:
    """M.bin, of any length a network gives, and META.csv; a center a person, and noise."""
    rng = np.random.default_rng(1)
    labeled = round(asked.rows * LABELED)
    subject = np.full(asked.rows, -1)
    subject[rng.permutation(asked.rows)[:labeled]] = np.arange(labeled) // IMAGES
    people = labeled // IMAGES + 1
    centers = rng.standard_normal((people, DIMENSION), dtype=np.float32)
    matrix = np.empty((asked.rows, DIMENSION), np.float32)
    for top in range(0, asked.rows, CHUNK):
        whose = subject[top : top + CHUNK]
        noise = rng.standard_normal((len(whose), DIMENSION), dtype=np.float32)
        center = np.where(whose[:, None] >= 0, centers[whose], 0)
        spread = rng.uniform(0.8, 2.2, (len(whose), 1))
        rows = (center + spread * noise).astype(np.float64)
        matrix[top : top + CHUNK] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    write_features(asked.folder / "M.bin", matrix)
    lines = "\n".join(["subject", *map(str, subject.tolist())])
    (asked.folder / "META.csv").write_text(lines + "\n", encoding="ascii")
    return {"rows": asked.rows, "dimension": DIMENSION, "people": people, "labeled": labeled}


def scored(asked: argparse.Namespace) -> dict[str, object]:
    """The way of a submission, timed."""
    anonymous = [0]

    def look(done: int, total: int) -> None:
        anonymous[0] = max(anonymous[0], anonymous_kib())

    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    track = open_track(TRACK)
    data = TrackData.open(asked.folder, track)
    opened_s = time.perf_counter() - start_s
    report = score(
        track,
        data,
        asked.folder / "M.bin",
        threads=asked.threads,
        how=HowToRun(progress=look, announce=lambda line: print(line, file=sys.stderr)),
    )
    seconds = time.perf_counter() - start_s
    point = next(point for point in report.details.points if point.far == 1e-8)
    return {
        "impostor_pairs": point.impostor_pairs,
        "genuine_pairs": point.genuine_pairs,
        "threshold": point.threshold,
        "false_matches": point.false_matches,
        "tar": point.tar,
        "rates": len(report.values) - 1,
        "opened_s": round(opened_s, 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - start_cpu_s, 1),
        "pairs_per_s": round((point.impostor_pairs + point.genuine_pairs) / seconds),
        "matrix_mib": round(open_features(asked.folder / "M.bin").nbytes / 2**20),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "anonymous_mib": round(anonymous[0] / 1024),
        "threads": asked.threads,
    }


def again(asked: argparse.Namespace) -> dict[str, object]:
    """The threshold of the headline, searched for with NumPy's product."""
    prepared = prepare_far_row("lfr19-image", asked.folder / "M.bin", asked.folder / "META.csv")
    points = prepared.run(HowToRun(sample_pairs=0)).details.points
    return {"threshold_again": next(p.threshold for p in points if p.far == 1e-8)}


def anonymous_kib() -> int:
    """Memory of this process that is no file's; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0
    found = [line.split()[1] for line in status.read_text().splitlines() if "RssAnon" in line]
    return int(found[0]) if found else 0


if __name__ == "__main__":
    sys.exit(main())

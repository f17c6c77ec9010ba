"""Pairs per second: the exact threshold of all pairs, beside the bare float32 product.

    python benchmarks/speed/pairs.py --quick                       # under 60 s
    python benchmarks/speed/pairs.py --rows 200000 --far 1e-6
    python benchmarks/speed/pairs.py --growth                      # 10,000 to 300,000 rows

In one run, on one machine, with the same number of threads:

    a  the bare float32 product of two blocks, NumPy's, nothing done with the scores
    b  the same and a histogram of the scores, which is not exact
    c  faiss-cpu's range search, where it is installed
    e  the bare float32 product again, by onnxruntime in two sessions of one thread: where
       NumPy's BLAS does not know the CPU, this is the better float32 product
    d  tronie, exact and end to end: checking, planning, quantizing, all pairs, genuine pairs,
       intervals. Opening and measuring the screens is counted too.

Rounds alternate, so that a machine that slows down slows all. a, b and c work on blocks, d on
the whole matrix: for d a pair is an unordered pair, of which there are N (N - 1) / 2. Each runs
in a process of its own, so that its peak memory is its own; the features (synthetic identities,
ten rows each) are a file that is memory-mapped. Rows are appended to pairs.csv. The last line
of the output is JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCK = 4096
MEASURE_S = 1.5
QUICK_PASS_S = 13  # the rows of --quick are so many that one pass takes about this long
QUICK_S = 20  # with --quick no round begins later
GROWTH = (10_000, 30_000, 100_000, 300_000)
NAMES = {
    "product": "a  float32 product, bare",
    "histogram": "b  float32 product + histogram",
    "engine": "e  float32 product, onnxruntime",
    "faiss": "c  faiss-cpu range search",
    "tronie": "d  tronie, exact, end to end",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, append the rows, print the ratio as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="N; default 100,000, with --quick what fits")
    parser.add_argument("--dimension", default=512, type=int)
    parser.add_argument("--far", default=1e-6, type=float)
    parser.add_argument("--rounds", type=int, help="default 3 (2 with --quick)")
    parser.add_argument("--threads", default=len(os.sched_getaffinity(0)), type=int)
    parser.add_argument("--quick", action="store_true", help="under 60 s")
    parser.add_argument("--growth", action="store_true", help="d alone, for growing N")
    parser.add_argument("--csv", default=Path(__file__).with_suffix(".csv"), type=Path)
    parser.add_argument("--side", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.side is not None:
        print(json.dumps(SIDES[asked.side](asked)))
        return 0
    sides = [side for side in NAMES if side != "faiss" or util.find_spec("faiss")]
    if "faiss" not in sides:
        print("left out: faiss-cpu is not installed", file=sys.stderr)
    if asked.growth:
        sides = ["product", "tronie"]
    last: dict[str, object] = {}
    growth: list[tuple[int, float]] = []
    for rows in GROWTH if asked.growth else (asked.rows or 100_000,):
        last = measure(sides, rows, asked)
        growth.append((rows, float(str(last["seconds"]))))
    if asked.growth:
        last["growth"] = fitted(growth)
    print(json.dumps(last))
    return 0


def fitted(growth: Sequence[tuple[int, float]]) -> dict[str, object]:
    """seconds = fixed + constant * N (N - 1) / 2, from the largest and the smallest N.

    Where the cost is quadratic with one constant, the times between are those of the line.
    """
    (few, few_s), (many, many_s) = growth[0], growth[-1]

    def pairs(rows: int) -> float:
        return rows * (rows - 1) / 2

    constant = (many_s - few_s) / (pairs(many) - pairs(few))
    fixed = few_s - constant * pairs(few)
    print(f"seconds = {fixed:.2f} + {constant * 1e9:.3f}e-9 * pairs")
    for rows, seconds in growth:
        line = fixed + constant * pairs(rows)
        print(f"  N {rows:7}: {seconds:7.2f} s, the line {line:7.2f}")
    return {"fixed_s": round(fixed, 3), "s_per_pair": constant}


def measure(sides: Sequence[str], rows: int, asked: argparse.Namespace) -> dict[str, object]:
    """All sides in turn, for some rounds; with --quick, as many rows and rounds as fit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.quick and asked.rows is None:
            rows = min(200_000, int((2 * QUICK_PASS_S * fastest(asked)) ** 0.5))
        write_identities(folder, rows, asked.dimension)
        found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        start_s = time.monotonic()
        for _ in range(asked.rounds or (2 if asked.quick else 3)):
            if asked.quick and time.monotonic() - start_s > QUICK_S:
                break
            for side in (*sides, "product"):  # the yardstick before and after
                found[side].append(in_a_process(side, folder, asked))
    return report(found, asked, rows)


def fastest(asked: argparse.Namespace) -> float:
    """Pairs per second of the fastest screen."""
    from tronie.runtime.score_scan import open_screens

    screens = open_screens(asked.dimension, float32_error=1e-4, threads=asked.threads)
    return max(screen.pairs_per_s for screen in screens)


def write_identities(folder: Path, rows: int, dimension: int) -> None:
    """M.npy (N, D) float32 unit rows and L.npy (N,): ten rows a person, in random order."""
    rng = np.random.default_rng(0)
    people = rng.permutation(np.arange(rows) // 10)
    centers = rng.standard_normal((rows // 10 + 1, dimension), dtype=np.float32)
    matrix = np.lib.format.open_memmap(
        folder / "M.npy", mode="w+", dtype=np.float32, shape=(rows, dimension)
    )
    for top in range(0, rows, 8192):
        whose = people[top : top + 8192]
        part = centers[whose] + rng.standard_normal((len(whose), dimension), dtype=np.float32)
        exact = part.astype(np.float64)
        matrix[top : top + 8192] = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    matrix.flush()
    np.save(folder / "L.npy", people)


def in_a_process(side: str, folder: Path, asked: argparse.Namespace) -> dict[str, float]:
    words = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    words += ["--far", str(asked.far), "--threads", str(asked.threads)]
    words += ["--dimension", str(asked.dimension)]
    threads = str(asked.threads)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    done = subprocess.run(words, stdout=subprocess.PIPE, env=environment, check=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def product(asked: argparse.Namespace) -> dict[str, float]:
    """Blocks of 4096 by 4096, for a second and a half."""
    return _blocks(asked, lambda scores: None)


def histogram(asked: argparse.Namespace) -> dict[str, float]:
    """The same, counted in 20,000 bins: a threshold from it is off by up to a bin."""
    counts = np.zeros(20_002, np.int64)

    def count(scores: NDArray[np.float32]) -> None:
        bins = ((scores.ravel() + 1) * 10_000).astype(np.int64)
        np.add(counts, np.bincount(bins, minlength=len(counts)), out=counts)

    return _blocks(asked, count)


def _blocks(asked: argparse.Namespace, use: object) -> dict[str, float]:
    matrix = np.load(asked.folder / "M.npy", mmap_mode="r")
    left, right = np.array(matrix[:BLOCK]), np.array(matrix[-BLOCK:])
    scores = np.empty((len(left), len(right)), np.float32)
    np.matmul(left, right.T, out=scores)  # warm up
    pairs, start_s = 0, time.perf_counter()
    while time.perf_counter() - start_s < MEASURE_S:
        np.matmul(left, right.T, out=scores)
        use(scores)  # type: ignore[operator]
        pairs += scores.size
    return _result(pairs, time.perf_counter() - start_s)


def engine(asked: argparse.Namespace) -> dict[str, float]:
    """The float32 screen on random rows, nothing above its floor."""
    from tronie.evaluation.pairs.scores import screen_error
    from tronie.runtime.score_scan import Float32Screen, measured_speed

    screen = Float32Screen(error=screen_error(asked.dimension), workers=asked.threads)
    start_s = time.perf_counter()
    speeds = []
    while time.perf_counter() - start_s < MEASURE_S:
        speeds.append(measured_speed(screen, asked.dimension))
    return _result(statistics.median(speeds), 1.0)


def faiss(asked: argparse.Namespace) -> dict[str, float]:
    """Rows against all rows, above the threshold that is known from d: pairs as they come."""
    import faiss

    faiss.omp_set_num_threads(asked.threads)
    matrix = np.load(asked.folder / "M.npy", mmap_mode="r")
    index = faiss.IndexFlatIP(matrix.shape[1])
    index.add(np.array(matrix))
    pairs, start_s, top = 0, time.perf_counter(), 0
    while time.perf_counter() - start_s < MEASURE_S:
        rows = np.array(matrix[top : top + 512])
        index.range_search(rows, 0.21)
        pairs += len(rows) * len(matrix)
        top = (top + 512) % len(matrix)
    return _result(pairs, time.perf_counter() - start_s)


def tronie(asked: argparse.Namespace) -> dict[str, float]:
    """The whole of it, as the command line runs it."""
    from tronie.evaluation.run_pairs import prepare_pairs
    from tronie.runtime.score_scan import open_screens

    start_s = time.perf_counter()
    prepared = prepare_pairs(
        asked.folder / "M.npy",
        asked.folder / "L.npy",
        fars=[asked.far],
        screens=lambda d, error: open_screens(d, float32_error=error, threads=asked.threads),
    )
    ready_s = time.perf_counter()
    told = prepared.run().to_dict()
    end_s = time.perf_counter()
    point = told["points"][0]
    print(
        f"{told['screen']}; threshold {point['threshold']!r}, {point['false_matches']} false "
        f"matches, TAR {point['tar']:.6f}; ready after {ready_s - start_s:.2f} s, "
        f"estimate {prepared.plan.seconds:.2f} s",
        file=sys.stderr,
    )
    return _result(point["impostor_pairs"] + point["genuine_pairs"], end_s - start_s)


SIDES = {
    "product": product,
    "histogram": histogram,
    "engine": engine,
    "faiss": faiss,
    "tronie": tronie,
}


def _result(pairs: int, seconds: float) -> dict[str, float]:
    import resource

    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"pairs_per_s": pairs / seconds, "seconds": seconds, "peak_mib": peak_mib}


def report(
    found: dict[str, list[dict[str, float]]], asked: argparse.Namespace, rows: int
) -> dict[str, object]:
    from tronie.provenance import provenance

    made = provenance().to_dict()
    base = statistics.median(one["pairs_per_s"] for one in found["product"])
    print(f"\n{made['date']}  commit {made['commit']}{' + changes' if made['dirty'] else ''}")
    print(f"{made['cpu']}, {made['cores']} cores, {asked.threads} threads; "
          f"N {rows}, D {asked.dimension}, FAR {asked.far:g}")  # fmt: skip
    print(f"{'':32}  ratio  Mpairs/s  (spread)             s  peak MiB")
    table, ratios = [], {}
    for side, runs in found.items():
        speeds = [one["pairs_per_s"] / 1e6 for one in runs]
        peak = max(one["peak_mib"] for one in runs)
        seconds = statistics.median(one["seconds"] for one in runs)
        speed = statistics.median(speeds)
        ratios[side] = speed * 1e6 / base
        spread = f"{min(speeds):.1f}..{max(speeds):.1f}"
        print(f"{NAMES[side]:32}  {ratios[side]:5.2f}  {speed:8.1f}  ({spread:15})  "
              f"{seconds:7.2f}  {peak:8.0f}")  # fmt: skip
        table.append([
            made["date"], made["commit"], made["dirty"], made["cpu"], made["cores"],
            asked.threads, side, rows, asked.dimension, asked.far, round(ratios[side], 3),
            round(speed, 2), round(min(speeds), 2), round(max(speeds), 2), round(seconds, 3),
            round(peak), len(runs), " ".join(f"{k}={v}" for k, v in made["libraries"].items()),
        ])  # fmt: skip
    append(asked.csv, table)
    ours = found["tronie"]
    return {
        "rows": rows,
        "dimension": asked.dimension,
        "far": asked.far,
        "threads": asked.threads,
        "ratio_to_float32_product": round(ratios["tronie"], 3),
        "pairs_per_s": statistics.median(one["pairs_per_s"] for one in ours),
        "float32_product_pairs_per_s": base,
        "seconds": statistics.median(one["seconds"] for one in ours),
        "peak_mib": round(max(one["peak_mib"] for one in ours)),
    }


def append(path: Path, rows: list[list[object]]) -> None:
    head = ["date", "commit", "dirty", "cpu", "cores", "threads", "side", "rows", "dimension"]
    head += ["far", "ratio", "mpairs_per_s", "mpairs_per_s_low", "mpairs_per_s_high", "seconds"]
    head += ["peak_mib", "rounds", "libraries"]
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows] if fresh else rows)


if __name__ == "__main__":
    sys.exit(main())

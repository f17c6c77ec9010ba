"""Two networks that take turns on the same cores: what spinning threads cost.

    python benchmarks/speed/several_sessions.py --data FOLDER [--rounds 40] [--threads 2]

FOLDER holds weights/scrfd_2.5g_kps_dyn.onnx and weights/yunet_n_dynamic.onnx, which are asked in
turn, as a detector and an embedder are, for one picture of 640 x 480 of noise.

    spinning    options of onnxruntime as they are: threads of a session look for work for a while
                after a call
    ours        `tronie.runtime.engine.session_options`: they stop when the call returns

Rounds alternate; `ratio` is the median over the rounds of spinning over ours, above 1 is faster.
`alone` asks the first network alone, again and again. Rows are appended to several_sessions.csv.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from result_rows import append_rows

from tronie.provenance import provenance
from tronie.runtime.engine import onnxruntime, session_options

NETWORKS = ("scrfd_2.5g_kps_dyn", "yunet_n_dynamic")
WARM_UP = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the ratio first, append the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("TRONIE_TEST_DATA"), type=Path)
    parser.add_argument("--rounds", default=40, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--csv", default=Path(__file__).with_suffix(".csv"), type=Path)
    asked = parser.parse_args(argv)
    if asked.data is None or not (asked.data / "weights").is_dir():
        print("skipped: give --data (or TRONIE_TEST_DATA), a folder with weights/")
        return 0
    rows = []
    for mode, names in (("turns", NETWORKS), ("alone", NETWORKS[:1])):
        took: dict[str, list[float]] = {"spinning": [], "ours": []}
        for n in range(asked.rounds):
            for kind in sorted(took, reverse=n % 2 == 0):
                # One kind of session at a time is open, so that neither disturbs the other.
                work = opened(asked.data / "weights", names, kind, asked.threads)
                took[kind].append(statistics.median(timed(work) for _ in range(5)))
                del work
        rows += told(mode, took, asked.threads, asked.rounds)
    append_rows(asked.csv, rows)
    return 0


def opened(weights: Path, names: Sequence[str], kind: str, threads: int) -> Callable[[], None]:
    """Sessions of all names, warm, as one call that asks each of them once."""
    picture = np.random.default_rng(0).random((1, 3, 480, 640), dtype=np.float32)
    sessions = []
    for name in names:
        options = session_options(threads)
        if kind == "spinning":
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        sessions.append(onnxruntime.InferenceSession(str(weights / f"{name}.onnx"), options))

    def work() -> None:
        for session in sessions:
            session.run(None, {session.get_inputs()[0].name: picture})

    for _ in range(WARM_UP):
        work()
    return work


def told(
    mode: str, took: dict[str, list[float]], threads: int, rounds: int
) -> list[dict[str, object]]:
    """Print the rows, and give them."""
    made = provenance().to_dict()
    ratio = statistics.median(a / b for a, b in zip(took["spinning"], took["ours"], strict=True))
    rows = []
    for kind, each in took.items():
        own = ratio if kind == "ours" else 1.0
        rows.append({
            "date": made["date"], "commit": made["commit"], "dirty": made["dirty"],
            "cpu": made["cpu"], "cores": made["cores"], "mode": mode, "options": kind,
            "threads": threads, "rounds": rounds, "ratio": round(own, 3),
            "ms": round(statistics.median(each), 3), "ms_low": round(min(each), 3),
            "ms_high": round(max(each), 3),
            "libraries": " ".join(f"{name}={v}" for name, v in made["libraries"].items()),
        })  # fmt: skip
        print(f"{mode:6} {kind:9} ratio {own:5.2f}  {rows[-1]['ms']:8.2f} ms  "
              f"({rows[-1]['ms_low']}..{rows[-1]['ms_high']})")  # fmt: skip
    return rows


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main())

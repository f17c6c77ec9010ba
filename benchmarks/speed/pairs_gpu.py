"""The exact threshold of all pairs on a GPU: seconds, pairs per second, memory, and the check.

    python benchmarks/speed/pairs_gpu.py                                # 1,624,305 x 512
    python benchmarks/speed/pairs_gpu.py --rows 50000 --device cpu      # without a GPU

Features are synthetic identities, ten rows each, written in pieces and memory-mapped, as
`pairs.py` makes them. Timed end to end: opening and measuring the screens, checking, planning,
all pairs, genuine pairs, intervals. Then the first 200,000 rows are searched on the device and
by the screens of the CPU, at FAR 1e-6 and 1e-4: thresholds must have the same bits, and counts
must be equal. Each runs in a process of its own, so that its peak memory is its own.

At FAR 1e-4 and 1.6 million rows the accepted pairs are too many to be kept; they are counted on
the host then, to which every score must travel. Ask for that only where there is time.

Rows are appended to pairs_gpu.csv, one for each FAR. The last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pairs import write_identities

CHECKED_AT = (1e-6, 1e-4)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, check, print, append the rows; 1 if the two engines differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default=1_624_305, type=int, help="N")
    parser.add_argument("--dimension", default=512, type=int)
    parser.add_argument("--far", action="append", type=float, help="default 1e-6; repeatable")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--check-rows", default=200_000, type=int, help="0: no check")
    parser.add_argument("--threads", default=len(os.sched_getaffinity(0)), type=int)
    parser.add_argument("--folder", type=Path, help="where the matrix is written, and left")
    parser.add_argument("--csv", default=Path(__file__).with_suffix(".csv"), type=Path)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    asked.far = asked.far or [1e-6]
    if asked.side is not None:
        print(json.dumps(SIDES[asked.side](asked)))
        return 0
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        folder = asked.folder or Path(made)
        in_a_process("make", folder, asked, rows=asked.rows, fars=asked.far)
        whole = in_a_process("torch", folder, asked, rows=asked.rows, fars=asked.far)
        checked = None
        if asked.check_rows:
            checked = check(Path(made), folder, asked)
    return report(whole, checked, asked)


def in_a_process(
    side: str, folder: Path, asked: argparse.Namespace, *, rows: int, fars: Sequence[float]
) -> dict[str, Any]:
    words = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    words += ["--rows", str(rows), "--dimension", str(asked.dimension)]
    words += ["--device", asked.device, "--threads", str(asked.threads)]
    words += [word for far in fars for word in ("--far", repr(far))]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def make(asked: argparse.Namespace) -> dict[str, Any]:
    """M.npy and L.npy, unless they are there."""
    if not (asked.folder / "L.npy").exists():
        write_identities(asked.folder, asked.rows, asked.dimension)
    return {}


def by_torch(asked: argparse.Namespace) -> dict[str, Any]:
    """The whole of it on the device."""
    import torch

    from tronie.lab.nn.score_scan import open_screens

    told = search(asked, lambda d, error: open_screens(d, float32_error=error, device=asked.device))
    on_gpu = asked.device != "cpu"
    peak = torch.cuda.max_memory_allocated(asked.device) if on_gpu else 0
    return told | {"peak_device_mib": peak >> 20, "torch": torch.__version__}


def by_cpu(asked: argparse.Namespace) -> dict[str, Any]:
    """The same by the screens of the CPU."""
    from tronie.runtime.score_scan import open_screens

    return search(
        asked, lambda d, error: open_screens(d, float32_error=error, threads=asked.threads)
    )


def search(asked: argparse.Namespace, screens: Any) -> dict[str, Any]:
    from tronie.evaluation.run_pairs import prepare_pairs

    start_s = time.perf_counter()
    prepared = prepare_pairs(
        asked.folder / "M.npy", asked.folder / "L.npy", fars=asked.far, screens=screens
    )
    ready_s = time.perf_counter()
    for line in prepared.plan.describe():
        print(line, file=sys.stderr)
    result = prepared.run().result
    end_s = time.perf_counter()
    return {
        "screen": result.screen,
        "prepare_s": ready_s - start_s,
        "run_s": end_s - ready_s,
        "passes": result.passes,
        "points": [
            {
                "far": point.far,
                "threshold": point.threshold.hex(),
                "false_matches": point.false_matches,
                "impostor_pairs": point.impostor_pairs,
                "accepted": point.accepted,
                "genuine_pairs": point.genuine_pairs,
            }
            for point in result.points
        ],
        "peak_host_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


SIDES = {"make": make, "torch": by_torch, "cpu": by_cpu}


def check(part: Path, folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Both engines on the first rows; whether thresholds have the same bits and counts agree."""
    part = part / "first"
    part.mkdir()
    count = min(asked.rows, asked.check_rows)
    for name in ("M.npy", "L.npy"):
        np.save(part / name, np.load(folder / name, mmap_mode="r")[:count])
    found = {
        side: in_a_process(side, part, asked, rows=count, fars=CHECKED_AT)
        for side in ("torch", "cpu")
    }
    return {
        "rows": count,
        "same": found["torch"]["points"] == found["cpu"]["points"],
        "seconds": {side: told["prepare_s"] + told["run_s"] for side, told in found.items()},
        "screen": {side: told["screen"] for side, told in found.items()},
        "points": {side: told["points"] for side, told in found.items()},
    }


def report(whole: dict[str, Any], checked: dict[str, Any] | None, asked: argparse.Namespace) -> int:
    from tronie.provenance import provenance

    made = provenance().to_dict()
    first = whole["points"][0]
    pairs = first["impostor_pairs"] + first["genuine_pairs"]
    seconds = whole["prepare_s"] + whole["run_s"]
    print(f"{made['date']}  commit {made['commit']}{' + changes' if made['dirty'] else ''}")
    print(f"{whole['screen']}; {made['cpu']}, {made['cores']} cores; torch {whole['torch']}")
    print(f"N {asked.rows}, D {asked.dimension}: {pairs} pairs in {seconds:.2f} s "
          f"(prepared in {whole['prepare_s']:.2f} s, {whole['passes']} pass), "
          f"{pairs / seconds / 1e9:.3f} billion a second; peak memory "
          f"{whole['peak_host_mib']} MiB host, {whole['peak_device_mib']} MiB device")  # fmt: skip
    for point in whole["points"]:
        print(f"FAR {point['far']:g}: threshold {float.fromhex(point['threshold'])!r}, "
              f"{point['false_matches']} false matches, TAR "
              f"{point['accepted'] / point['genuine_pairs']:.6f}")  # fmt: skip
    if checked is not None:
        names, took = checked["screen"], checked["seconds"]
        print(f"first {checked['rows']} rows, {names['torch']} and {names['cpu']}: "
              f"{'the same bits' if checked['same'] else 'DIFFERENT'}; "
              f"{took['torch']:.2f} s and {took['cpu']:.2f} s")  # fmt: skip
    same = "" if checked is None else checked["same"]
    append(asked.csv, [
        [
            made["date"], made["commit"], made["dirty"], made["cpu"], made["cores"],
            whole["screen"], asked.rows, asked.dimension, point["far"], round(seconds, 3),
            round(whole["prepare_s"], 3), whole["passes"], round(pairs / seconds / 1e6, 1),
            repr(float.fromhex(point["threshold"])), point["false_matches"],
            point["accepted"] / point["genuine_pairs"], whole["peak_host_mib"],
            whole["peak_device_mib"], 0 if checked is None else checked["rows"], same,
            " ".join(f"{k}={v}" for k, v in made["libraries"].items()),
        ]
        for point in whole["points"]
    ])  # fmt: skip
    print(json.dumps({"rows": asked.rows, "seconds": seconds, "pairs_per_s": pairs / seconds}
                     | whole | {"check": checked}))  # fmt: skip
    return 1 if checked is not None and not checked["same"] else 0


def append(path: Path, rows: list[list[object]]) -> None:
    head = ["date", "commit", "dirty", "cpu", "cores", "screen", "rows", "dimension", "far"]
    head += ["seconds", "prepare_seconds", "passes", "mpairs_per_s", "threshold"]
    head += ["false_matches", "tar", "peak_host_mib", "peak_device_mib", "checked_rows"]
    head += ["same_bits", "libraries"]
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows] if fresh else rows)


if __name__ == "__main__":
    sys.exit(main())

"""Does sample redistribution help a small detector on 708 photographs? Paired, with an interval.

    python benchmarks/training/sample_redistribution.py --data DIR --runs FOLDER \\
        --truth MATS --photos PHOTOS

DIR holds photographs and labels.txt, MATS the four .mat files of WIDER FACE, PHOTOS photographs of
its validation set that are not in DIR. The recipes detection/wider708_scrfd_500m and
detection/wider708_scrfd_500m_no_redistribution are trained for each seed that FOLDER does not hold
yet (a run a core at a time; half an hour each), then judged on PHOTOS by the official rules.

A difference is that of the means over the seeds; its 95 % interval is that over 1,000 draws of the
photographs with replacement, the same ones for all networks, which are held as they are. The curve
is what each run told of itself as it went. The last line is JSON; --out writes it to a file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

RECIPES = {
    "with": "detection/wider708_scrfd_500m",
    "without": "detection/wider708_scrfd_500m_no_redistribution",
}
RESAMPLES = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, judge, print a table and the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--runs", required=True, type=Path)
    parser.add_argument("--truth", required=True, type=Path)
    parser.add_argument("--photos", required=True, type=Path)
    parser.add_argument("--seeds", default=[0], nargs="+", type=int)
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    asked = parser.parse_args(argv)
    if util.find_spec("torch") is None:
        print("left out: torch is not installed; pip install 'tronie[train]'", file=sys.stderr)
        return 0
    jobs = [(key, seed) for seed in asked.seeds for key in RECIPES]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as cores:
        list(cores.map(lambda job: _trained(*job, asked=asked), jobs))
    found = compare(asked.data, asked.runs, asked.truth, asked.photos, asked.seeds)
    for subset, row in found["subsets"].items():
        low, high = (100 * edge for edge in row["interval"])
        print(
            f"{subset:7} with {100 * row['with']:.1f}  without {100 * row['without']:.1f}  "
            f"difference {100 * row['difference']:+.2f}, 95 % {low:+.2f} to {high:+.2f}"
        )
    text = json.dumps(found, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    print(json.dumps(found))
    return 0


def compare(
    data: Path, runs: Path, truth_dir: Path, photos_dir: Path, seeds: Sequence[int]
) -> dict[str, Any]:
    """Average precision of each run, and the differences with their intervals."""
    from photo_draws import SUBSETS, counts_of, drawn_photos, expect_unseen, precisions

    from tronie.data.readers.widerface import FACES_FILE, SUBSET_FILES, read_truth
    from tronie.data.readers.widerface_photos import WiderPhotos, is_original
    from tronie.lab.training.detection_validation import detect_photos
    from tronie.lab.training.trained import load_trained
    from tronie.provenance import provenance

    truth = read_truth(truth_dir)
    values: dict[str, dict[str, list[list[float]]]] = {k: {s: [] for s in SUBSETS} for k in RECIPES}
    with WiderPhotos(photos_dir, truth.keys()) as photos:
        names = [name for name in photos.names() if is_original(photos.read(name))]
        expect_unseen(names, data)
        faces = {s: np.array([int(truth[n].counted[s].sum()) for n in names]) for s in SUBSETS}
        drawn = drawn_photos(len(names), RESAMPLES, seed=0)
        for key in RECIPES:
            for seed in seeds:
                _, network = load_trained(runs / f"{key}-{seed}")
                pictures = ((name, photos.read(name)) for name in names)
                counts = counts_of(detect_photos(network, pictures), truth, names)
                for subset in SUBSETS:
                    values[key][subset].append(precisions(counts[subset], faces[subset], drawn))
    files = {name: truth_dir / name for name in (FACES_FILE, *SUBSET_FILES.values())}
    return {
        "photographs": len(names),
        "seeds": list(seeds),
        "resamples": RESAMPLES,
        "subsets": {s: _compared({k: values[k][s] for k in RECIPES}) for s in SUBSETS},
        "curves": {f"{k}-{n}": _curve(runs / f"{k}-{n}") for k in RECIPES for n in seeds},
        "provenance": provenance(files).to_dict(),
    }


def _compared(values: dict[str, list[list[float]]]) -> dict[str, Any]:
    each = {key: np.array(runs) for key, runs in values.items()}  # (seeds, 1 + resamples)
    difference = each["with"].mean(axis=0) - each["without"].mean(axis=0)
    low, high = np.quantile(difference[1:], [0.025, 0.975])
    return {
        "with": float(each["with"][:, 0].mean()),
        "without": float(each["without"][:, 0].mean()),
        "with_of_seeds": each["with"][:, 0].tolist(),
        "without_of_seeds": each["without"][:, 0].tolist(),
        "difference": float(difference[0]),
        "interval": [float(low), float(high)],
    }


def _curve(run: Path) -> list[dict[str, Any]]:
    """What the run's log tells of its validations: step and average precision of each subset."""
    from tronie.lab.training.run_log import read_log

    return [
        {"step": line["step"], **line["validation"]}
        for line in read_log(run)
        if "validation" in line
    ]


def _trained(key: str, seed: int, *, asked: argparse.Namespace) -> None:
    out = asked.runs / f"{key}-{seed}"
    if list((out / "reports").glob("*10620.json")):
        return
    command = ["--resume", str(out)]
    if not out.exists():
        command = [RECIPES[key], "--data", str(asked.data), "--out", str(out)]
        for change in (
            f"seed={seed}",
            f"validation.truth={asked.truth.resolve()}",
            f"validation.photos={asked.photos.resolve()}",
        ):
            command += ["--set", change]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "tronie", "train", *command], check=True, env=alone)


if __name__ == "__main__":
    sys.exit(main())

"""Do margins help, and does Partial FC cost accuracy? Small networks on LFW's people, three seeds.

    python benchmarks/training/lfw_margins.py --data DIR --runs FOLDER

DIR is what the recipes recognition/lfw_small_resnet_* take: aligned crops of LFW's people and the
lists of View 1. Each recipe is trained for each seed that FOLDER does not hold yet (a run a core
at a time; minutes each), then every network is judged by the pairs of pairsDevTest.txt at the
threshold that is best on pairsDevTrain.txt.

A difference of two recipes is taken seed by seed on the same pairs, and its 95 % interval by
resampling the pairs 10,000 times, the three seeds' networks held as they are. Pairs are taken as
independent; some share a person, so that the interval is optimistic. The last line is JSON;
--out writes it to a file, as lfw_margins.json here was.
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
from numpy.typing import NDArray

RECIPES = ("normface", "arcface", "cosface", "arcface_long", "arcface_pfc01")
AGAINST = (
    ("arcface", "normface"),
    ("cosface", "normface"),
    ("arcface_pfc01", "arcface_long"),
    ("arcface_pfc01", "arcface"),
)
RESAMPLES = 10_000


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, judge, print a table and the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--runs", required=True, type=Path)
    parser.add_argument("--seeds", default=[1, 2, 3], nargs="+", type=int)
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    asked = parser.parse_args(argv)
    if util.find_spec("torch") is None:
        print("left out: torch is not installed; pip install 'tronie[train]'", file=sys.stderr)
        return 0
    jobs = [(recipe, seed) for seed in asked.seeds for recipe in RECIPES]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as cores:
        list(cores.map(lambda job: _trained(*job, data=asked.data, runs=asked.runs), jobs))
    found = compare(asked.data, asked.runs, asked.seeds)
    for name, row in found["accuracy"].items():
        print(f"{name:14} " + "  ".join(f"{100 * value:.1f}" for value in row["of_seeds"]))
    for name, row in found["differences"].items():
        low, high = (100 * edge for edge in row["interval"])
        print(f"{name:28} {100 * row['mean']:+.2f} points, 95 % {low:+.2f} to {high:+.2f}")
    text = json.dumps(found, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")
    print(json.dumps(found))
    return 0


def compare(data: Path, runs: Path, seeds: Sequence[int]) -> dict[str, Any]:
    """Accuracies of every recipe and seed, and the differences with their intervals."""
    from tronie.provenance import provenance

    right, seconds = {}, {}
    for recipe in RECIPES:
        folders = [runs / f"{recipe}-{seed}" for seed in seeds]
        right[recipe] = np.stack([_right(folder, data) for folder in folders])
        seconds[recipe] = [_minutes(folder) for folder in folders]
    differences = {}
    for one, other in AGAINST:
        of_pairs = (right[one].astype(int) - right[other].astype(int)).mean(axis=0)
        low, high = _interval(of_pairs)
        each = right[one].mean(axis=1) - right[other].mean(axis=1)
        differences[f"{one} - {other}"] = {
            "mean": float(of_pairs.mean()),
            "interval": [low, high],
            "of_seeds": [round(float(value), 4) for value in each],
        }
    return {
        "pairs": int(right[RECIPES[0]].shape[1]),
        "seeds": list(seeds),
        "accuracy": {
            recipe: {
                "mean": float(found.mean()),
                "of_seeds": [float(value) for value in found.mean(axis=1)],
                "minutes": seconds[recipe],
            }
            for recipe, found in right.items()
        },
        "differences": differences,
        "provenance": provenance({"pairsDevTest.txt": data / "pairsDevTest.txt"}).to_dict(),
    }


def _trained(recipe: str, seed: int, *, data: Path, runs: Path) -> None:
    out = runs / f"{recipe}-{seed}"
    if list((out / "reports").glob("*.json")):
        return
    asked = [f"recognition/lfw_small_resnet_{recipe}", "--data", str(data), "--out", str(out)]
    if out.exists():
        asked = ["--resume", str(out)]
    else:
        asked += ["--set", f"seed={seed}"]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "tronie", "train", *asked], check=True, env=alone)


def _right(folder: Path, data: Path) -> NDArray[np.bool_]:
    """Whether each pair of pairsDevTest.txt is told rightly, (P,)."""
    import torch

    from tronie.data.readers.lfw import read_pairs
    from tronie.evaluation.metrics.folds import best_threshold
    from tronie.lab.training.recognition import embed_crops
    from tronie.lab.training.runs import load_trained
    from tronie.lab.training.validation import pair_scores, unit_rows

    _, backbone = load_trained(folder)
    embed = embed_crops(backbone, torch.device("cpu"))
    judged, chosen_on = (
        [pair for fold in read_pairs(data / name) for pair in fold]
        for name in ("pairsDevTest.txt", "pairsDevTrain.txt")
    )
    unit = unit_rows([*judged, *chosen_on], data, embed, flip=True)
    threshold = best_threshold(*pair_scores(chosen_on, unit))
    scores, same = pair_scores(judged, unit)
    return np.asarray((scores >= threshold) == same)


def _interval(of_pairs: NDArray[np.float64]) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(of_pairs), size=(RESAMPLES, len(of_pairs)))
    low, high = np.quantile(of_pairs[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _minutes(folder: Path) -> float:
    """From the first line of a run's log to its last, by its images a second."""
    from tronie.lab.training.run_log import read_log

    lines = [line for line in read_log(folder) if "images_per_s" in line]
    images = json.loads((folder / "recipe.json").read_text())["recipe"]["batch_size"]
    steps = np.diff([0, *[line["step"] for line in lines]])
    seconds = sum(n * images / line["images_per_s"] for n, line in zip(steps, lines, strict=True))
    return round(seconds / 60, 1)


if __name__ == "__main__":
    sys.exit(main())

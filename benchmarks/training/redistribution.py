"""Is the network that a search has found better than the mean of those drawn at random?

    python benchmarks/training/redistribution.py RUN --truth MATS --photos PHOTOS [--out FILE]

RUN is what `tronie redistribute` wrote, MATS the folder of WIDER FACE's four .mat files, PHOTOS
photographs of its validation set, none of which the search has seen: that is checked. Every
candidate that is judged in RUN is judged again on them, by the official rules. All have been
trained alike and for as long: what is compared are layouts under one budget, not detectors that
are done.

    searched     the candidate with the best score of the search
    random       the candidates of step 1, the winner included if it is one of them
    difference   searched minus the mean of the random ones; its 95 % interval by drawing the
                 photographs with replacement, the same ones for all candidates. The networks, and
                 the range that their scores are normalized over, are held as they are

It also tells how far the order of the search is the order here (rank correlation). The last line
is JSON; --out writes it to a file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np

RESAMPLES = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Judge, print a table and the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--truth", required=True, type=Path, help="folder of the .mat files")
    parser.add_argument("--photos", required=True, type=Path, help="unpacked, or *.zip or *.tar")
    parser.add_argument("--size", default=640, type=int, help="side of the canvas, in pixels")
    parser.add_argument("--seed", default=0, type=int, help="of the resamples")
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    asked = parser.parse_args(argv)
    if util.find_spec("torch") is None:
        print("left out: torch is not installed; pip install 'tronie[train]'", file=sys.stderr)
        return 0
    found = compare(asked.run, asked.truth, asked.photos, size=asked.size, seed=asked.seed)
    for subset, row in found["subsets"].items():
        low, high = (100 * edge for edge in row["interval"])
        print(
            f"{subset:7} searched {100 * row['searched']:.2f}  random {100 * row['random']:.2f} "
            f"({row['networks']} networks, deviation {100 * row['deviation']:.2f})  difference "
            f"{100 * row['difference']:+.2f}, 95 % {low:+.2f} to {high:+.2f}  "
            f"rank correlation {row['rank_correlation']:.2f}"
        )
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))
    return 0


def compare(
    run: Path, truth_dir: Path, photos_dir: Path, *, size: int, seed: int
) -> dict[str, Any]:
    """Every candidate on these photographs, and the searched one beside the random ones."""
    from photo_draws import SUBSETS, counts_of, drawn_photos, expect_unseen, precisions

    from tronie.data.readers.widerface import FACES_FILE, SUBSET_FILES, read_truth
    from tronie.data.readers.widerface_photos import WiderPhotos, is_original
    from tronie.lab.training.detection_validation import detect_photos
    from tronie.lab.training.redistribute.findings import best_of
    from tronie.lab.training.redistribute.search_folder import (
        candidate_folder,
        read_asked,
        read_result,
    )
    from tronie.lab.training.trained import load_trained
    from tronie.provenance import provenance

    asked, truth = read_asked(run), read_truth(truth_dir)
    if asked.recipe.score != "held-out":
        raise SystemExit(
            f"{run} chose its winner by {asked.recipe.score} of WIDER FACE, and is not to be "
            "judged by it again; search with score=held-out"
        )
    candidates = (*asked.candidates(1), *asked.candidates(2))
    judged = [(c, result) for c in candidates if (result := read_result(run, c)) is not None]
    best = best_of(judged)
    if best is None:
        raise SystemExit(f"{run}: no candidate is judged yet")
    with WiderPhotos(photos_dir, truth.keys()) as photos:
        names = [name for name in photos.names() if is_original(photos.read(name))]
        expect_unseen(names, Path(asked.folder), asked.recipe.proxy.data.labels)
        faces = {
            subset: np.array([int(truth[name].counted[subset].sum()) for name in names])
            for subset in SUBSETS
        }
        drawn = drawn_photos(len(names), RESAMPLES, seed=seed)
        rows, resampled = [], []
        for n, (candidate, result) in enumerate(judged):
            _, network = load_trained(candidate_folder(run, candidate))
            pictures = ((name, photos.read(name)) for name in names)
            counts = counts_of(detect_photos(network, pictures, size=size), truth, names)
            own = {subset: precisions(counts[subset], faces[subset], drawn) for subset in SUBSETS}
            rows.append(
                {
                    "candidate": candidate.key,
                    "detector": candidate.detector,
                    "score": result.score,
                    **{subset: own[subset][0] for subset in SUBSETS},
                }
            )
            resampled.append(own)
            print(f"{n + 1} of {len(judged)}: {rows[-1]}", file=sys.stderr)
    winner = next(n for n, (candidate, _) in enumerate(judged) if candidate == best[0])
    random = [n for n, (candidate, _) in enumerate(judged) if candidate.step == 1]
    files = {name: truth_dir / name for name in (FACES_FILE, *SUBSET_FILES.values())}
    return {
        "run": asked.name,
        "searched": best[0].detector,
        "photographs": len(names),
        "size": size,
        "resamples": RESAMPLES,
        "seed": seed,
        "subsets": {s: _compared(s, rows, resampled, winner, random) for s in SUBSETS},
        "candidates": rows,
        "provenance": provenance(files).to_dict(),
    }


def _compared(
    subset: str,
    rows: Sequence[Mapping[str, Any]],
    resampled: Sequence[Mapping[str, Sequence[float]]],
    winner: int,
    random: Sequence[int],
) -> dict[str, Any]:
    values = np.array([one[subset] for one in resampled])  # (candidates, 1 + resamples)
    difference = values[winner] - values[random].mean(axis=0)
    low, high = np.quantile(difference[1:], [0.025, 0.975])
    order = [np.argsort(np.argsort(x)) for x in ([row["score"] for row in rows], values[:, 0])]
    enough = len(rows) > 1
    return {
        "searched": float(values[winner, 0]),
        "random": float(values[random, 0].mean()),
        "deviation": float(values[random, 0].std(ddof=1)) if len(random) > 1 else 0.0,
        "networks": len(random),
        "difference": float(difference[0]),
        "interval": [float(low), float(high)],
        "better_than": float((values[winner, 0] > values[random, 0]).mean()),
        "rank_correlation": float(np.corrcoef(order)[0, 1]) if enough else 1.0,
    }


if __name__ == "__main__":
    sys.exit(main())

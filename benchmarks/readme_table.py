"""The numbers of the README, from the Reports and benchmark files beside this one.

    python benchmarks/readme_table.py            print the block
    python benchmarks/readme_table.py --write    put it between the marks in README.md

Nothing is typed by hand: `accuracy/*.json` are Reports as `tronie evaluate --report` writes
them, `speed/*.csv` are rows that the benchmarks appended, `training/*.json` what training runs
gave; the newest rows of one run count.
A test holds the README to what this prints.
"""

from __future__ import annotations

import csv
import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"

PAIRS = {
    "lfw-sface.json": "YuNet + SFace, the default",
    "lfw-w600k-float32.json": "SCRFD-2.5G + w600k MobileFaceNet, float32",
    "lfw-w600k-stored.json": "the same, 8 bits as stored",
    "lfw-w600k-bfloat16.json": "the same, OpenVINO bfloat16",
}

ALL_PAIRS = {
    "lfw-all-sface.json": "YuNet + SFace, the default",
    "lfw-all-w600k-float32.json": "SCRFD-2.5G + w600k MobileFaceNet, float32",
}
MARGINS = {
    "normface": "NormFace (no margin)",
    "arcface": "ArcFace, m 0.3",
    "cosface": "CosFace, m 0.35",
    "arcface_long": "ArcFace for longer (24 epochs, batches of 32)",
    "arcface_pfc01": "ArcFace for longer, Partial FC at 0.1",
}
HEADS = {
    "full": "full softmax",
    "dense": "a tenth sampled, dense state",
    "ours": "a tenth sampled, tronie's Partial FC",
}
DETECTORS = {"tronie scrfd-0.5g-kps": "SCRFD-0.5G", "tronie scrfd-2.5g-kps": "SCRFD-2.5G"}
SIDES = {
    "product": "float32 product alone, numpy",
    "engine": "float32 product alone, onnxruntime",
    "histogram": "float32 product and a histogram (not exact)",
    "faiss": "faiss-cpu, range search",
    "tronie": "tronie, exact, end to end",
}


def block() -> str:
    """The tables, in Markdown."""
    parts = (
        _accuracy(),
        _all_pairs(),
        _speed(),
        _alignment(),
        _pairs_per_second(),
        _mr_all(),
        _margins(),
        _partial_fc(),
        _detectors(),
        _redistribution(),
    )
    return "\n".join([BEGIN, "", *(line for part in parts for line in (*part, "")), END])


def main() -> int:
    """Print the block, or write it."""
    if "--write" not in sys.argv[1:]:
        print(block())
        return 0
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN, 1)
    README.write_text(before + block() + rest.split(END, 1)[1], encoding="utf-8")
    return 0


def _accuracy() -> list[str]:
    lines = [
        "LFW, 6,000 pairs, ten folds, own detection and alignment"
        " (`tronie evaluate lfw --data DIR`):",
        "",
        "| models | accuracy | right of 6,000 | date, commit |",
        "|---|---:|---:|---|",
    ]
    for file, words in PAIRS.items():
        path = HERE / "accuracy" / file
        if not path.is_file():
            continue
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        value, std = told["values"]["accuracy"], told["values"]["std"]
        made = told["provenance"]
        lines.append(
            f"| {words} | {100 * value['value']:.2f} ± {100 * std['value']:.2f} % "
            f"| {value['count']} | {made['date'][:10]}, {str(made['commit'])[:8]} |"
        )
    return lines


def _all_pairs() -> list[str]:
    reports = {
        words: json.loads((HERE / "accuracy" / file).read_text(encoding="utf-8"))
        for file, words in ALL_PAIRS.items()
    }
    first = next(iter(reports.values()))["details"]["points"]
    fars = sorted(point["far"] for point in first)
    impostors = max(point["impostor_pairs"] for point in first)
    lines = [
        f"LFW, all {impostors:,} impostor pairs of its protocol photographs, TAR with the interval"
        " over people (`tronie evaluate lfw-all --data DIR`):",
        "",
        "| models | " + " | ".join(f"FAR {far:g}" for far in fars) + " | date, commit |",
        "|---|" + "---:|" * len(fars) + "---|",
    ]
    few = False
    for words, told in reports.items():
        cells = []
        for point in sorted(told["details"]["points"], key=lambda point: point["far"]):
            low, high = (100 * point["tar_interval"][end] for end in ("low", "high"))
            few |= point["few_errors"]
            mark = "*" if point["few_errors"] else ""
            cells.append(f"{100 * point['tar']:.2f}{mark} ({low:.2f} to {high:.2f})")
        made = told["provenance"]
        when = f"{made['date'][:10]}, {made['commit'][:8]}"
        lines.append(f"| {words} | " + " | ".join(cells) + f" | {when} |")
    if few:
        lines += ["", "\\* rests on fewer than 30 errors of one kind."]
    return lines


def _pairs_per_second() -> list[str]:
    rows = list(csv.DictReader((HERE / "speed" / "pairs.csv").open(encoding="utf-8")))
    dates = [row["date"] for row in rows if row["side"] == "faiss"]
    run = {row["side"]: row for row in rows if row["date"] == dates[-1]}
    first = run["tronie"]
    lines = [
        f"Every pair of {int(first['rows']):,} rows of {first['dimension']} numbers at FAR"
        f" {float(first['far']):g}, {first['threads']} threads, {first['cpu']}"
        f" (`benchmarks/speed/pairs.py`, {first['date'][:10]}, {first['commit'][:8]}):",
        "",
        "| | ratio | million pairs/s | lowest to highest | peak MiB |",
        "|---|---:|---:|---:|---:|",
    ]
    for side, words in SIDES.items():
        row = run[side]
        lines.append(
            f"| {words} | {float(row['ratio']):.2f} | {float(row['mpairs_per_s']):.0f} "
            f"| {float(row['mpairs_per_s_low']):.0f} to {float(row['mpairs_per_s_high']):.0f} "
            f"| {row['peak_mib']} |"
        )
    return lines


def _mr_all() -> list[str]:
    row = list(csv.DictReader((HERE / "speed" / "pairs_mr_all.csv").open(encoding="utf-8")))[-1]
    return [
        f"All {int(row['impostor_pairs']):,} impostor pairs of {int(row['rows']):,} rows of"
        f" {row['dimension']} numbers, the size of MR-All, exact, on {row['cores']} cores:"
        f" {float(row['seconds']) / 60:.1f} minutes, {int(row['pairs_per_s']) / 1e9:.2f} billion"
        f" pairs/s, peak memory {int(row['peak_mib']):,} MiB (`benchmarks/speed/pairs_mr_all.py`,"
        f" {row['date'][:10]}, {row['commit'][:8]})."
    ]


def _margins() -> list[str]:
    path = HERE / "training" / "lfw_margins.json"
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    made, minutes = told["provenance"], [m for r in told["accuracy"].values() for m in r["minutes"]]
    lines = [
        f"Trained here on LFW's people (peopleDevTrain, a small ResNet, one CPU core,"
        f" {min(minutes):.0f} to {max(minutes):.0f} minutes a run beside other work), right of"
        f" {told['pairs']:,} pairs of other people (pairsDevTest), seeds"
        f" {', '.join(map(str, told['seeds']))} (`benchmarks/training/lfw_margins.py`,"
        f" {made['date'][:10]}, {made['commit'][:8]}):",
        "",
        "| | mean | each seed | difference, 95 % |",
        "|---|---:|---:|---:|",
    ]
    for key, words in MARGINS.items():
        row = told["accuracy"][key]
        seeds = ", ".join(f"{100 * value:.1f}" for value in row["of_seeds"])
        against = next((name for name in told["differences"] if name.startswith(f"{key} - ")), None)
        cell = ""
        if against is not None:
            one = told["differences"][against]
            low, high = (100 * edge for edge in one["interval"])
            other = MARGINS[against.partition(" - ")[2]].partition(" (")[0].partition(",")[0]
            cell = f"{100 * one['mean']:+.1f} ({low:+.1f} to {high:+.1f}) to {other}"
        lines.append(f"| {words} | {100 * row['mean']:.1f} % | {seeds} | {cell} |")
    return lines


def _partial_fc() -> list[str]:
    rows = list(csv.DictReader((HERE / "speed" / "partial_fc.csv").open(encoding="utf-8")))
    last = rows[-1]
    lines = [
        f"One training step of the class centers, {last['threads']} threads, {last['cpu']}, batch"
        f" {last['batch']}, {last['dimension']} numbers (`benchmarks/speed/partial_fc.py`,"
        f" {last['date'][:10]}, {last['commit'][:8]}):",
        "",
        "| classes | | ratio | s a step | lowest to highest | peak MiB |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    newest = {(int(row["classes"]), row["side"]): row for row in rows}
    for classes in sorted({number for number, _ in newest}):
        dense = newest.get((classes, "dense"))
        for side, words in HEADS.items():
            row = newest.get((classes, side))
            if row is None:
                continue
            ratio = float(dense["seconds"]) / float(row["seconds"]) if dense else float("nan")
            lines.append(
                f"| {classes:,} | {words} | {ratio:.2f} | {float(row['seconds']):.3f} |"
                f" {float(row['seconds_low']):.3f} to {float(row['seconds_high']):.3f} |"
                f" {int(row['peak_mib']):,} |"
            )
    return lines


def _detectors() -> list[str]:
    every = list(csv.DictReader((HERE / "speed" / "detection.csv").open(encoding="utf-8")))
    rows = [row for row in every if row["mode"] == "latency" and row["side"] in DETECTORS]
    last, ways = rows[-1], list(product(("onnxruntime", "openvino"), ("1", "2")))
    # The newest row of a cell counts: sizes may be measured on different days.
    cells = {(row["size"], row["side"], row["engine"], row["threads"]): row for row in rows}
    lines = [
        "Our exports beside the published files of the same architecture and weights, one picture,"
        f" decoding included, {last['cpu']}: ms, and in brackets how many times as fast"
        f" (`benchmarks/speed/detection.py`, {last['date'][:10]}, {last['commit'][:8]}):",
        "",
        "| | " + " | ".join(f"{e}, {t} thread{'s' * (t != '1')}" for e, t in ways) + " |",
        "|---|" + "---:|" * len(ways),
    ]
    for size, (side, words) in product(("VGA", "HD", "4K"), DETECTORS.items()):
        found = [cells.get((size, side, *way)) for way in ways]
        if any(found):
            told = [f"{float(r['ms']):.1f} ({float(r['ratio']):.2f})" if r else "" for r in found]
            lines.append(f"| {words}, {size} | " + " | ".join(told) + " |")
    return lines


def _redistribution() -> list[str]:
    path = HERE / "training" / "sample_redistribution.json"
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    made = told["provenance"]
    lines = [
        "SCRFD-0.5G trained here on 708 photographs of WIDER FACE, half an hour on one CPU core"
        f" each, average precision on {told['photographs']} others by the official rules, seeds"
        f" {', '.join(map(str, told['seeds']))}, means; published for 12,880 photographs, not"
        " reproduced: 90.6, 88.1, 68.5 (`benchmarks/training/sample_redistribution.py`,"
        f" {made['date'][:10]}, {made['commit'][:8]}):",
        "",
        "| | crops by what is to be found | crops of 0.3 to 1.0 | difference, 95 % over photographs"
        " | of each seed |",
        "|---|---:|---:|---:|---:|",
    ]
    for subset, row in told["subsets"].items():
        low, high = (100 * edge for edge in row["interval"])
        each = zip(row["with_of_seeds"], row["without_of_seeds"], strict=True)
        seeds = ", ".join(f"{100 * (one - other):+.1f}" for one, other in each)
        lines.append(
            f"| {subset} | {100 * row['with']:.1f} % | {100 * row['without']:.1f} % "
            f"| {100 * row['difference']:+.1f} ({low:+.1f} to {high:+.1f}) | {seeds} |"
        )
    return lines


def _speed() -> list[str]:
    rows = list(csv.DictReader((HERE / "speed" / "pipeline.csv").open(encoding="utf-8")))
    run = [row for row in rows if row["date"] == rows[-1]["date"]]
    first = run[0]
    lines = [
        f"Detect, align and embed every face of {first['photos']} photographs, the same two ONNX"
        f" files, {first['threads']} threads, {first['cpu']} with {first['cores']} cores, one"
        f" process, medians of {first['rounds']} rounds (`benchmarks/speed/pipeline.py`,"
        f" {first['date'][:10]}, {first['commit'][:8]}):",
        "",
        "| | ratio | faces/s | lowest to highest | images/s |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in run:
        lines.append(
            f"| {row['side']} | {float(row['ratio']):.2f} | {float(row['faces_per_s']):.0f} "
            f"| {float(row['faces_per_s_low']):.0f} to {float(row['faces_per_s_high']):.0f} "
            f"| {float(row['images_per_s']):.1f} |"
        )
    return lines


def _alignment() -> list[str]:
    rows = list(csv.DictReader((HERE / "speed" / "alignment.csv").open(encoding="utf-8")))
    ours = [
        row for row in rows if row["what"] == "aligned_crops" and row["date"] == rows[-1]["date"]
    ]
    told = ", ".join(f"{int(row['crops_per_s']):,} in batches of {row['faces']}" for row in ours)
    return [
        f"Aligned crops a second on one core (`benchmarks/speed/alignment.py`,"
        f" {ours[0]['date'][:10]}, {ours[0]['commit'][:8]}): {told}."
    ]


if __name__ == "__main__":
    sys.exit(main())

"""The numbers of the README, from the Reports and benchmark files beside this one.

    python benchmarks/readme_table.py            print the block
    python benchmarks/readme_table.py --write    put it between the marks in README.md

Nothing is typed by hand: `accuracy/*.json` are Reports as `tronie evaluate --report` writes
them, `speed/*.csv` are rows that the benchmarks appended; the newest rows of one run count.
A test holds the README to what this prints.
"""

from __future__ import annotations

import csv
import json
import sys
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


def block() -> str:
    """The tables, in Markdown."""
    return "\n".join([BEGIN, "", *_accuracy(), "", *_speed(), "", *_alignment(), "", END])


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

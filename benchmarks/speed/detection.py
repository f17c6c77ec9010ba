"""Latency of face detectors, decoding included: ours and published files, in one process.

    python benchmarks/speed/detection.py --data FOLDER
    python benchmarks/speed/detection.py --data FOLDER --quick     # under a minute, nothing kept

FOLDER holds `wider/val_subset_183.tar` and `weights/`. Every side sees one photograph, stretched
to VGA, HD and 4K and given as it is: nothing is fitted into 640 x 640. Heights that are no
multiple of 32 get black rows below, 1088 and 2176 in all, since published files take no others.

    ours        scrfd-0.5g-kps and scrfd-2.5g-kps, exported decoded, with the weights of the
                published file: the same architecture, the same scores, the same faces
    published   scrfd_500m_bnkps.onnx (its fixed size made free), scrfd_2.5g_kps_dyn.onnx and
                yunet_n_dynamic.onnx, decoded by tronie's readers of these formats
    latency     network, decoding and suppression; making numbers of the pixels is timed apart,
                as it is the same for all
    engines     onnxruntime and OpenVINO, float32, with one thread and with two

Rounds alternate: in each, every side is asked once, in turn, so that a machine that slows down
slows all. `ratio` is the median over the rounds of the published side's time over this side's:
above 1 is faster than the published file of the same architecture (for YuNet: than SCRFD-500M).

Then pictures per second of eight photographs: one call each, one call for all, and side by side
on one thread each, as `tronie detect` works on many. There `ratio` is to one call each; a file
whose batch is fixed to one is not asked for all at once.

Needs torch for the export. Rows are appended to detection.csv.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from tronie.catalog import load
from tronie.errors import EngineUnavailable
from tronie.geometry.nms import greedy_nms
from tronie.images.io import read_image
from tronie.images.resize import resize
from tronie.images.threads import set_opencv_threads
from tronie.lab.nn.detectors.scrfd import build
from tronie.lab.training.export_detector import detector_onnx
from tronie.lab.training.published_weights import take_published_weights
from tronie.provenance import provenance
from tronie.runtime.contract import DETECTOR_FORMATS, Contract, infer_contract
from tronie.runtime.graph import free_size, load_graph, parse_graph
from tronie.runtime.pixels import network_input
from tronie.runtime.session import EngineOptions, Run, Session, session_of

SIZES = {"VGA": (640, 480), "HD": (1920, 1080), "4K": (4096, 2160)}
ROUNDS = {"VGA": 60, "HD": 15, "4K": 7}
BATCH_SIZES = ("VGA", "HD")
"""Where eight pictures are timed too; of 4K they take gigabytes at once."""
STRIDE, TOGETHER = 32, 8
SCORE, OVERLAP = 0.5, 0.4
PUBLISHED = {
    "scrfd_500m_bnkps": "0.5g-kps",
    "scrfd_2.5g_kps_dyn": "2.5g-kps",
    "yunet_n_dynamic": None,
}
"""Published file to our variant of the same architecture."""
HEAD = (
    "date", "commit", "dirty", "cpu", "cores", "size", "width", "height", "engine", "threads",
    "mode", "side", "ratio", "ms", "ms_low", "ms_high", "images_per_s", "network_ms", "decode_ms",
    "prepare_ms", "faces", "rounds", "libraries",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One detector open with one engine."""

    name: str
    base: str
    """The side that its ratio is taken to."""
    session: Session
    contract: Contract

    def pixels(self, photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, H, W, 3) as the network takes them."""
        return network_input(photos, self.contract)

    def faces(self, outputs: Sequence[NDArray[Any]], width: int, height: int) -> int:
        """Decode what was said of one picture, suppress, count."""
        decode = load(DETECTOR_FORMATS, self.contract.format, "decode")
        found = decode(outputs, width=width, height=height, score_threshold=SCORE)
        kept = greedy_nms(
            found.boxes,
            found.scores,
            iou_threshold=OVERLAP,
            pixel_offset=self.contract.nms_pixel_offset,
        )
        return len(kept)


@dataclass
class Times:
    """Milliseconds of one side, a round each."""

    whole: list[float] = field(default_factory=list)
    network: list[float] = field(default_factory=list)
    prepare: float = 0.0
    faces: int = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the ratio first, append the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("TRONIE_TEST_DATA"), type=Path)
    parser.add_argument("--quick", action="store_true", help="VGA alone, few rounds, no rows kept")
    parser.add_argument("--rounds", type=int, help="of each size; default 60, 15 and 7")
    parser.add_argument("--threads", nargs="+", default=[1, 2], type=int)
    parser.add_argument("--engines", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, help="default: all")
    parser.add_argument("--csv", default=Path(__file__).with_suffix(".csv"), type=Path)
    asked = parser.parse_args(argv)
    if asked.data is None or not (asked.data / "wider/val_subset_183.tar").is_file():
        print("skipped: give --data (or TRONIE_TEST_DATA), a folder with wider/ and weights/")
        return 0
    set_opencv_threads(1)
    torch.set_num_threads(1)
    photos = photographs(asked.data / "wider/val_subset_183.tar")
    models = networks(asked.data / "weights")
    made = provenance().to_dict()
    print(f"{made['date']}  commit {made['commit']}{' + changes' if made['dirty'] else ''}")
    print(f"{made['cpu']}, {made['cores']} cores; {told(made['libraries'])}")
    rows: list[dict[str, object]] = []
    sizes = asked.sizes or (["VGA"] if asked.quick else list(SIZES))
    for size, engine, threads in product(sizes, asked.engines, asked.threads):
        rounds = asked.rounds or (3 if asked.quick else ROUNDS[size])
        try:
            sides = opened(models, EngineOptions(engine=engine, threads=threads))
        except EngineUnavailable as fault:
            print(f"left out: {fault}", file=sys.stderr)
            continue
        here = {"size": size, "engine": engine, "threads": threads, "rounds": rounds}
        width, height = SIZES[size]
        stack = np.stack([laid_out(photo, width, height) for photo in photos])
        print(f"\n{size} {width}x{height}, {engine}, {threads} thread{'s' * (threads > 1)}")
        rows += latencies(sides, stack[:1], here)
        if size in BATCH_SIZES:
            rows += many(sides, stack, here)
    if not asked.quick:
        append(asked.csv, rows, made)
    return 0


def photographs(tar: Path) -> list[NDArray[np.uint8]]:
    """Eight photographs of crowds and few people, the first alone where one is looked at."""
    with tarfile.open(tar) as pack:
        names = sorted(m.name for m in pack.getmembers() if m.name.endswith(".jpg"))
        files = [pack.extractfile(name) for name in names[7 : 7 + TOGETHER]]
        return [read_image(file.read()) for file in files if file is not None]


def laid_out(photo: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Stretched to the size, with black rows and columns up to multiples of 32."""
    canvas = np.zeros((-(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE, 3), np.uint8)
    canvas[:height, :width] = resize(photo, width=width, height=height)
    return canvas


def networks(weights: Path) -> dict[str, tuple[str, onnx.ModelProto]]:
    """Name of a side to the side it is compared with and its graph."""
    found: dict[str, tuple[str, onnx.ModelProto]] = {}
    for name, variant in PUBLISHED.items():
        base = name if variant is not None else next(iter(PUBLISHED))
        found[name] = (base, with_free_size(load_graph(weights / f"{name}.onnx")))
        if variant is not None:
            ours = f"tronie scrfd-{variant}"
            network = take_published_weights(build(variant), weights / f"{name}.onnx")
            found[ours] = (base, parse_graph(detector_onnx(network), name=ours))
    return found


def with_free_size(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network on any size: enlargements by a factor, not to a size that was written."""
    fixed = [d.dim_value > 0 for d in model.graph.input[0].type.tensor_type.shape.dim[2:]]
    if not any(fixed):
        return model
    free = free_size(model)
    twice = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")
    free.graph.initializer.append(twice)
    for node in free.graph.node:
        if node.op_type == "Resize":
            del node.input[2:]
            node.input.append("twice")
    return free


def opened(models: Mapping[str, tuple[str, onnx.ModelProto]], options: EngineOptions) -> list[Side]:
    """Every side, with that engine."""
    sides = []
    for name, (base, model) in models.items():
        session = session_of(model, options, name=name)
        sides.append(Side(name, base, session, infer_contract(session)))
    return sides


def latencies(
    sides: Sequence[Side], photo: NDArray[np.uint8], here: dict[str, Any]
) -> list[dict[str, object]]:
    """One picture at a time, rounds alternating."""
    height, width = photo.shape[1:3]
    inputs, times = [], [Times() for _ in sides]
    for side, time_ in zip(sides, times, strict=True):
        time_.prepare = min(timed(lambda s=side: s.pixels(photo)) for _ in range(3))  # type: ignore[misc]
        inputs.append(side.pixels(photo))
        time_.faces = side.faces(side.session.run(inputs[-1]), width, height)  # warms up
    for n in range(here["rounds"]):
        for k in turned(len(sides), n):
            start = time.perf_counter()
            outputs = sides[k].session.run(inputs[k])
            times[k].network.append(milliseconds(start))
            sides[k].faces(outputs, width, height)
            times[k].whole.append(milliseconds(start))
    by_name = {side.name: time_ for side, time_ in zip(sides, times, strict=True)}
    print(f"{'':26} ratio        ms  (spread)            network  decode  prepare  faces")
    rows = []
    for side, each in zip(sides, times, strict=True):
        pairs = zip(by_name[side.base].whole, each.whole, strict=True)
        whole, network = statistics.median(each.whole), statistics.median(each.network)
        behind = [one - other for one, other in zip(each.whole, each.network, strict=True)]
        row = {
            **here, "mode": "latency", "side": side.name, "width": width, "height": height,
            "ratio": round(statistics.median(a / b for a, b in pairs), 3),
            "ms": round(whole, 3), "ms_low": round(min(each.whole), 3),
            "ms_high": round(max(each.whole), 3), "images_per_s": round(1000 / whole, 3),
            "network_ms": round(network, 3), "decode_ms": round(statistics.median(behind), 3),
            "prepare_ms": round(each.prepare, 3), "faces": each.faces,
        }  # fmt: skip
        spread = f"{row['ms_low']:.1f}..{row['ms_high']:.1f}"
        print(f"{side.name:26} {row['ratio']:5.2f}  {whole:8.2f}  ({spread:17})  {network:7.2f}  "
              f"{row['decode_ms']:6.2f}  {row['prepare_ms']:7.2f}  {each.faces:5}")  # fmt: skip
        rows.append(row)
    return rows


def many(
    sides: Sequence[Side], photos: NDArray[np.uint8], here: dict[str, Any]
) -> list[dict[str, object]]:
    """Eight pictures, in three ways, of the files that take them all at once."""
    height, width = photos.shape[1:3]
    rows = []
    rounds = max(3, here["rounds"] // 4)
    print(f"{f'{TOGETHER} pictures':36} ratio  images/s  (spread)")
    with ThreadPoolExecutor(here["threads"], thread_name_prefix="beside") as pool:
        for side in sides:
            ways = ways_of(side, side.pixels(photos), width, height, pool)
            faces = {mode: way() for mode, way in ways.items()}  # warms up, and counts
            took: dict[str, list[float]] = {mode: [] for mode in ways}
            for n in range(rounds):
                for k in turned(len(ways), n):
                    mode, way = list(ways.items())[k]
                    took[mode].append(timed(way))
            alone = took["one each"]
            for mode, each in took.items():
                ratio = statistics.median(a / b for a, b in zip(alone, each, strict=True))
                speeds = [1000 * TOGETHER / ms for ms in (max(each), min(each))]
                whole = statistics.median(each)
                spread = f"({speeds[0]:.1f}..{speeds[1]:.1f})"
                print(f"{f'{side.name}, {mode}':36} {ratio:5.2f}  {TOGETHER * 1000 / whole:8.2f}"
                      f"  {spread}")  # fmt: skip
                rows.append({
                    **here, "mode": mode, "side": side.name, "width": width, "height": height,
                    "rounds": rounds, "ratio": round(ratio, 3), "ms": round(whole, 3),
                    "ms_low": round(min(each), 3), "ms_high": round(max(each), 3),
                    "images_per_s": round(1000 * TOGETHER / whole, 3), "faces": faces[mode],
                })  # fmt: skip
    return rows


def ways_of(
    side: Side, pixels: NDArray[np.float32], width: int, height: int, pool: ThreadPoolExecutor
) -> dict[str, Callable[[], int]]:
    """Mode to what works through all pictures and counts their faces."""

    def one(n: int, run: Run) -> int:
        return side.faces(run(pixels[n : n + 1]), width, height)

    def together() -> int:
        outputs = side.session.run(pixels)
        each = ([o[n : n + 1] for o in outputs] for n in range(len(pixels)))
        return sum(side.faces(one_picture, width, height) for one_picture in each)

    ways: dict[str, Callable[[], int]] = {
        "one each": lambda: sum(one(n, side.session.run) for n in range(len(pixels))),
        "side by side": lambda: sum(
            pool.map(lambda n: one(n, side.session.run_beside), range(len(pixels)))
        ),
    }
    return {**ways, "together": together} if side.session.batch is None else ways


def turned(count: int, n: int) -> list[int]:
    """0 to count - 1, beginning with another one each round."""
    return [(n + k) % count for k in range(count)]


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return milliseconds(start)


def milliseconds(start: float) -> float:
    return 1000 * (time.perf_counter() - start)


def told(libraries: Mapping[str, str]) -> str:
    return " ".join(f"{name}={version}" for name, version in libraries.items())


def append(path: Path, rows: Sequence[Mapping[str, object]], made: Mapping[str, Any]) -> None:
    """All rows of this run, with who made them."""
    by_whom = {key: made[key] for key in ("date", "commit", "dirty", "cpu", "cores")}
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEAD, restval="", lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows({**by_whom, **row, "libraries": told(made["libraries"])} for row in rows)


if __name__ == "__main__":
    sys.exit(main())

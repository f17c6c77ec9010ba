"""Images and faces per second, side by side with the insightface package, in one process.

    python benchmarks/speed/pipeline.py --data FOLDER [--rounds 5] [--threads 2]

FOLDER holds `wider/val_subset_183.tar` and `weights/` (SCRFD-2.5G with points and the
quantized MobileFaceNet of WebFace600K). Both sides get the same ONNX files, the same decoded
photographs in memory, the canvas 640 x 640, the score threshold 0.5 and the same number of
threads; every face is detected, aligned and embedded. Rounds alternate, so that a machine
that slows down slows both. Reading JPEG files is left out on both sides.

insightface is not a dependency: `pip install insightface` puts it beside tronie. Without it
only our side is measured. Rows are appended to pipeline.csv.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tronie.errors import EngineUnavailable
from tronie.images.io import read_image
from tronie.images.threads import set_opencv_threads
from tronie.provenance import provenance
from tronie.runtime.pipeline import FaceAnalyzer
from tronie.runtime.session import EngineOptions

DETECTOR, RECOGNIZER = "scrfd_2.5g_kps_dyn.onnx", "w600k_mbf_int8.onnx"
OURS = (
    ("tronie onnxruntime float32", "onnxruntime", "float32"),
    ("tronie onnxruntime stored", "onnxruntime", "stored"),
    ("tronie openvino float32", "openvino", "float32"),
    ("tronie openvino bfloat16", "openvino", "bfloat16"),
)
Run = Callable[[], int]
"""Works through all photographs; returns the number of faces that were embedded."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table with the ratio first, append the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("TRONIE_TEST_DATA"), type=Path)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--photos", default=183, type=int, help="the first so many")
    asked = parser.parse_args(argv)
    if asked.data is None or not (asked.data / "wider/val_subset_183.tar").is_file():
        print("skipped: give --data (or TRONIE_TEST_DATA), a folder with wider/ and weights/")
        return 0
    set_opencv_threads(1)
    photos = _photographs(asked.data / "wider/val_subset_183.tar")[: asked.photos]
    sides = _sides(asked.data / "weights", photos, asked.threads)
    times: dict[str, list[float]] = {name: [] for name in sides}
    faces = {name: run() for name, run in sides.items()}  # warm up, and count
    for _ in range(asked.rounds):
        for name, run in sides.items():
            started_s = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started_s)
    _report(times, faces, photos=len(photos), threads=asked.threads)
    return 0


def _photographs(tar: Path) -> list[NDArray[np.uint8]]:
    with tarfile.open(tar) as pack:
        members = sorted(m.name for m in pack.getmembers() if m.name.endswith(".jpg"))
        files = [pack.extractfile(name) for name in members]
        return [read_image(file.read()) for file in files if file is not None]


def _sides(weights: Path, photos: list[NDArray[np.uint8]], threads: int) -> dict[str, Run]:
    sides: dict[str, Run] = {}
    peer = _insightface(weights, photos, threads)
    if peer is not None:
        sides[f"insightface {metadata.version('insightface')}"] = peer
    for name, engine, precision in OURS:
        options = EngineOptions(engine=engine, precision=precision, threads=threads)
        try:
            analyzer = FaceAnalyzer(weights / DETECTOR, weights / RECOGNIZER, options=options)
        except EngineUnavailable as fault:
            print(f"left out: {name}: {fault}", file=sys.stderr)
            continue
        sides[name] = lambda a=analyzer: sum(map(len, a.analyze_many(photos)))  # type: ignore[misc]
    return sides


def _insightface(weights: Path, photos: list[NDArray[np.uint8]], threads: int) -> Run | None:
    try:
        import onnxruntime
        from insightface.app import FaceAnalysis
    except ImportError:
        print("left out: insightface is not installed", file=sys.stderr)
        return None
    plain = onnxruntime.InferenceSession.__init__

    def with_threads(self: object, *rest: object, **named: object) -> None:
        """The package states no thread count; it is set on the sessions that it opens."""
        options = named.get("sess_options") or onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads  # type: ignore[attr-defined]
        plain(self, *rest, **{**named, "sess_options": options})

    swapped = [np.ascontiguousarray(photo[..., ::-1]) for photo in photos]
    with tempfile.TemporaryDirectory() as root:
        pack = Path(root) / "models" / "peer"
        pack.mkdir(parents=True)
        for file in (DETECTOR, RECOGNIZER):
            (pack / file).write_bytes((weights / file).read_bytes())
        onnxruntime.InferenceSession.__init__ = with_threads
        try:
            app = FaceAnalysis(name="peer", root=root, providers=["CPUExecutionProvider"])
            app.prepare(ctx_id=-1, det_thresh=0.5, det_size=(640, 640))
            app.get(swapped[0])  # the session for this canvas is opened by the first call
        finally:
            onnxruntime.InferenceSession.__init__ = plain
    return lambda: sum(len(app.get(photo)) for photo in swapped)


def _report(
    times: dict[str, list[float]], faces: dict[str, int], *, photos: int, threads: int
) -> None:
    made = provenance().to_dict()
    first = next(iter(times))
    base = faces[first] / statistics.median(times[first])
    print(f"{made['date']}  commit {made['commit']}{' + changes' if made['dirty'] else ''}")
    print(f"{made['cpu']}, {made['cores']} cores, {threads} threads, {photos} photographs")
    print(", ".join(f"{k} {v}" for k, v in made["libraries"].items()))
    print(f"\n{'':30}  ratio  faces/s  (spread)        images/s  faces")
    rows = []
    for name, seconds in times.items():
        median, best, worst = statistics.median(seconds), min(seconds), max(seconds)
        speed = faces[name] / median
        spread = f"{faces[name] / worst:.1f}..{faces[name] / best:.1f}"
        print(f"{name:30}  {speed / base:5.2f}  {speed:7.1f}  ({spread:13})  "
              f"{photos / median:8.2f}  {faces[name]:5}")  # fmt: skip
        rows.append([
            made["date"], made["commit"], made["dirty"], made["cpu"], made["cores"], threads,
            name, photos, faces[name], round(speed / base, 3), round(speed, 2),
            round(faces[name] / worst, 2), round(faces[name] / best, 2),
            round(photos / median, 3), len(seconds),
            " ".join(f"{k}={v}" for k, v in made["libraries"].items()),
        ])  # fmt: skip
    file = Path(__file__).with_suffix(".csv")
    fresh = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        if fresh:
            writer.writerow([
                "date", "commit", "dirty", "cpu", "cores", "threads", "side", "photos", "faces",
                "ratio", "faces_per_s", "faces_per_s_low", "faces_per_s_high", "images_per_s",
                "rounds", "libraries",
            ])  # fmt: skip
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())

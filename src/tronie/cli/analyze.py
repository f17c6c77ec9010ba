"""detect, align, embed: photographs to Faces, crops, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from tronie.cli import options
from tronie.cli.files import whole, writable_file, writable_folder
from tronie.cli.models_in_use import Chosen, open_analyzer
from tronie.cli.photos import Photo, Targets, photographs, tell_fault
from tronie.cli.terminal import number_of, print_json, print_table, progress, say, tell
from tronie.errors import BadInput, NoFace, TronieError
from tronie.geometry.alignment import five_point_template
from tronie.geometry.faces import Faces
from tronie.images.draw import draw_faces
from tronie.images.io import read_image, write_image
from tronie.runtime.pipeline import FaceAnalyzer


def detect(
    photos: options.Photos,
    *,
    draw: Annotated[
        Path | None,
        typer.Option("--draw", metavar="DIR", help="Write copies with the faces marked here."),
    ] = None,
    policy: options.Policy = "all",
    min_size: options.MinSize = 0.0,
    max_yaw: options.MaxYaw = 180.0,
    det_threshold: options.DetectorThreshold = None,
    canvas: options.Canvas = None,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Find faces: a box, a score and five points each.

    Boxes are x1 y1 x2 y2 in pixels of the upright photograph. The points are the eyes, the
    nose and the corners of the mouth. Faces stand by falling score.

    Exit code 3 where no photograph shows a face, 2 where one could not be read.
    """
    found = photographs(photos)
    if draw is not None:
        writable_folder(draw, option="--draw")
    chosen = Chosen(
        detector=detector,
        policy=policy,
        min_size=min_size,
        max_yaw=max_yaw,
        det_threshold=det_threshold,
        canvas=canvas,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    _detect(open_analyzer(chosen), found, draw=draw, json=json)


def align(
    photos: options.Photos,
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="OUT",
            help="Where the crops go; with one face a photograph, into folders as they came.",
        ),
    ],
    size: Annotated[
        int,
        typer.Option(
            "--size",
            metavar="PIXELS",
            min=96,
            max=4096,
            help="Side of a crop, a multiple of 112 or 128.",
        ),
    ] = 112,
    policy: options.Policy = "all",
    min_size: options.MinSize = 0.0,
    max_yaw: options.MaxYaw = 180.0,
    det_threshold: options.DetectorThreshold = None,
    canvas: options.Canvas = None,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Cut out aligned crops: faces turned upright, eyes and mouth in the same places.

    NAME_0.png is the face of NAME.jpg with the highest score, NAME_1.png the next. The crops
    follow the five points that recognizers are trained with, so that any of them can take one.

    With --policy center or largest a photograph has one crop, and those of a folder in the folder
    that you name stay apart: the face of DIR/Ada/Ada_0001.jpg becomes OUT/Ada/Ada_0001.png. So
    the crops of a set with one folder a person can be trained from, packed, and named in lists.

    Exit code 3 where no photograph shows a face, 2 where one could not be read.
    """
    five_point_template(size)
    found = photographs(photos)
    writable_folder(out, option="--out")
    chosen = Chosen(
        detector=detector,
        policy=policy,
        min_size=min_size,
        max_yaw=max_yaw,
        det_threshold=det_threshold,
        canvas=canvas,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    homes = _Homes(out, photos, found, kept=policy in ("center", "largest"))
    _align(open_analyzer(chosen), found, homes=homes, size=size, json=json)


def embed(
    photos: options.Photos,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="E.npy", help="The matrix; E.txt goes beside it.")
    ],
    policy: options.Policy = "largest",
    min_size: options.MinSize = 0.0,
    max_yaw: options.MaxYaw = 180.0,
    min_norm: options.MinNorm = 0.0,
    det_threshold: options.DetectorThreshold = None,
    canvas: options.Canvas = None,
    model: options.Model = options.DEFAULT_MODEL,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    flip: options.Flip = False,
    batch_size: options.BatchSize = None,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Turn each face into numbers that can be compared: an embedding, one row of a matrix.

    E.npy holds float32 (N, D), E.txt the photograph of each row, one a line. Rows are as the
    network gives them and not normalized, since their length tells of the picture's quality.
    Both files appear at the end, whole. With --policy all, a photograph has a row a face.

    Exit code 3 where no photograph shows a face, 2 where one could not be read.
    """
    if out.suffix != ".npy":
        raise BadInput(f"--out must end in .npy; got {out}")
    writable_file(out, option="--out")
    writable_file(out.with_suffix(".txt"), option="--out")
    found = photographs(photos)
    _refuse_line_breaks(found)
    chosen = Chosen(
        detector=detector,
        model=model,
        policy=policy,
        min_size=min_size,
        max_yaw=max_yaw,
        min_norm=min_norm,
        det_threshold=det_threshold,
        canvas=canvas,
        flip=flip,
        batch_size=batch_size,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    _embed(open_analyzer(chosen), found, out=out, json=json)


def _detect(
    analyzer: FaceAnalyzer, photos: Sequence[Photo], *, draw: Path | None, json: bool
) -> None:
    targets = None if draw is None else Targets(draw, photos)
    rows: list[tuple[object, ...]] = []
    total = failed = 0
    with progress(len(photos), "detecting", answering=json) as advance:
        outcomes = analyzer.stream(photo.source for photo in photos)
        for photo, outcome in zip(photos, outcomes, strict=True):
            advance(1)
            if isinstance(outcome, TronieError):
                failed += 1
                tell_fault(photo, outcome, json=json)
                continue
            total += len(outcome)
            if targets is not None:
                _draw(photo, outcome, targets)
            if json:
                told = {"file": photo.label, "faces": outcome.to_dicts()}
                print_json({**told, "notes": list(outcome.notes)} if outcome.notes else told)
            else:
                rows += _face_rows(photo.name, outcome)
    if rows:
        print_table(("file", "face", "score", "x1", "y1", "x2", "y2"), rows)
    _finish(failed, total, len(photos))


class _Homes:
    """Where crops go: into the folder that is named, or the folders they came in below it.

    Args:
        out: The folder that is named for them.
        words: What names the photographs.
        photos: The photographs.
        kept: A photograph in a folder below one that a word names keeps that folder, and its
            name. Where several are named, as a shell makes them of DIR/*, their own names count.
    """

    def __init__(
        self, out: Path, words: Sequence[str], photos: Sequence[Photo], *, kept: bool
    ) -> None:
        self._out = out
        self._named = {Path(word) for word in words if Path(word).is_dir()} if kept else set()
        self._loose = Targets(out, photos)
        self._targets: dict[Path, Targets] = {}
        self._by_folder: dict[Path, list[Photo]] = {}
        if kept:
            for photo in photos:
                if isinstance(photo.source, Path):
                    self._by_folder.setdefault(photo.source.parent, []).append(photo)
        self._by_folder = {folder.resolve(): them for folder, them in self._by_folder.items()}

    def files(self, photo: Photo, count: int) -> list[Path]:
        """The files of a photograph's crops, in folders that are there."""
        home = self._home(photo)
        if home is None:
            stem = self._loose.stem(photo)
            return [self._loose.file(f"{stem}_{n}.png") for n in range(count)]
        if not count:
            return []
        folder = self._out / home
        if home not in self._targets:
            writable_folder(folder, option="--out")
            self._targets[home] = Targets(folder, self._by_folder.get(folder.resolve(), []))
        targets = self._targets[home]
        assert count == 1, "one face a photograph was asked for"
        return [targets.file(f"{targets.stem(photo)}.png")]

    def _home(self, photo: Photo) -> Path | None:
        if not self._named or not isinstance(photo.source, Path):
            return None
        parent = photo.source.parent
        above = next(
            (one for one in (*reversed(parent.parents), parent) if one in self._named), None
        )
        if above is None:
            return None
        inside = parent.relative_to(above)
        if not inside.parts and len(self._named) > 1:
            inside = Path(parent.resolve().name)
        return inside if inside.parts else None


def _align(
    analyzer: FaceAnalyzer,
    photos: Sequence[Photo],
    *,
    homes: _Homes,
    size: int,
    json: bool,
) -> None:
    total = failed = 0
    with progress(len(photos), "aligning", answering=True) as advance:
        outcomes = analyzer.aligned((photo.source for photo in photos), size=size)
        for photo, (outcome, crops) in zip(photos, outcomes, strict=True):
            advance(1)
            if isinstance(outcome, TronieError):
                failed += 1
                tell_fault(photo, outcome, json=json)
                continue
            total += len(crops)
            files = homes.files(photo, len(crops))
            for file, crop in zip(files, crops, strict=True):
                write_image(file, crop)
            if json:
                print_json({"file": photo.label, "crops": files})
            else:
                tell(f"{photo.label}: {', '.join(map(str, files)) or 'no face'}")
    _finish(failed, total, len(photos))


def _embed(analyzer: FaceAnalyzer, photos: Sequence[Photo], *, out: Path, json: bool) -> None:
    parts: list[NDArray[np.float32]] = []
    lines: list[str] = []
    failed = without = 0
    with progress(len(photos), "embedding") as advance:
        outcomes = analyzer.stream(photo.source for photo in photos)
        for photo, outcome in zip(photos, outcomes, strict=True):
            advance(1)
            if isinstance(outcome, TronieError):
                failed += 1
                tell_fault(photo, outcome, json=False)
                continue
            assert outcome.embeddings is not None
            if len(outcome) == 0:
                without += 1
                why = "; ".join(outcome.notes) or "no face found"
                tell_fault(photo, NoFace(why), json=False)
            parts.append(outcome.embeddings)
            lines += [photo.label] * len(outcome)
    matrix = np.concatenate(parts) if lines else np.zeros((0, 0), np.float32)
    if lines:
        _write_matrix(out, matrix, lines)
    told = {
        "rows": len(lines),
        "dimension": int(matrix.shape[1]),
        "photos": len(photos),
        "without_face": without,
        "unreadable": failed,
        "model": analyzer.model_name,
        "contract": analyzer.contract_id,
        "out": out if lines else None,
    }
    if json:
        print_json(told)
    elif lines:
        tell(
            f"{out}: {number_of(len(lines), 'embedding', 'embeddings')} of {matrix.shape[1]} "
            f"numbers, from {number_of(len(photos), 'photograph', 'photographs')} ({without} "
            f"without a face, {failed} unreadable)."
        )
    _finish(failed, len(lines), len(photos))


def _draw(photo: Photo, faces: Faces, targets: Targets) -> None:
    labels = [f"{score:.2f}" for score in faces.scores]
    file = targets.file(f"{targets.stem(photo)}.faces.jpg")
    write_image(file, draw_faces(read_image(photo.source), faces, labels=labels))


def _face_rows(name: str, faces: Faces) -> list[tuple[object, ...]]:
    """One table row a face, the file's name in the first of them only."""
    if len(faces) == 0:
        return [(name, "none", "", "", "", "", "")]
    return [
        (name if n == 0 else "", n, f"{score:.3f}", *(f"{v:.0f}" for v in box))
        for n, (box, score) in enumerate(zip(faces.boxes, faces.scores, strict=True))
    ]


def _finish(failed: int, faces: int, photos: int) -> None:
    """Exit as the result deserves: 2 unreadable photographs, 3 no face anywhere."""
    if failed:
        raise typer.Exit(2)
    if faces == 0:
        say(f"no face found in {'the photograph' if photos == 1 else f'the {photos} photographs'}")
        raise typer.Exit(3)


def _refuse_line_breaks(photos: Sequence[Photo]) -> None:
    for photo in photos:
        if len(photo.label.splitlines()) != 1:
            raise BadInput(
                f"{photo.label!r} has a line break in its name and cannot stand in a list, one "
                "photograph a line; rename it"
            )


def _write_matrix(out: Path, matrix: NDArray[np.float32], lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    with whole(out.with_suffix(".txt"), out) as (listing, numbers):
        listing.write(text.encode("utf-8", "surrogateescape"))
        np.save(numbers, matrix)

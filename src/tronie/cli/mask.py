"""mask: masks put on the faces of a photograph."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from tronie.cli import options
from tronie.cli.files import writable_file
from tronie.cli.models_in_use import Chosen, open_analyzer
from tronie.cli.photos import Photo, fault_sentence, photographs
from tronie.cli.terminal import number_of, print_json, say, tell
from tronie.data.augment.masks import KIND_SHARES, mask_for, put_on
from tronie.errors import BadInput, NoFace, TronieError
from tronie.geometry.faces import Faces
from tronie.images.io import WRITABLE_SUFFIXES, read_image, write_image
from tronie.images.pixels import Pixels
from tronie.provenance import file_sha256
from tronie.runtime.pipeline import FaceAnalyzer


def mask(
    photo: Annotated[
        str, typer.Argument(metavar="PHOTO", help="One photograph; - reads standard input.")
    ],
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="masked.jpg", help="The photograph with masks.")
    ],
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="NAME", help=f"{', '.join(KIND_SHARES)}; by chance if not."),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Another number deals out other masks.")
    ] = 0,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="TEXT",
            help="Who it is: photographs with one key get the same mask. Else the file's checksum.",
        ),
    ] = None,
    min_size: options.MinSize = 0.0,
    det_threshold: options.DetectorThreshold = None,
    canvas: options.Canvas = None,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Put a mask on every face of a photograph, as training with masks does.

    The mask follows the five points and the turn of the head, and takes its light from the face
    below. Eyes stay free, and pixels outside the masks are unchanged where OUT is a PNG. Which
    mask it is follows from the key, the face's place from left to right, and the seed.

    Exit code 3 where the photograph shows no face; then nothing is written.
    """
    if kind is not None:
        mask_for("", kind=kind)  # refuses a name that is none before any model is opened
    if out.suffix.lower() not in WRITABLE_SUFFIXES:
        raise BadInput(f"--out must end in one of {' '.join(WRITABLE_SUFFIXES)}; got {out}")
    writable_file(out, option="--out")
    found = photographs([photo])
    if len(found) != 1:
        raise BadInput(f"one photograph at a time is masked; {photo} names {len(found)}")
    if isinstance(found[0].source, Path) and out.exists() and out.samefile(found[0].source):
        raise BadInput(f"{out} is the photograph itself, and is not written over; name another")
    chosen = Chosen(
        detector=detector,
        min_size=min_size,
        det_threshold=det_threshold,
        canvas=canvas,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    _mask(open_analyzer(chosen), found[0], out=out, kind=kind, seed=seed, key=key, json=json)


def _mask(
    analyzer: FaceAnalyzer,
    photo: Photo,
    *,
    out: Path,
    kind: str | None,
    seed: int,
    key: str | None,
    json: bool,
) -> None:
    try:
        image = read_image(photo.source)
        faces = analyzer.analyze(image)
    except TronieError as fault:
        raise type(fault)(fault_sentence(photo, fault)) from fault
    for note in faces.notes:
        say(note)
    if len(faces) == 0:
        raise NoFace(f"no face found in {photo.label}, and nothing was written")
    masked, told = _masked(image, faces, key=key or _checksum(photo), kind=kind, seed=seed)
    write_image(out, masked)
    if json:
        print_json({"file": photo.label, "out": out, "seed": seed, "faces": told})
    else:
        kinds = ", ".join(str(face["kind"]) for face in told)
        tell(f"{out}: {number_of(len(told), 'face', 'faces')} with a mask, {kinds}")


def _masked(
    image: Pixels, faces: Faces, *, key: str, kind: str | None, seed: int
) -> tuple[Pixels, list[dict[str, object]]]:
    """The photograph, and what each face got, from left to right; those behind are drawn first."""
    if faces.landmarks is None:
        raise BadInput("a mask is put on by five points; choose a detector that gives them")
    across = sorted(range(len(faces)), key=lambda n: float(faces.boxes[n, 0]))
    keys = [key, *(f"{key}/{place}" for place in range(1, len(across)))]
    masks = {n: mask_for(k, seed=seed, kind=kind) for n, k in zip(across, keys, strict=True)}
    for n in sorted(across, key=lambda n: float(faces.boxes[n, 3] - faces.boxes[n, 1])):
        image = put_on(image, faces.landmarks[n], masks[n])
    plain = faces.to_dicts()
    told: list[dict[str, object]] = [
        {
            **plain[n],
            "kind": masks[n].kind,
            "pattern": masks[n].fabric.pattern,
            "color": list(masks[n].fabric.color),
        }
        for n in across
    ]
    return image, told


def _checksum(photo: Photo) -> str:
    if isinstance(photo.source, bytes):
        return hashlib.sha256(photo.source).hexdigest()
    return file_sha256(photo.source)

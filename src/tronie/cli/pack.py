"""pack: pictures of named people into shards to train from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tronie.cli import options
from tronie.cli.models_in_use import Chosen, open_analyzer
from tronie.cli.terminal import number_of, print_json, progress, say, tell
from tronie.data.pack import Encoded, Packed, write_shards
from tronie.data.readers.image_folder import identities
from tronie.data.readers.lfw import LfwPhotos, read_people
from tronie.data.readers.recordio import RecordArchive
from tronie.data.readers.shards import ABOUT, Shards
from tronie.errors import BadFile, BadImage, BadInput, NoFace, NotFound, TronieError
from tronie.images.io import encode_image
from tronie.runtime.pipeline import FaceAnalyzer

CROP = 112
_JPEG_QUALITY = 95
_TOLD = 5


def pack(
    data: Annotated[
        Path, typer.Argument(metavar="DIR|train.rec", help="One folder a person, or an archive.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="SHARDS", help="The folder to be made.")],
    people: Annotated[
        Path | None,
        typer.Option(
            "--people",
            metavar="LIST",
            help="DIR holds LFW, unpacked or zipped: take these people, as in peopleDevTrain.txt.",
        ),
    ] = None,
    align: Annotated[
        bool,
        typer.Option(
            "--align",
            help="Store aligned crops, 112 pixels wide, of the face nearest the center of each.",
        ),
    ] = False,
    skip_unreadable: Annotated[
        bool,
        typer.Option("--skip-unreadable", help="Leave out and count pictures that are damaged."),
    ] = False,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    canvas: options.Canvas = None,
    det_threshold: options.DetectorThreshold = None,
    engine: options.Engine = "onnxruntime",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    precision: options.Precision = "float32",
    json: options.Json = False,
) -> None:
    """Pack pictures of named people into shards: a few large files and an index.

    DIR has one folder a person; train.rec is an archive as MXNet trained from, and may also be
    named by the folder it lies in. Pictures are stored as they are, byte for byte, unless they
    are aligned. SHARDS appears at the end, whole.

    Photographs in which --align finds no face are left out and counted. A person without any
    picture left has no label.
    """
    chosen = Chosen(
        detector=detector,
        policy="center",
        canvas=canvas,
        det_threshold=det_threshold,
        engine=engine,
        device=device,
        threads=threads,
        precision=precision,
    )
    with _opened(data, people) as source:
        for note in source.notes:
            say(note)
        images = source.images
        if align:
            images = aligned(images, open_analyzer(chosen))
        with progress(source.count, "aligning and packing" if align else "packing") as advance:
            packed = write_shards(images, out, skip_unreadable=skip_unreadable, progress=advance)
    with Shards(out) as made:
        checksum = made.sha256
    _tell(packed, out, checksum, notes=source.notes, json=json)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the pictures come from."""

    images: Iterable[Encoded]
    count: int
    notes: tuple[str, ...] = ()


def aligned(images: Iterable[Encoded], analyzer: FaceAnalyzer) -> Iterator[Encoded]:
    """Each image as the crop of its face, a JPEG; `NoFace` in its place where there is none."""
    waiting: deque[Encoded] = deque()

    def sources() -> Iterator[bytes]:
        for image in images:
            waiting.append(image)
            yield image.data if isinstance(image.data, bytes) else b""

    for outcome, crops in analyzer.aligned(sources(), size=CROP):
        image = waiting.popleft()
        data: bytes | TronieError
        if isinstance(image.data, TronieError):
            data = image.data
        elif isinstance(outcome, TronieError):
            why = str(outcome).removeprefix("'image' ")  # its bytes have no name
            data = type(outcome)(f"{image.name!r} {why}")
        elif len(crops) == 0:
            data = NoFace(f"{image.name} shows no face")
        else:
            data = encode_image(crops[0], ".jpg", quality=_JPEG_QUALITY)
        yield image._replace(data=data)


@contextmanager
def _opened(data: Path, people: Path | None) -> Iterator[Source]:
    """The pictures that the words on the command line name."""
    with ExitStack() as stack:
        if people is not None:
            yield _of_lfw(stack.enter_context(LfwPhotos(data)), data, people)
            return
        inside = data / "train.rec"
        if data.suffix == ".rec" or inside.is_file():
            file = inside if data.is_dir() else data
            yield _of_archive(stack.enter_context(RecordArchive(file)), file)
            return
        yield _of_folder(data)


def _of_folder(folder: Path) -> Source:
    if folder.is_file():
        raise BadInput(f"{folder} is no archive; give a folder of pictures, or a train.rec")
    if (folder / ABOUT).is_file():
        raise BadInput(f"{folder} holds shards already; train from them, or give their pictures")
    try:
        named = identities([folder])
    except NotFound as fault:
        if folder.is_dir() and any(folder.glob("*.zip")):
            raise NotFound(f"{fault}; of the zip of LFW name people with --people LIST") from fault
        raise
    images = (Encoded(name, str(path), _bytes_of(path)) for name, path in named)
    return Source(images=images, count=len(named))


def _bytes_of(path: Path) -> bytes | TronieError:
    if not path.is_file():  # opening a pipe would wait for its writer
        return BadImage(f"{path} is no plain file")
    try:
        return path.read_bytes()
    except OSError as fault:
        return BadImage(f"cannot read {path}: {fault.strerror}")


def _of_archive(archive: RecordArchive, file: Path) -> Source:
    keys = archive.images().tolist()
    return Source(images=(_record(archive, file, key) for key in keys), count=len(keys))


def _record(archive: RecordArchive, file: Path, key: int) -> Encoded:
    """An image of an archive; the name of its class is the number that the archive gives it."""
    name = f"{file}: record {key}"
    record = archive.read(key)
    number = record.label[0] if record.label else -1.0
    if not (number >= 0 and number.is_integer()):
        raise BadFile(f"{name} must have a class from 0 as its first label; got {number}")
    return Encoded(str(int(number)), name, record.payload)


def _of_lfw(photos: LfwPhotos, data: Path, people: Path) -> Source:
    listed = read_people(people if people.is_file() else data / people)
    here = [photo for photo in photos.all() if photo.name in listed]
    found = {photo.name for photo in here}
    if not here:
        raise NotFound(f"{data} has no photograph of any of the {len(listed)} people of {people}")
    lacking, nobody = sum(listed.values()) - len(here), len(listed) - len(found)
    notes = (
        f"of {people} {lacking} of {sum(listed.values())} photographs are not in {data}, nor any "
        f"of {nobody} of {len(listed)} people",
    )
    images = (Encoded(p.name, str(p), photos.read(p.name, p.number)) for p in here)
    return Source(images=images, count=len(here), notes=notes if lacking > 0 else ())


def _tell(packed: Packed, out: Path, checksum: str, *, notes: tuple[str, ...], json: bool) -> None:
    warnings = _warnings(packed)
    for warning in warnings:
        say(warning)
    if not json:
        tell(
            f"{out}: {number_of(packed.images, 'image', 'images')} of "
            f"{number_of(packed.classes, 'person', 'people')} in "
            f"{number_of(packed.shards, 'shard', 'shards')}, {packed.bytes / 1e6:.1f} MB"
        )
        return
    sizes = [{"width": w, "height": h, "images": n} for (w, h), n in packed.sizes.items()]
    print_json(
        {
            "images": packed.images,
            "classes": packed.classes,
            "shards": packed.shards,
            "bytes": packed.bytes,
            "duplicates": packed.duplicates,
            "duplicates_across_classes": packed.duplicates_across,
            "unreadable": len(packed.unreadable),
            "without_face": packed.without_face,
            "empty_classes": packed.empty_classes,
            "sizes": sizes[:_TOLD],
            "out": out,
            "sha256": checksum,
            "warnings": [*notes, *warnings],
        }
    )


def _warnings(packed: Packed) -> list[str]:
    """What whoever trains from this should know, a sentence each."""
    told = list(packed.unreadable[:_TOLD])
    if len(packed.unreadable) > _TOLD:
        told.append(f"{len(packed.unreadable)} pictures could not be read, in all")
    if packed.without_face:
        told.append(
            f"{number_of(packed.without_face, 'photograph shows', 'photographs show')} no face"
        )
    if packed.empty_classes:
        who = ", ".join(packed.empty_classes[:_TOLD])
        more = ", ..." if len(packed.empty_classes) > _TOLD else ""
        count = number_of(len(packed.empty_classes), "person has", "people have")
        told.append(f"{count} no picture left and no label: {who}{more}")
    if packed.duplicates:
        told.append(
            f"{number_of(packed.duplicates, 'image is', 'images are')} there before, byte for byte"
        )
    if packed.duplicates_across:
        count = number_of(packed.duplicates_across, "image stands", "images stand")
        told.append(f"{count} under two people: {'; '.join(packed.examples_across)}")
    if packed.classes == 1:
        told.append(
            "all pictures are one person's, and training needs two or more; put those of each "
            "person into a folder of their own"
        )
    others = packed.images - packed.sizes.get((CROP, CROP), 0)
    if others:
        told.append(
            f"{number_of(others, 'image is', 'images are')} not {CROP} x {CROP} pixels; networks "
            "are trained on aligned crops, which --align makes"
        )
    return told

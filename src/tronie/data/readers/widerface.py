r"""WIDER FACE: ground truth of the validation set, its text labels, and predictions.

    wider_face_val.mat              every face of 3,226 photographs, as x y w h
    wider_{easy,medium,hard}_val.mat    which of them count in each subset, from 1 on

    # EVENT/PHOTO.jpg width height              labelv2: a photograph, then a face a line
    x1 y1 x2 y2                                 the box alone
    x1 y1 x2 y2 1                               a face to be ignored
    x1 y1 x2 y2  x y  x y  x y  x y  x y        with five landmarks
    x1 y1 x2 y2  x y flag  ... (five times)     the same; -1 -1 -1 is a point not known
    x y w h  x y flag  ... (five times)  blur   label v1, the first form of RetinaFace

    PHOTO                           predictions, one file EVENT/PHOTO.txt a photograph
    2
    x y w h score                   as many lines as announced

A photograph's name is EVENT/PHOTO without the suffix. Boxes are x1 y1 x2 y2 in pixels,
float64, made by x2 = x + w as the official evaluation makes them.

Source: Yang et al., "WIDER FACE", CVPR 2016, and the evaluation toolkit of its site; the
text labels are those of InsightFace's RetinaFace and SCRFD.
Letters: M faces, N detections.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.matlab import Value, read_mat
from tronie.data.readers.text_lines import read_count, read_lines, read_numbers
from tronie.errors import BadFile, NotFound
from tronie.geometry.boxes import xywh_to_xyxy

SUBSETS = ("easy", "medium", "hard")
FACES_FILE = "wider_face_val.mat"
SUBSET_FILES = {subset: f"wider_{subset}_val.mat" for subset in SUBSETS}
MAX_PREDICTION_BYTES = 1 << 30
"""An array of a predictions file larger than this is refused before it is unpacked."""


class WiderPhoto(NamedTuple):
    """The faces of one photograph, and which of them count in each subset."""

    boxes: NDArray[np.float64]
    """(M, 4)"""
    counted: Mapping[str, NDArray[np.bool_]]
    """Subset to (M,); a face that does not count is ignored, not absent."""


class Detected(NamedTuple):
    """What a detector found in one photograph."""

    boxes: NDArray[np.float64]
    """(N, 4)"""
    scores: NDArray[np.float64]
    """(N,)"""


WiderTruth: TypeAlias = Mapping[str, WiderPhoto]
Detections: TypeAlias = Mapping[str, Detected]


_Row: TypeAlias = tuple[list[float], list[list[float]], bool]
"""Box, landmarks and whether it is ignored."""
_UNKNOWN = [[math.nan, math.nan]] * 5


@dataclass(frozen=True, eq=False, kw_only=True)
class LabeledPhoto:
    """One photograph of a labelv2 file."""

    name: str
    """As the file has it, with its suffix."""
    size: tuple[int, int] | None
    """Width and height in pixels, where the file tells them."""
    boxes: NDArray[np.float64]
    """(M, 4)"""
    landmarks: NDArray[np.float64]
    """(M, 5, 2), NaN where a point is not known."""
    ignored: NDArray[np.bool_]
    """(M,)"""


def read_truth(data_dir: str | Path) -> dict[str, WiderPhoto]:
    """The official ground truth, photograph by photograph, in the order of its files.

    Raises:
        NotFound: one of the four .mat files is not in the folder.
        BadFile: a file is damaged, or the four do not belong together.
    """
    folder = Path(data_dir)
    whole = read_mat(folder / FACES_FILE, ("event_list", "file_list", "face_bbx_list"))
    lists = {
        subset: read_mat(folder / file, ("gt_list",))["gt_list"]
        for subset, file in SUBSET_FILES.items()
    }
    try:
        return dict(_truth(whole, lists))
    except (TypeError, ValueError, IndexError) as error:
        raise BadFile(
            f"the ground truth in {folder} is not that of WIDER FACE, or its four files do not"
            f" belong together: {error}"
        ) from error


def read_labels(path: str | Path) -> list[LabeledPhoto]:
    """The photographs of a labelv2 file, in its order.

    Raises:
        NotFound: there is no such file.
        BadFile: a line breaks the format; the message names it.
    """
    return labels_of(read_lines(Path(path)), path=path)


def read_faces(path: str | Path) -> list[LabeledPhoto]:
    """Every face of a `wider_face_*.mat`, of training or validation, in its order.

    Names have the suffix .jpg, which the file leaves out; sizes are not known.

    Raises:
        NotFound: there is no such file, or it lacks a list.
        BadFile: the file is damaged, or no list of faces.
    """
    whole = read_mat(Path(path), ("event_list", "file_list", "face_bbx_list"))
    try:
        found = _truth(whole, {})
    except (TypeError, ValueError, IndexError) as error:
        raise BadFile(f"{path} is no list of faces of WIDER FACE: {error}") from error
    return [
        LabeledPhoto(
            name=f"{name}.jpg",
            size=None,
            boxes=photo.boxes,
            landmarks=np.full((len(photo.boxes), 5, 2), np.nan),
            ignored=np.zeros(len(photo.boxes), np.bool_),
        )
        for name, photo in found
    ]


def labels_of(lines: Sequence[str], *, path: str | Path) -> list[LabeledPhoto]:
    """The photographs of the lines of a labelv2 file, which errors call `path`.

    Raises:
        BadFile: a line breaks the format; the message names it.
    """
    photos: list[LabeledPhoto] = []
    header = ""
    rows: list[_Row] = []
    for n, line in enumerate(lines, start=1):
        if line.startswith("#"):
            if header:
                photos.append(_labeled(header, rows))
            header, rows = _header(line, where=f"{path}:{n}"), []
        elif line.strip():
            if not header:
                raise BadFile(f"{path}:{n}: a face stands before the first '# PHOTO' line")
            rows.append(_label(line, where=f"{path}:{n}"))
    return [*photos, _labeled(header, rows)] if header else photos


def read_predictions(path: str | Path) -> dict[str, Detected]:
    """Predictions, from a folder of text files or from one .npz file.

    An .npz file holds `names` (P,), `counts` (P,), `xywh` (N, 4) and `score` (N,): the first
    counts[0] rows belong to names[0], and so on.

    Raises:
        NotFound: it is not there, or a folder holds no EVENT/PHOTO.txt.
        BadFile: a file is damaged, breaks its format, or holds a number that is not finite.
    """
    source = Path(path)
    return _read_folder(source) if source.is_dir() else _read_npz(source)


def _truth(whole: dict[str, Value], lists: dict[str, Value]) -> list[tuple[str, WiderPhoto]]:
    truth = []
    columns = [_cells(whole[key]) for key in ("event_list", "file_list", "face_bbx_list")]
    subsets = [_cells(counted) for counted in lists.values()]
    for event, files, boxes, *counted in zip(*columns, *subsets, strict=True):
        if not isinstance(event, str):
            raise TypeError("an event's name is no text")
        photos = zip(*map(_cells, (files, boxes, *counted)), strict=True)
        for file, xywh, *rows in photos:
            if not isinstance(file, str):
                raise TypeError(f"a photograph of {event} has no name")
            faces = _corners(_matrix(xywh, columns=4))
            marks = {
                subset: _marked(_matrix(numbers, columns=1)[:, 0], len(faces))
                for subset, numbers in zip(lists, rows, strict=True)
            }
            truth.append((f"{event}/{file}", WiderPhoto(faces, marks)))
    return truth


def _cells(value: Value) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise TypeError("a list of cells is no list")
    return value


def _matrix(value: Value, *, columns: int) -> NDArray[np.float64]:
    numbers = np.asarray(value, np.float64)
    return numbers.reshape(-1, columns) if numbers.size == 0 else _expect(numbers, columns)


def _expect(numbers: NDArray[np.float64], columns: int) -> NDArray[np.float64]:
    if numbers.ndim != 2 or numbers.shape[1] != columns or not np.isfinite(numbers).all():
        raise ValueError(f"numbers of shape {numbers.shape} where (M, {columns}) must be")
    return numbers


def _corners(xywh: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(xywh_to_xyxy(xywh.astype(np.float64)), np.float64)


def _marked(numbers: NDArray[np.float64], faces: int) -> NDArray[np.bool_]:
    """Rows counted from 1, as a mask."""
    if not ((numbers >= 1) & (numbers <= faces)).all():
        raise ValueError(f"face {numbers.max():g} of a photograph with {faces}")
    mask = np.zeros(faces, np.bool_)
    mask[numbers.astype(np.int64) - 1] = True
    return mask


def _header(line: str, *, where: str) -> str:
    words = line[1:].split()
    sizes = words[1:]
    if len(words) not in (1, 3) or not all(word.isdecimal() for word in sizes):
        raise BadFile(f"{where}: must read '# PHOTO' or '# PHOTO width height'; got {line!r}")
    return " ".join(words)


def _label(line: str, *, where: str) -> _Row:
    """Box, landmarks (NaN where not known) and whether it is to be ignored."""
    values = read_numbers(line, where=where)
    box, rest = values[:4], values[4:]
    if len(box) < 4 or len(rest) not in (0, 1, 10, 15, 16):
        raise BadFile(
            f"{where}: a face has 4 numbers, 5 (ignored or not), 14, 19 or 20 (with landmarks);"
            f" got {len(values)}"
        )
    if len(rest) == 16:
        box, rest = [box[0], box[1], box[0] + box[2], box[1] + box[3]], rest[:15]
    if box[2] < box[0] or box[3] < box[1]:
        raise BadFile(f"{where}: a box must read x1 y1 x2 y2 or have a size; got {line.strip()!r}")
    if len(rest) == 10:
        return box, [rest[n : n + 2] for n in range(0, 10, 2)], False
    if len(rest) == 15:
        points = [rest[n : n + 3] for n in range(0, 15, 3)]
        return box, [_UNKNOWN[0] if p == [-1, -1, -1] else p[:2] for p in points], False
    return box, _UNKNOWN, rest == [1.0]


def _labeled(header: str, rows: list[_Row]) -> LabeledPhoto:
    name, *size = header.split(" ")
    return LabeledPhoto(
        name=name,
        size=(int(size[0]), int(size[1])) if size else None,
        boxes=np.array([box for box, _, _ in rows], np.float64).reshape(-1, 4),
        landmarks=np.array([points for _, points, _ in rows], np.float64).reshape(-1, 5, 2),
        ignored=np.array([ignored for _, _, ignored in rows], np.bool_),
    )


def _read_folder(folder: Path) -> dict[str, Detected]:
    files = sorted(folder.glob("*/*.txt"))
    if not files:
        raise NotFound(f"{folder} holds no predictions EVENT/PHOTO.txt")
    return {f"{file.parent.name}/{file.stem}": _read_text(file) for file in files}


def _read_text(file: Path) -> Detected:
    lines = read_lines(file)
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) < 2:
        raise BadFile(f"{file}: must hold a name, a count, and a face a line")
    named = lines[0].strip().rpartition("/")[2]
    if named.removesuffix(".jpg") != file.stem:
        raise BadFile(f"{file}:1: is about {named}; a file is named after its photograph")
    count = read_count(lines[1], where=f"{file}:2")
    if len(lines) - 2 != count:
        raise BadFile(f"{file}:2: announces {count} faces; {len(lines) - 2} lines follow")
    rows = []
    for n, line in enumerate(lines[2:], start=3):
        rows.append(read_numbers(line, where=f"{file}:{n}"))
        if len(rows[-1]) != 5:
            raise BadFile(f"{file}:{n}: must read 'x y w h score'; got {line.strip()!r}")
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Detected(_corners(table[:, :4]), table[:, 4])


def _read_npz(path: Path) -> dict[str, Detected]:
    try:
        with zipfile.ZipFile(path) as archive:
            keys = ("names", "counts", "xywh", "score")
            names, counts, xywh, score = (_array(archive, key) for key in keys)
    except FileNotFoundError:
        raise NotFound(f"there is no predictions file {path}") from None
    except KeyError as error:
        raise BadFile(f"{path} lacks an array of names, counts, xywh and score: {error}") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadFile(f"{path} cannot be read as an .npz file: {error}") from error
    total = len(score)
    if (
        names.ndim != 1
        or names.dtype.kind != "U"
        or counts.shape != names.shape
        or counts.dtype.kind not in "iu"
        or xywh.shape != (total, 4)
        or score.shape != (total,)
        or not {xywh.dtype.kind, score.dtype.kind} <= set("fiu")
        or (counts < 0).any()
    ):
        raise BadFile(
            f"{path} must hold names (P,), counts (P,), xywh (N, 4) and score (N,); got shapes"
            f" {names.shape}, {counts.shape}, {xywh.shape} and {score.shape}"
        )
    if int(counts.sum(dtype=np.uint64)) != total:
        raise BadFile(f"{path}: counts add up to {counts.sum()}; it holds {total} detections")
    if not (np.isfinite(xywh).all() and np.isfinite(score).all()):
        raise BadFile(f"{path}: boxes and scores must be finite")
    if len(set(names.tolist())) != len(names):
        raise BadFile(f"{path}: a photograph is named twice")
    if total == 0:
        return {name: Detected(np.zeros((0, 4)), np.zeros(0)) for name in names.tolist()}
    ends = np.cumsum(counts)
    boxes = np.split(_corners(xywh), ends[:-1])
    scores = np.split(score.astype(np.float64), ends[:-1])
    found = (Detected(*pair) for pair in zip(boxes, scores, strict=True))
    return dict(zip(names.tolist(), found, strict=True))


def _array(archive: zipfile.ZipFile, key: str) -> NDArray[Any]:
    """One array, whose header is believed only where as many bytes are there."""
    member = archive.getinfo(f"{key}.npy")
    if member.file_size > MAX_PREDICTION_BYTES:
        raise ValueError(f"{key} is over the limit of {MAX_PREDICTION_BYTES} bytes")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{key} is an array of an unknown format {version}")
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, dtype = read_header(file)
        if dtype.kind not in "Ufiu":
            raise ValueError(f"{key} holds {dtype}, which is not read")
        data = file.read(min(math.prod(shape) * dtype.itemsize, MAX_PREDICTION_BYTES) + 1)
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{key} is cut off, or has a false header")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")

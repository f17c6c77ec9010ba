r"""Landmarks of many faces: the true ones with what a protocol asks of a face, or those found.

    *.csv      face,x0,y0,x1,y1,...            a line a face; what a face is called is free text
               left,top,right,bottom           columns beside these, where a box is needed
               challenging, pose, blur, ...    0 or 1, where the protocol tells faces apart
               an empty x and y: the point is not known; all empty: the face was not found
    *.json     {"FACE": {"points": [[x, y], ...], "box": [x1, y1, x2, y2], "pose": false}, ...}
               null for a point that is not known; null in place of a face that was not found
    folder     FACE.pts below it, as 300W is published: counted from 1, so that 1 is subtracted;
               faces below a folder called ibug are challenging
    *.txt      as WFLW is published: 196 coordinates, x1 y1 x2 y2, six attributes, PHOTO a line;
               the face is PHOTO#1, PHOTO#2, ... in the order of the lines

Letters: N faces, K points.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.data.readers.table import read_table
from tronie.data.readers.text_lines import read_lines, read_numbers
from tronie.errors import BadFile, NotFound
from tronie.provenance import file_sha256

BOX = ("left", "top", "right", "bottom")
WFLW_POINTS = 98
WFLW_MARKS = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")
CHALLENGING = "ibug"
MOST_POINTS = 1000


@dataclass(frozen=True, eq=False, kw_only=True)
class Landmarks:
    """The faces of a file, in its order."""

    faces: tuple[str, ...]
    points: NDArray[np.float64]
    """(N, K, 2) x y in pixels, NaN where a point is not known."""
    boxes: NDArray[np.float64] | None
    """(N, 4), where they were asked for."""
    marks: Mapping[str, NDArray[np.bool_]]
    """Those that were asked for, or are there, to (N,)."""


def read_landmarks(
    path: str | Path,
    *,
    points: int | None = None,
    box: bool = False,
    marks: Sequence[str] = (),
    marks_needed: bool = True,
) -> Landmarks:
    """The landmarks of a file or a folder; see the forms above.

    Args:
        points: K; None: as many as the file has.
        box: A box of each face is needed.
        marks: What the file tells of faces, 0 or 1.
        marks_needed: False: those that are there.

    Raises:
        NotFound: it is not there.
        BadFile: it breaks its form, has another number of points, or names a face twice; the
            message says where.
    """
    source = Path(path)
    if source.is_dir():
        found = _folder(source)
    elif source.suffix == ".json":
        found = _json(source, points or 0)
    elif source.suffix == ".txt":
        found = _wflw(source)
    else:
        found = _csv(source, marks)
    if twice := [face for face, times in Counter(found.faces).items() if times > 1]:
        raise BadFile(f"{path} names the face {twice[0]!r} twice")
    if points is not None and found.points.shape[1] != points:
        raise BadFile(f"{path} has {found.points.shape[1]} points a face; {points} are needed")
    if box and found.boxes is None:
        raise BadFile(f"{path} has no boxes; each face needs {', '.join(BOX)}")
    absent = [mark for mark in marks if mark not in found.marks]
    if absent and marks_needed:
        raise BadFile(f"{path} does not say of each face whether it is {' or '.join(absent)}")
    return Landmarks(
        faces=found.faces,
        points=found.points,
        boxes=found.boxes if box else None,
        marks={mark: found.marks[mark] for mark in marks if mark in found.marks},
    )


def in_order_of(truth: Landmarks, found: Landmarks, *, path: str | Path) -> NDArray[np.float64]:
    """The points found (N, K, 2) for the faces of `truth`; NaN for those that are not there.

    Raises:
        BadFile: a face that is not in the truth; the message calls the file `path`.
    """
    rows = {face: n for n, face in enumerate(truth.faces)}
    strays = [face for face in found.faces if face not in rows]
    if strays:
        raise BadFile(
            f"{path} has points of {len(strays)} faces that are not in the truth, the first is "
            f"{strays[0]!r}"
        )
    points = np.full((len(rows), *found.points.shape[1:]), np.nan)
    points[[rows[face] for face in found.faces]] = found.points
    return points


def landmarks_sha256(path: str | Path) -> str:
    """Of the file; of a folder: of the names and contents of its .pts files."""
    source = Path(path)
    if not source.is_dir():
        return file_sha256(source)
    digest = hashlib.sha256()
    for file in sorted(source.rglob("*.pts")):
        digest.update(f"{file.relative_to(source).as_posix()}\0{file_sha256(file)}\0".encode())
    return digest.hexdigest()


def _csv(path: Path, marks: Sequence[str]) -> Landmarks:
    count = _points_of_header(path)
    axes = [f"{axis}{n}" for n in range(count) for axis in "xy"]
    table = read_table(path, required=("face", *axes), optional=(*BOX, *marks))
    lines = range(2, 2 + len(table["face"]))
    columns = [_numbers(table[axis], path, axis, lines) for axis in axes]
    boxes = None
    if there := [name for name in BOX if name in table]:
        if len(there) < len(BOX):
            raise BadFile(f"{path}:1: a box needs the columns {', '.join(BOX)}")
        boxes = np.stack([_numbers(table[name], path, name, lines) for name in BOX], axis=1)
        if not np.isfinite(boxes).all():
            line = lines[int((~np.isfinite(boxes)).any(axis=1).argmax())]
            raise BadFile(f"{path}:{line}: a side of the box is empty")
    points = np.stack(columns, axis=1).reshape(len(lines), count, 2)
    halves = np.isnan(points).sum(axis=2) == 1
    if halves.any():
        line = lines[int(halves.any(axis=1).argmax())]
        raise BadFile(f"{path}:{line}: a point has an x and a y, or neither")
    told = {
        mark: np.array(
            [_flag(word, path, mark, n) for n, word in zip(lines, table[mark], strict=True)]
        )
        for mark in marks
        if mark in table
    }
    return Landmarks(faces=table["face"], points=points, boxes=boxes, marks=told)


def _points_of_header(path: Path) -> int:
    """K, from the column names: x0, x1, ... without a gap."""
    first = next(csv.reader(read_lines(path)[:1]), [])
    count = next(n for n in itertools.count() if f"x{n}" not in first)
    if not 0 < count <= MOST_POINTS:
        raise BadFile(
            f"{path}:1: must name the columns face,x0,y0,x1,y1,..., up to {MOST_POINTS} points; "
            f"got {','.join(first)[:80]!r}"
        )
    return count


def _numbers(
    column: Sequence[str], path: Path, name: str, lines: Sequence[int]
) -> NDArray[np.float64]:
    """The numbers of a column, NaN where it is empty."""
    found = np.full(len(column), np.nan)
    for n, word in enumerate(column):
        if word.strip():
            try:
                found[n] = float(word)
            except ValueError:
                found[n] = math.inf
            if not math.isfinite(found[n]):
                raise BadFile(f"{path}:{lines[n]}: {name} must be a number, or empty; got {word!r}")
    return found


def _flag(word: str, path: Path, mark: str, line: int) -> bool:
    if word not in ("0", "1"):
        raise BadFile(f"{path}:{line}: {mark} must say 0 or 1; got {word!r}")
    return word == "1"


def _json(path: Path, points_if_none: int) -> Landmarks:
    try:
        told = json.loads("\n".join(read_lines(path)))
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{path} is no JSON: {error}") from error
    if not isinstance(told, dict) or not told:
        raise BadFile(f"{path} must hold an object of faces by name, and has none")
    known = {n: (name, face) for n, (name, face) in enumerate(told.items()) if face is not None}
    lists = {n: _list(face, "points", name, path) for n, (name, face) in known.items()}
    count = next(map(len, lists.values()), points_if_none)
    points = np.full((len(told), count, 2), np.nan)
    for n, (name, _) in known.items():
        points[n] = _pairs(lists[n], count, name, path)
    boxes = None
    if known and all("box" in face for _, face in known.values()):
        boxes = np.full((len(told), 4), np.nan)
        for n, (name, face) in known.items():
            boxes[n] = _row(face["box"], 4, name, path)
    flags: dict[str, NDArray[np.bool_]] = {}
    for mark in next((list(face) for _, face in known.values()), []):
        if all(type(face.get(mark)) is bool for _, face in known.values()):
            flags[mark] = np.zeros(len(told), np.bool_)
            flags[mark][[n for n, (_, face) in known.items() if face[mark]]] = True
    return Landmarks(faces=tuple(told), points=points, boxes=boxes, marks=flags)


def _list(face: Any, key: str, name: str, path: Path) -> list[Any]:
    if not isinstance(face, dict) or not isinstance(face.get(key), list):
        raise BadFile(f'{path}: the face {name!r} must be an object with a list "{key}", or null')
    found: list[Any] = face[key]
    return found


def _pairs(told: list[Any], count: int, name: str, path: Path) -> NDArray[np.float64]:
    if len(told) != count or count > MOST_POINTS:
        raise BadFile(
            f"{path}: the face {name!r} has {len(told)} points and the first has {count}; each "
            f"has as many, up to {MOST_POINTS}"
        )
    rows = [[math.nan] * 2 if pair is None else _row(pair, 2, name, path) for pair in told]
    return np.array(rows, np.float64).reshape(count, 2)


def _row(told: Any, length: int, name: str, path: Path) -> list[float]:
    fits = isinstance(told, list) and len(told) == length
    if not fits or not all(type(v) in (int, float) and abs(v) < 1e9 for v in told):
        raise BadFile(
            f"{path}: the face {name!r} needs {length} numbers where it says {told!r:.60}"
        )
    return [float(v) for v in told]


def _folder(folder: Path) -> Landmarks:
    files = sorted(folder.rglob("*.pts"))
    if not files:
        raise NotFound(f"{folder} holds no .pts files")
    names = [file.relative_to(folder).with_suffix("").as_posix() for file in files]
    faces = [_pts(file) for file in files]
    for file, face in zip(files, faces, strict=True):
        if len(face) != len(faces[0]):
            raise BadFile(f"{file} has {len(face)} points; {files[0]} has {len(faces[0])}")
    ibug = [CHALLENGING in Path(name).parts[:-1] for name in names]
    return Landmarks(
        faces=tuple(names),
        points=np.stack(faces),
        boxes=None,
        marks={"challenging": np.array(ibug, np.bool_)},
    )


def _pts(path: Path) -> NDArray[np.float64]:
    lines = [line.strip() for line in read_lines(path)]
    if "{" not in lines or "}" not in lines:
        raise BadFile(f"{path} must hold its points between {{ and }}, a line each")
    first = lines.index("{") + 1
    rows = []
    for n, line in enumerate(lines[first : lines.index("}")], start=first + 1):
        rows.append(read_numbers(line, where=f"{path}:{n}"))
        if len(rows[-1]) != 2:
            raise BadFile(f"{path}:{n}: must read 'x y'; got {line!r}")
    if not rows:
        raise BadFile(f"{path} holds no point")
    return np.array(rows, np.float64) - 1


def _wflw(path: Path) -> Landmarks:
    numbers, photos = [], []
    wanted = 2 * WFLW_POINTS + 4 + len(WFLW_MARKS)
    for n, line in enumerate(read_lines(path), start=1):
        fields = line.split(maxsplit=wanted)
        if len(fields) != wanted + 1:
            raise BadFile(
                f"{path}:{n}: a line of WFLW has {wanted} numbers and a photograph; got "
                f"{len(fields)} fields"
            )
        numbers.append(read_numbers(" ".join(fields[:-1]), where=f"{path}:{n}"))
        photos.append(fields[-1].strip())
    if not numbers:
        raise BadFile(f"{path} has no line")
    seen: Counter[str] = Counter()
    faces = []
    for photo in photos:
        seen[photo] += 1
        faces.append(f"{photo}#{seen[photo]}")
    table = np.array(numbers, np.float64)
    points, boxes, flags = np.split(table, [2 * WFLW_POINTS, 2 * WFLW_POINTS + 4], axis=1)
    if not np.isin(flags, (0, 1)).all():
        at = int((~np.isin(flags, (0, 1))).any(axis=1).argmax()) + 1
        raise BadFile(f"{path}:{at}: the six attributes must be 0 or 1")
    return Landmarks(
        faces=tuple(faces),
        points=points.reshape(-1, WFLW_POINTS, 2),
        boxes=boxes,
        marks={mark: flags[:, n] == 1 for n, mark in enumerate(WFLW_MARKS)},
    )

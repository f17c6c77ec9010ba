"""report: Reports as one page that needs nothing else, to be read, printed and passed on.

Pictures lie inside the page, no script runs, and nothing is fetched.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from jinja2 import Environment, PackageLoader, StrictUndefined

from tronie.cli import options
from tronie.cli.files import whole, writable_file
from tronie.cli.terminal import number_of, print_json, progress, say, tell
from tronie.data.readers.lists import read_image_list
from tronie.errors import BadFile, BadInput, NotFound, TronieError
from tronie.evaluation.charts.frame import STYLE, style_class
from tronie.evaluation.report import Report
from tronie.evaluation.report_page import page_of, rows_shown
from tronie.evaluation.report_page_parts import Page, Photo
from tronie.images.io import encode_image, read_image
from tronie.images.resize import resize

THUMBNAIL = 128
"""Longer side of a picture on the page, pixels."""
JPEG_QUALITY = 85


def report(
    reports: Annotated[
        list[Path],
        typer.Argument(metavar="REPORT.json", help="As `tronie evaluate --report` writes them."),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="The page to write.")],
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            metavar="LIST.txt",
            help="One path a row of the feature matrix: shows the worst pairs as pictures.",
        ),
    ] = None,
    images_root: Annotated[
        Path | None,
        typer.Option(
            "--images-root",
            metavar="DIR",
            help="Where these paths begin; default: the folder of the list.",
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="What stands at the top.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Lay Reports side by side on one page: tables, DET curves, scores, groups, worst pairs.

    Reports of one protocol share their tables and charts. Where their rules or data differ, the
    page says that they must not be compared, and so does this command. With --images,
    photographs of real people lie inside the page.
    """
    writable_file(out, option="--out")
    if images is None and images_root is not None:
        raise BadInput(f"--images-root {images_root} needs --images LIST.txt; name the list too")
    named = list(zip(_names(reports), map(read_report, reports), strict=True))
    pictures = None
    if images is not None:
        pictures = _photos(images, images_root or images.parent, rows_shown(named))
    page = page_of(named, pictures=pictures)
    text = render(page, title=title or _title(page))
    with whole(out) as (file,):
        file.write(text.encode("utf-8", errors="backslashreplace"))
    _answer(page, pictures, out, json=json)


def read_report(path: Path) -> Report:
    """A Report from the file that `tronie evaluate --report` wrote.

    Raises:
        NotFound: there is no such file.
        BadFile: it holds no Report; the message names the file.
        BadInput: it cannot be read.
    """
    try:
        return Report.from_json(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise NotFound(f"there is no report {path}") from None
    except UnicodeDecodeError as fault:
        raise BadFile(f"{path} is not UTF-8 text: {fault.reason} at byte {fault.start}") from fault
    except OSError as fault:
        raise BadInput(f"cannot read the report {path}: {fault.strerror}") from fault
    except RecursionError:
        raise BadFile(f"{path}: this is no report of tronie: it is nested too deeply") from None
    except BadInput as fault:
        raise BadFile(f"{path}: {fault}") from fault


def render(page: Page, *, title: str) -> str:
    """The page as HTML; every text on it is escaped."""
    environment = Environment(
        loader=PackageLoader("tronie.cli"), undefined=StrictUndefined, autoescape=True
    )
    environment.globals["swatch"] = style_class
    return environment.get_template("report.html").render(page=page, title=title, style=STYLE)


def _names(files: Sequence[Path]) -> list[str]:
    """What each report is called: its file without the suffix, or its path if two share that."""
    if twice := [file for file, times in Counter(files).items() if times > 1]:
        raise BadInput(f"{twice[0]} is named more than once; name each report once")
    stems = Counter(file.stem for file in files)
    return [file.stem if stems[file.stem] == 1 else str(file) for file in files]


def _title(page: Page) -> str:
    protocols = ", ".join(section.protocol for section in page.sections)
    return f"{protocols}: {', '.join(model.name for model in page.models)}"


def _photos(images: Path, root: Path, rows: Sequence[int]) -> dict[int, Photo]:
    """The photographs of these rows, small; those that cannot be read are told and left out."""
    paths = read_image_list(images)
    strays = [row for row in rows if not 0 <= row < len(paths)]
    if strays:
        raise BadInput(
            f"a report shows row {strays[0]} and {images} has {len(paths)} lines; "
            "give the list of the matrix that was compared"
        )
    if not rows:
        say("no report holds a pair to be shown, so that no photograph is needed")
    found: dict[int, Photo] = {}
    faults: list[TronieError] = []
    with progress(len(rows), "reading photographs") as advance:
        for row in rows:
            uri = None
            try:
                uri = _thumbnail(root / paths[row])
            except TronieError as fault:
                faults.append(fault)
            found[row] = Photo(name=paths[row], uri=uri)
            advance(1)
    if faults:
        photographs = number_of(len(rows), "photograph", "photographs")
        say(f"{len(faults)} of {photographs} cannot be shown; the first: {faults[0]}")
    return found


def _thumbnail(path: Path) -> str:
    image = read_image(path)
    height, width = image.shape[:2]
    factor = min(THUMBNAIL / max(height, width), 1.0)
    small = resize(
        image,
        width=max(round(width * factor), 1),
        height=max(round(height * factor), 1),
        method="area",
    )
    data = base64.b64encode(encode_image(small, ".jpg", quality=JPEG_QUALITY)).decode("ascii")
    return f"data:image/jpeg;base64,{data}"


def _answer(page: Page, pictures: dict[int, Photo] | None, out: Path, *, json: bool) -> None:
    warnings = [
        f"{section.protocol}: these reports must not be compared: {why}"
        for section in page.sections
        for why in section.differences
    ]
    for warning in warnings:
        say(warning)
    shown = sum(photo.uri is not None for photo in (pictures or {}).values())
    if json:
        print_json(
            {
                "out": out,
                "reports": [model.name for model in page.models],
                "protocols": [section.protocol for section in page.sections],
                "photographs": shown,
                "warnings": warnings,
            }
        )
        return
    reports = number_of(len(page.models), "report", "reports")
    inside = f"; {number_of(shown, 'photograph', 'photographs')} inside" if shown else ""
    tell(f"{out}: {reports}{inside}.")

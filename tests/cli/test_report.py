"""report: one page that needs nothing else, honest about what it shows, deaf to markup."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from PIL import Image

import toys
from tronie.evaluation.metrics.group_differences import compared_groups
from tronie.evaluation.metrics.intervals import wilson
from tronie.evaluation.report import Report, Value
from tronie.evaluation.report_parts import (
    Curve,
    CurvePoint,
    Details,
    GroupRate,
    Histogram,
    OperatingPoint,
    PairExample,
)
from tronie.provenance import provenance
from working_tree import REPOSITORY

EVIL = "<script>alert('x')</script><img src=http://x.invalid/>\"'&{{ 7 * 7 }}"
KEPT = sorted((REPOSITORY / "benchmarks" / "accuracy").glob("*.json"))


def details(text: str = "", rows=(0, 1)) -> Details:
    """One of everything, with `text` wherever a text can stand."""
    return Details(
        points=(
            OperatingPoint(
                of=text,
                far=1e-3,
                threshold=0.5,
                achieved_far=1e-3,
                false_matches=100,
                impostor_pairs=10**5,
                tar=0.9,
                accepted=900,
                genuine_pairs=1000,
                tar_interval=wilson(900, 1000),
            ),
        ),
        curves=(
            Curve(
                of=text,
                points=tuple(
                    CurvePoint(threshold=0.5, fmr=x, fnmr=y, false_matches=50, misses=50)
                    for x, y in ((1e-4, 0.2), (1e-3, 0.1), (1e-2, 0.0))
                ),
            ),
        ),
        histograms=(Histogram(of=text, kind="genuine", low=0, high=1, counts=(0, 5, 9)),),
        groups=(
            compared_groups(
                [
                    GroupRate(
                        group=f"{text}{n}",
                        false_matches=40 + n,
                        impostor_pairs=1000,
                        misses=n,
                        genuine_pairs=100,
                    )
                    for n in range(2)
                ],
                far=1e-3,
                threshold=0.5,
                of=text,
            ),
        ),
        pairs=(
            PairExample(of=text, kind="impostor", score=0.9, rows=rows, labels=(f"{text}Ada", 7)),
            PairExample(of=text, kind="genuine", score=0.1, rows=rows, labels=("Bea", "Bea")),
        ),
        most_errors={f"misses{text}": [{"label": f"{text}Ada", "in_pairs": 1234}]},
    )


def toy_report(text: str = "", *, version: str = "1", rows=(0, 1), sha: str = "a") -> Report:
    rate = Value(value=0.9, unit="fraction", count=900, total=1000, interval=wilson(900, 1000))
    return Report(
        name=f"pairs{text}",
        version=version,
        values={f"tar{text}": rate, "n": Value(value=3, unit=f"rows{text}")},
        details=details(text, rows),
        notes=(f"a note{text}",),
        provenance=provenance({f"labels{text}": sha * 64}),
    )


@pytest.fixture
def saved(tmp_path):
    """`saved("A", report)`: the file that holds it."""

    def save(name: str, report: Report | None = None):
        path = tmp_path / f"{name}.json"
        path.write_text((report or toy_report()).to_json(), encoding="utf-8")
        return path

    return save


class Page(HTMLParser):
    """Every tag, and the text outside of the style."""

    def __init__(self, path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


@pytest.fixture
def photographs(tmp_path):
    """A list of three photographs: a wide one, an aligned crop, and one that is not there."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(toys.toy_face(0)).resize((400, 200)).save(folder / "wide.png")
    Image.fromarray(toys.toy_face(1)).resize((112, 112)).save(folder / "crop.jpg")
    listed = folder / "list.txt"
    listed.write_text("wide.png\ncrop.jpg\ngone.jpg\n")
    return listed


def test_two_reports_stand_side_by_side_on_one_page(cli_here, saved, tmp_path):
    ran = cli_here("report", saved("A"), saved("B"), "--out", tmp_path / "r.html")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{tmp_path / 'r.html'}: 2 reports.\n"
    text = Page(tmp_path / "r.html").text
    assert "pairs: A, B" in text
    assert "90.00 % optimistic 87.98 % to 91.71 % 900 of 1 000" in text
    assert "Operating points" in text
    assert "FMR, false match rate" in text
    assert "Groups of people" in text
    assert "1 234" in text
    assert "Ada" in text
    assert "must not be compared" not in text


def test_the_page_needs_nothing_else_and_runs_nothing(cli_here, saved, photographs, tmp_path):
    out = tmp_path / "r.html"
    cli_here("report", saved("A"), "--out", out, "--images", photographs)
    page = Page(out)
    assert page.names.isdisjoint({"script", "link", "iframe", "object", "embed", "base"})
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    sources = [attrs["src"] for _, attrs in page.tags if "src" in attrs]
    assert len(sources) == 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    links = [attrs["href"] for _, attrs in page.tags if "href" in attrs]
    assert set(links) == {"#terms"}
    assert "url(" not in page.source
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]


def test_every_term_and_mark_is_explained_once(cli_here, saved, tmp_path):
    cli_here("report", saved("A"), saved("B"), "--out", tmp_path / "r.html")
    text = Page(tmp_path / "r.html").text
    for words in (
        "False match rate: impostor pairs accepted, over all impostor pairs.",
        "False non-match rate: genuine pairs refused, over all genuine pairs.",
        "A pair is accepted where score ≥ threshold.",
        "Fewer than 30 errors stand behind it",
        "Counted on a sample of the impostor pairs, not on all.",
        "Pairs share people, so an honest interval is mostly wider.",
        "A rate of 0 has no place on such an axis and stands in a margin labelled 0.",
    ):
        assert text.count(words) == 1, words


def test_charts_on_the_page_are_well_formed(cli_here, saved, tmp_path):
    cli_here("report", saved("A", toy_report(EVIL)), "--out", tmp_path / "r.html")
    source = (tmp_path / "r.html").read_text(encoding="utf-8")
    charts = re.findall(r"<svg class=\"chart\" role.*?</svg>", source, re.DOTALL)
    assert len(charts) == 2
    for chart in charts:
        assert ElementTree.fromstring(chart).attrib["role"] == "img"


def test_markup_in_any_text_stays_text(cli_here, saved, photographs, tmp_path):
    photographs.write_text("wide.png\n<script>x<svg onload=x>.jpg\n")
    out = tmp_path / "r.html"
    words = ("--images", photographs, "--title", EVIL)
    ran = cli_here("report", saved("<b onclick=x>", toy_report(EVIL)), "--out", out, *words)
    assert ran.code == 0
    page = Page(out)
    assert "script" not in page.names
    assert "b" not in {tag for tag, attrs in page.tags if "onclick" in attrs}
    assert "<script" not in page.source.lower()
    assert "x.invalid/>" not in re.sub(r"&[a-z#0-9]+;", "", page.source).replace("src=http", "")
    assert all(str(a.get("src", "data:")).startswith("data:") for _, a in page.tags)
    assert page.text.count("{{ 7 * 7 }}") >= 10
    assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]


def test_reports_that_must_not_be_compared_are_told_on_the_page_and_on_stderr(
    cli_here, saved, tmp_path
):
    out = tmp_path / "r.html"
    other = toy_report(version="2", sha="b")
    ran = cli_here("report", saved("A"), saved("B", other), "--out", out, "--json")
    assert ran.code == 0
    (told,) = ran.json_lines()
    assert told == {
        "out": str(out),
        "reports": ["A", "B"],
        "protocols": ["pairs"],
        "photographs": 0,
        "warnings": [
            "pairs: these reports must not be compared: the rules are of version 1 in A and 2 in B",
            "pairs: these reports must not be compared: "
            "labels is not the same in A and B (checksums differ)",
        ],
    }
    assert ran.err.count("must not be compared") == 2
    text = Page(out).text
    assert "These reports must not be compared. the rules are of version 1 in A" in text


def test_worst_pairs_are_shown_as_small_pictures_with_a_word_about_consent(
    cli_here, saved, photographs, tmp_path
):
    out = tmp_path / "r.html"
    ran = cli_here("report", saved("A"), "--out", out, "--images", photographs)
    assert (ran.code, ran.out) == (0, f"{out}: 1 report; 2 photographs inside.\n")
    page = Page(out)
    assert "Photographs of real people lie inside this file." in page.text
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert [attrs["alt"] for attrs in images] == ["row 0", "row 1"] * 2
    data = [base64.b64decode(attrs["src"].split(",")[1]) for attrs in images[:2]]
    opened = [Image.open(io.BytesIO(each)) for each in data]
    assert [(image.format, image.size) for image in opened] == [
        ("JPEG", (128, 64)),
        ("JPEG", (112, 112)),
    ]


def test_without_images_there_is_neither_a_picture_nor_the_word_about_consent(
    cli_here, saved, tmp_path
):
    cli_here("report", saved("A"), "--out", tmp_path / "r.html")
    page = Page(tmp_path / "r.html")
    assert "img" not in page.names
    assert "Photographs of real people" not in page.text
    assert "0.9000 Ada 0 7 1" in page.text  # score, label, row, label, row


def test_a_photograph_that_is_not_there_is_told_and_the_rest_is_shown(
    cli_here, saved, photographs, tmp_path
):
    out = tmp_path / "r.html"
    report = saved("A", toy_report(rows=(0, 2)))
    ran = cli_here("report", report, "--out", out, "--images", photographs)
    assert ran.code == 0
    assert "1 of 2 photographs cannot be shown; the first: no file" in ran.err
    page = Page(out)
    assert page.text.count("cannot be read") == 2  # once in each of the two pairs
    assert "gone.jpg" in page.text
    assert [tag for tag, _ in page.tags].count("img") == 2


def test_photographs_are_looked_up_below_the_root(cli_here, saved, photographs, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(photographs.read_text())
    words = ("report", saved("A"), "--out", tmp_path / "r.html", "--images", listed)
    assert "2 of 2 photographs cannot be shown" in cli_here(*words).err
    ran = cli_here(*words, "--images-root", photographs.parent)
    assert (ran.code, ran.err) == (0, "")


def test_images_are_not_read_where_no_pair_is_shown(cli_here, saved, photographs, tmp_path):
    plain = Report(name="lfw", version="1", values={})
    out = tmp_path / "r.html"
    ran = cli_here("report", saved("A", plain), "--out", out, "--images", photographs)
    assert ran.code == 0
    assert "no report holds a pair to be shown" in ran.err


def test_two_files_of_one_name_are_called_by_their_paths(cli_here, saved, tmp_path):
    (tmp_path / "old").mkdir()
    first, second = saved("A"), saved("old/A")
    ran = cli_here("report", first, second, "--out", tmp_path / "r.html", "--json")
    assert ran.json_lines()[0]["reports"] == [str(first), str(second)]


def test_text_that_is_no_unicode_does_not_stop_the_page(cli_here, saved, tmp_path):
    path = saved("A")
    path.write_text(path.read_text().replace("a note", "a \\ud800 note"))
    assert cli_here("report", path, "--out", tmp_path / "r.html").code == 0
    assert "a \\ud800 note" in Page(tmp_path / "r.html").text


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_every_kept_report_has_a_page(cli_here, path, tmp_path):
    out = tmp_path / "r.html"
    assert cli_here("report", path, "--out", out).code == 0
    page = Page(out)
    for key in json.loads(path.read_text(encoding="utf-8"))["values"]:
        assert key in page.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"there is no report .*X\.json"),
        ("{}", r"X\.json: this report lacks the field 'provenance'"),
        ("nothing", r"X\.json: this is no report of tronie"),
        ("[1]", r"X\.json: this is no report of tronie"),
        (b"\xff\xfe\x00", r"X\.json is not UTF-8 text: .* at byte 0"),
    ],
)
def test_what_is_no_report_is_refused_by_its_name(cli_here, tmp_path, content, message):
    path = tmp_path / "X.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    ran = cli_here("report", path, "--out", tmp_path / "r.html")
    assert ran.code == 2
    assert re.search(message, ran.err)
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"fmr": 0.0001', '"fmr": "x"', r"report.details.curves[0].points[0].fmr must be float"),
        ('"fmr": 0.0001', '"fmr": NaN', r"points[0].fmr must be float; got nan"),
        ('"misses": 50', '"misses": -50', r"points[0].misses must be 0 or more; got -50"),
        ('"in_pairs": 1234', '"in_pairs": "x"', r'a whole number "in_pairs"'),
        ('"label": "Ada"', '"lable": "Ada"', r'needs "label"'),
    ],
)
def test_a_report_with_a_wrong_kind_of_field_is_refused(
    cli_here, saved, tmp_path, old, new, message
):
    path = saved("A")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    ran = cli_here("report", path, "--out", tmp_path / "r.html")
    assert ran.code == 2
    assert ran.err.startswith("tronie: ")
    assert message in ran.err
    assert not (tmp_path / "r.html").exists()


def test_a_folder_is_no_report(cli_here, tmp_path):
    ran = cli_here("report", tmp_path, "--out", tmp_path / "r.html")
    assert ran.code == 2
    assert "cannot read the report" in ran.err


def test_a_report_that_is_named_twice_is_refused(cli_here, saved, tmp_path):
    path = saved("A")
    ran = cli_here("report", path, path, "--out", tmp_path / "r.html")
    assert ran.code == 2
    assert "A.json is named more than once; name each report once" in ran.err


def test_a_list_that_is_too_short_is_refused(cli_here, saved, photographs, tmp_path):
    report = saved("A", toy_report(rows=(0, 3)))
    ran = cli_here("report", report, "--out", tmp_path / "r.html", "--images", photographs)
    assert ran.code == 2
    assert "a report shows row 3 and" in ran.err
    assert "has 3 lines; give the list of the matrix that was compared" in ran.err
    assert not (tmp_path / "r.html").exists()


def test_a_root_without_a_list_is_refused(cli_here, saved, tmp_path):
    words = ("--out", tmp_path / "r.html", "--images-root", tmp_path)
    ran = cli_here("report", saved("A"), *words)
    assert ran.code == 2
    assert "needs --images LIST.txt; name the list too" in ran.err


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_read(cli_here, tmp_path):
    ran = cli_here("report", tmp_path / "gone.json", "--out", tmp_path)
    assert ran.code == 2
    assert f"--out {tmp_path} is a folder; name a file" in ran.err

"""The report: what it says, and what it does with text that is markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import toys
from tronie.cli.demo_photos import PHOTOS
from tronie.cli.demo_report import Demo, Seen, write_overview, write_report
from tronie.geometry.faces import Faces
from tronie.runtime.calibration import Threshold

EVIL = "<script>alert('x')</script>\"'&{{ 7 * 7 }}"


def seen(n: int, **changes) -> Seen:
    rng = np.random.default_rng(n)
    face = Faces(
        boxes=np.array([toys.BOX], np.float32),
        scores=np.array([0.9], np.float32),
        landmarks=np.array([toys.FIVE_POINTS], np.float32),
        embeddings=rng.normal(size=(1, 8)).astype(np.float32),
    )
    image = toys.toy_face(n)
    told = {"photo": PHOTOS[n], "image": image, "face": face, "crop": image[:112, :112]}
    return Seen(**{**told, "sha256": "ab", **changes})


def limit(**changes) -> Threshold:
    card = {"value": 0.4, "fmr": 1e-4, "false_matches": 5646, "impostor_pairs": 56464767}
    return Threshold(**{**card, "source": "toys", **changes})


def analyzer(name: str = "toy"):
    return SimpleNamespace(
        model_name=name, detector_name="eyes", contract_id="c",
        model_sha256="a" * 64, detector_sha256="b" * 64,
    )  # fmt: skip


def write(path, *, model: str = "toy", **changes) -> str:
    known = [seen(0), seen(1)]
    asked = [
        seen(2, answer="Emmanuel Macron", score=0.61),
        seen(3, score=0.2),
        seen(4, score=-0.1),
    ]
    found = {"known": known, "asked": asked, "limit": limit(), "fpir": 2e-4}
    write_report(path, Demo(**{**found, **changes}), analyzer(model))
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """Every tag, and the text outside of the style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_who_was_enrolled_who_was_asked_about_and_who_was_right(tmp_path):
    page = Page(write(tmp_path / "report.html")).text
    assert "2 people are in the gallery, from one photograph each. 3 other photographs" in page
    assert "2 of 3 answers are right." in page  # Jacinda Ardern was taken for nobody
    assert "in truth Jacinda Ardern, 2022 ✗ wrong" in page
    assert "score 0.610 ≥ 0.400" in page
    assert "score -0.100 < 0.400" in page


def test_the_error_rate_stands_with_its_counts(tmp_path):
    page = Page(write(tmp_path / "report.html")).text.replace("\u202f", " ")
    assert "5 646 of 56 464 767 pairs of two different people" in page
    assert "false match rate, 0.0001" in page
    assert "0.0002 bounds the chance that a stranger" in page


def test_a_rate_that_nobody_measured_is_told_as_unknown(tmp_path):
    unknown = limit(fmr=float("nan"), false_matches=None, impostor_pairs=None)
    page = Page(write(tmp_path / "report.html", limit=unknown, fpir=None)).text
    assert "unknown is its error rate: the threshold was stated by hand" in page
    assert "nan)" not in page
    assert "of None" not in page


def test_every_photograph_is_credited(tmp_path):
    page = Page(write(tmp_path / "report.html")).text
    for photo in PHOTOS[:5]:
        assert f"{photo.author}, {photo.license}; cropped, box and points added" in page


def test_the_page_needs_nothing_else_and_runs_nothing(tmp_path):
    page = Page(write(tmp_path / "report.html"))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object"})
    addresses = [value for _, attrs in page.tags for key, value in attrs.items() if key == "src"]
    assert len(addresses) == 10
    assert all(str(address).startswith("data:image/jpeg;base64,") for address in addresses)
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_every_picture_says_what_it_is_for_those_who_do_not_see_it(tmp_path):
    page = Page(write(tmp_path / "report.html"))
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")


def test_markup_in_any_text_stays_text(tmp_path):
    photo = replace(PHOTOS[4], person=EVIL, author=EVIL, year=EVIL, license=EVIL)
    asked = [seen(4, photo=photo, answer=EVIL, score=0.9)]
    text = write(tmp_path / "report.html", asked=asked, limit=limit(source=EVIL), model=EVIL)
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script" not in text.lower()
    assert "{{ 7 * 7 }}" in page.text
    assert EVIL in page.text
    wanted = {"src", "alt", "class", "style", "content", "charset", "name", "lang", "http-equiv"}
    assert {key for _, attrs in page.tags for key in attrs} <= wanted


@pytest.mark.parametrize(("score", "width"), [(0.61, "61.0"), (-0.3, "0.0"), (1.0, "100.0")])
def test_the_bar_is_the_score_and_its_mark_the_threshold(tmp_path, score, width):
    text = write(tmp_path / "report.html", asked=[seen(4, score=score)])
    assert re.findall(r'style="width: ([\d.]+)%"', text) == [width]
    assert re.findall(r'style="left: ([\d.]+)%"', text) == ["40.0"]


def test_a_face_at_the_edge_of_its_photograph_can_be_shown(tmp_path):
    moved = seen(2, answer="Emmanuel Macron", score=0.61)
    for box in ((0, 0, 20, 30), (130, 120, 160, 160), (-5, -5, 170, 165), (10, 10, 11, 11)):
        face = replace(moved.face, boxes=np.array([box], np.float32))
        found = Demo(known=[], asked=[replace(moved, face=face)], limit=limit(), fpir=None)
        write_overview(tmp_path / "overview.jpg", found)
        assert (tmp_path / "overview.jpg").stat().st_size > 1000

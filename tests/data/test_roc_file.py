"""Published curves: every way that authors wrote them, and the accuracies read from them."""

from __future__ import annotations

import tarfile

import pytest

from tronie.data.readers.roc_file import read_roc
from tronie.errors import BadFile
from tronie.evaluation.metrics.roc import best_accuracy

PUBLISHED = {
    "deepface_ensemble": 0.9738,
    "chttl_roc_curve_0.9960": 0.9960,
    "YiSun_DeepID2": 0.9915,
    "deepid2plus_arxiv1412.1265": 0.9950,
    "convnet-rbm_celebfaces_iccv13": 0.9282,
}
"""File to the best accuracy of one threshold, as its curve gives it."""


@pytest.mark.parametrize(
    "text",
    ["0 0\n0.9 0.1\n1 1\n", "TP\tFP\n0\t0\n0.9\t0.1\n1\t1", "% curve\r\n0,0\r\n0.9,0.1\r\n\r\n1,1"],
)
def test_rates_are_read_whatever_parts_them(text, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    assert read_roc(tmp_path / "a.txt").tolist() == [[0, 0], [0.9, 0.1], [1, 1]]


def test_columns_the_other_way_round_are_said_and_never_guessed(tmp_path):
    (tmp_path / "a.txt").write_text("0 0\n0.1 0.9\n1 1\n")
    with pytest.raises(BadFile, match="read as 'tpr fpr' the curve is worse than chance"):
        read_roc(tmp_path / "a.txt")
    assert read_roc(tmp_path / "a.txt", columns="fpr tpr")[1].tolist() == [0.9, 0.1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.5\n", r"a.txt:1: must hold two rates"),
        ("0.5 0.1\n0.5 1.5\n", r"a.txt:2: must hold two rates in \[0, 1\]"),
        ("0.5 0.1\nTP FP\n", r"a.txt:2: must hold numbers only"),
        ("\n", r"a.txt holds no point"),
    ],
)
def test_a_line_that_holds_no_two_rates_is_named(text, message, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(BadFile, match=message):
        read_roc(tmp_path / "a.txt")


@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_accuracies_are_read_from_the_curves(name, test_data, tmp_path):
    with tarfile.open(test_data / "published" / "lfw_roc_files.tar.xz") as archive:
        member = archive.extractfile(f"roc-files/{name}.txt")
        assert member is not None
        (tmp_path / "roc.txt").write_bytes(member.read())
    found = best_accuracy(read_roc(tmp_path / "roc.txt"))
    assert round(found, 4) == pytest.approx(PUBLISHED[name], abs=1e-9)

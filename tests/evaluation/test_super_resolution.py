"""Restored faces: means over pictures, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, NotEnoughData
from tronie.evaluation.metrics.image_quality import psnr, ssim
from tronie.evaluation.protocols.super_resolution import PROTOCOL

RNG = np.random.default_rng(0)
TRUE = [RNG.integers(0, 256, (20, 20, 3)).astype(np.uint8) for _ in range(3)]
RESTORED = [np.clip(p + RNG.normal(0, s, p.shape), 0, 255).astype(np.uint8)
            for p, s in zip(TRUE, (3, 10, 0), strict=True)]  # fmt: skip


def test_the_report_holds_means_over_the_pictures():
    pairs = list(zip(RESTORED[:2], TRUE[:2], strict=True))
    report = PROTOCOL.score(iter(pairs), border=2, embeddings=(np.eye(2), np.eye(2)))
    expected = np.mean([psnr(*pair, color="y", border=2) for pair in pairs])
    assert report.values["psnr"].value == pytest.approx(expected)
    expected = np.mean([ssim(*pair, color="y", border=2) for pair in pairs])
    assert report.values["ssim"].value == pytest.approx(expected)
    assert report.values["identity"].value == 1.0
    assert report.notes == ("on the luma of BT.601, a border of 2 cut",)


def test_equal_pictures_are_not_in_the_mean_and_are_told():
    report = PROTOCOL.score(zip(RESTORED, TRUE, strict=True), border=0, color="rgb")
    assert (report.values["psnr"].count, report.values["psnr"].total) == (2, 3)
    assert report.notes[1] == "1 pictures are equal and not in the mean PSNR"


def test_nothing_to_judge_is_refused():
    with pytest.raises(NotEnoughData, match="at least one picture"):
        PROTOCOL.score([], border=0)


def test_embeddings_of_other_pictures_are_refused():
    with pytest.raises(BadArray, match="need an embedding a picture; got 3 for 1"):
        PROTOCOL.score([(TRUE[0], TRUE[0])], border=0, embeddings=(np.eye(3), np.eye(3)))

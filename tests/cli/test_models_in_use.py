"""One analyzer from what was asked for on the command line."""

from __future__ import annotations

import math

import pytest

from tronie.cli.models_in_use import Chosen, open_analyzer
from tronie.errors import NotFound
from tronie.runtime import zoo


def test_every_choice_reaches_the_analyzer(toy):
    chosen = Chosen(
        detector=str(toy.detector),
        model=str(toy.model),
        threads=1,
        precision="stored",
        policy="center",
        flip=True,
        batch_size=3,
        canvas=320,
        det_threshold=0.25,
        min_size=40.0,
        max_yaw=90.0,
        min_norm=0.5,
    )
    analyzer = open_analyzer(chosen)
    assert (analyzer.threads, analyzer.policy) == (1, "center")
    assert (analyzer.embedder.flip, analyzer.embedder.batch_size) == (True, 3)
    assert analyzer.embedder.session.options.precision == "stored"
    assert (analyzer.detector.width, analyzer.detector.height) == (320, 320)
    assert analyzer.detector.contract.score_threshold == 0.25
    assert analyzer.gate.min_size_px == 40.0
    assert analyzer.gate.max_yaw_rad == pytest.approx(math.pi / 2)
    assert analyzer.gate.min_norm == 0.5


def test_a_model_that_is_not_here_is_fetched_and_that_is_told(monkeypatch, capsys, toy):
    asked = []

    def find(name, *, say=None):
        asked.append(name)
        if say is not None:
            say(f"fetching {name}")
        raise NotFound(f"no {name} today")

    monkeypatch.setattr(zoo, "find", find)
    with pytest.raises(NotFound, match="no sface-2021dec today"):
        open_analyzer(Chosen(detector=str(toy.detector), model="sface-2021dec"))
    assert asked == ["sface-2021dec"]
    assert capsys.readouterr().err == "tronie: fetching sface-2021dec\n"


def test_without_a_model_nothing_is_embedded(toy):
    assert open_analyzer(Chosen(detector=str(toy.detector))).model_name == ""

"""A task's functions, called by a run in their order and with what they are promised."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from toy_training import toy_recipe  # noqa: E402 - only where torch is
from tronie.errors import BadInput  # noqa: E402
from tronie.lab.training import trades  # noqa: E402
from tronie.lab.training.distributed import Place  # noqa: E402
from tronie.lab.training.recipe import RecognitionRecipe  # noqa: E402
from tronie.lab.training.run_folder import NamedRecipe, read_classes, read_facts  # noqa: E402
from tronie.lab.training.runs import begin  # noqa: E402
from tronie.lab.training.trade import Opened, Ready, Trade  # noqa: E402

pytestmark = pytest.mark.lab

HERE = Place(0, 1, torch.device("cpu"))
OPENED = Opened(
    source="the source",
    images=12,
    classes=("a", "b"),
    fingerprint="abc",
    told="12 things",
    counts={"things": 12},
)


@pytest.fixture
def called(monkeypatch):
    calls = []

    def told(name, answer):
        def call(*given):
            calls.append((name, given))
            return answer

        return call

    trade = Trade(
        measure="luck",
        expect=told("expect", None),
        open=told("open", OPENED),
        check=told("check", ("mind the gap",)),
        make=told("make", Ready(task=object(), memory={"all": 3}, assumed=("much",))),
    )
    monkeypatch.setitem(trades.TRADES, RecognitionRecipe, trade)
    return calls


def test_a_run_is_made_of_what_its_trade_gives(called, tmp_path):
    named = NamedRecipe(name="recognition/toy", recipe=toy_recipe())
    with begin(named, data=tmp_path, out=tmp_path / "run", place=HERE) as run:
        assert [name for name, _ in called] == ["expect", "open", "check", "make"]
        assert called[0][1] == ("recognition/toy", toy_recipe())
        (asked,) = called[3][1]
        assert (asked.opened, asked.place, asked.is_new) == (OPENED, HERE, True)
        assert (asked.data, asked.folder) == (tmp_path, tmp_path / "run")
        assert (run.measure, run.memory, run.assumed) == ("luck", {"all": 3}, ("much",))
        assert run.notes == ("mind the gap",)
        assert run.steps == 6  # 3 epochs of 12 images in batches of 6
    assert read_facts(tmp_path / "run").classes == 2
    assert read_classes(tmp_path / "run") == ("a", "b")


def test_what_a_trade_refuses_leaves_no_folder(called, tmp_path, monkeypatch):
    def refuse(*_):
        raise BadInput("not today")

    trade = trades.TRADES[RecognitionRecipe]
    refusing = Trade(
        measure="luck", expect=trade.expect, open=trade.open, check=trade.check, make=refuse
    )
    monkeypatch.setitem(trades.TRADES, RecognitionRecipe, refusing)
    named = NamedRecipe(name="recognition/toy", recipe=toy_recipe())
    with (
        pytest.raises(BadInput, match="not today"),
        begin(named, data=tmp_path, out=tmp_path / "run", place=HERE),
    ):
        pass
    assert not (tmp_path / "run").exists()

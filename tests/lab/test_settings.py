"""Settings by name: read by annotation, unknown names answered, JSON both ways, differences."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tronie.errors import BadFile, BadInput, NotFound

pytest.importorskip("torch")

from tronie.lab.training.recipe import RecognitionRecipe
from tronie.lab.training.schedule import Schedule
from tronie.lab.training.settings import (
    Entry,
    check_entries,
    differences,
    from_dict,
    override,
    to_dict,
)

pytestmark = pytest.mark.lab

PLAIN = RecognitionRecipe(backbone="iresnet-50", schedule=Schedule(peak_lr=0.1))


def test_each_value_is_read_by_its_annotation():
    changed = override(
        PLAIN,
        [
            "epochs=2",
            "batch_size=64",
            "schedule.peak_lr=2e-3",
            "schedule.drops=1, 2.5",
            "schedule.shape=drops",
            "precision=bf16",
            "fixed_last_scale=true",
            "backbone=iresnet-18",
        ],
    )
    assert changed.epochs == 2.0
    assert isinstance(changed.epochs, float)
    assert changed.batch_size == 64
    assert changed.schedule == Schedule(peak_lr=0.002, shape="drops", drops=(1.0, 2.5))
    assert (changed.precision, changed.fixed_last_scale) == ("bf16", True)
    assert changed.backbone == "iresnet-18"


def test_the_settings_that_are_changed_are_not_written_to():
    override(PLAIN, ["epochs=1", "margin.margin=0.1"])
    assert RecognitionRecipe(backbone="iresnet-50", schedule=Schedule(peak_lr=0.1)) == PLAIN


def test_settings_that_must_fit_each_other_are_changed_one_after_the_other():
    both = ["validation.pairs=a.txt", "validation.threshold_pairs=b.txt"]
    assert override(PLAIN, both).validation.pairs == "a.txt"
    assert override(PLAIN, ["accumulate=3", "batch_size=9"]).accumulate == 3
    with pytest.raises(BadInput, match="named together"):
        override(PLAIN, both[:1])


def test_another_entry_forgets_the_options_of_the_one_before():
    changed = override(PLAIN, ["margin.margin=0.3", "margin=cosface", "margin.scale=32"])
    assert changed.margin == Entry(name="cosface", options={"scale": 32.0})


def test_an_option_of_an_entry_may_be_none_where_it_says_so():
    sampled = override(PLAIN, ["head=partial_fc", "head.filter_above=0.4"])
    assert sampled.head == Entry(name="partial-fc", options={"filter_above": 0.4})
    assert override(sampled, ["head.filter_above=none"]).head.options == {"filter_above": None}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("epochs", "changed by name=value; got 'epochs'"),
        ("batch_size=0.5", "batch_size must be a whole number; got '0.5'"),
        ("epochs=nan", "epochs must be a number; got 'nan'"),
        ("fixed_last_scale=yes", "must be true or false; got 'yes'"),
        ("precision=int8", "must be one of float32, bf16, fp16; got 'int8'"),
        ("schedule=1", "holds several settings; set one of schedule.peak_lr"),
        ("epochs.more=1", "epochs is one value and holds no more"),
        ("batch_size=0", "batch_size must be .*2.*; got 0"),
        ("margin.gradient=wrong", "must be one of exact, straight_through"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(change, told):
    with pytest.raises(BadInput, match=told):
        override(PLAIN, [change])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("epoch=1", "no entry 'epoch' in RecognitionRecipe. Did you mean 'epochs'"),
        ("schedule.peaklr=1", "no entry 'peaklr' in Schedule. Did you mean 'peak_lr'"),
        ("margin=arkface", "no entry 'arkface' in tronie.lab.nn.margins. Did you mean 'arcface'"),
        ("margin.scal=1", "no entry 'scal' in the options of arcface. Did you mean 'scale'"),
        ("head.classes=9", "no entry 'classes' in the options of full-softmax"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(change, told):
    with pytest.raises(NotFound, match=told):
        override(PLAIN, [change])


def test_json_and_back_is_the_same():
    changed = override(PLAIN, ["margin.scale=32", "validation.bins=lfw.bin,cfp_fp.bin"])
    assert from_dict(RecognitionRecipe, json.loads(json.dumps(to_dict(changed)))) == changed


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("epochs", "3", "run.json holds no RecognitionRecipe: epochs must be a number; got '3'"),
        ("epok", 3, "no entry 'epok' in RecognitionRecipe"),
        ("schedule", 3, "schedule. must be an object of settings; got 3"),
        ("seed", True, "seed must be a whole number; got True"),
        ("data", {"flip": 2}, r"data.flip is a probability in \[0, 1\]; got 2"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(name, value, told):
    with pytest.raises(BadFile, match=told):
        from_dict(RecognitionRecipe, {**to_dict(PLAIN), name: value}, where="run.json")


def test_a_record_that_lacks_what_has_no_default_is_refused():
    record = to_dict(PLAIN)
    del record["backbone"]
    with pytest.raises(BadFile, match="missing 1 required keyword-only argument: 'backbone'"):
        from_dict(RecognitionRecipe, record)


def test_differences_name_each_field_with_both_values():
    changed = override(PLAIN, ["epochs=2", "margin=cosface", "margin.margin=0.4"])
    assert differences(PLAIN, changed) == [
        "margin.name: arcface is now cosface",
        "epochs: 20 is now 2",
        "margin.options.margin: its own value is now 0.4",
    ]
    assert differences(PLAIN, replace(PLAIN)) == []


def test_entries_are_checked_with_their_options():
    check_entries(PLAIN)
    with pytest.raises(NotFound, match="the options of arcface"):
        check_entries(replace(PLAIN, margin=Entry(name="arcface", options={"m": 1})))
    with pytest.raises(BadInput, match=r"margin.scale must be a number; got 'wide'"):
        check_entries(replace(PLAIN, margin=Entry(name="arcface", options={"scale": "wide"})))

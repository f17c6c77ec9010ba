"""The parts of a page are data: frozen, and comparable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from tronie.evaluation import report_page_parts
from tronie.evaluation.report_page_parts import Cell, Model, Photo

PARTS = [p for p in vars(report_page_parts).values() if getattr(p, "__module__", "") ==
         report_page_parts.__name__]  # fmt: skip


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_a_part_says_what_it_is_and_has_fields(part):
    assert part.__doc__
    assert fields(part)


def test_a_number_that_was_worded_is_not_worded_again():
    cell = Cell(text="99.38 %")
    with pytest.raises(FrozenInstanceError, match="text"):
        cell.text = "100 %"
    assert (cell.counts, cell.interval, cell.marks, cell.share) == ("", "", (), 0.0)


def test_a_model_can_be_a_key():
    told = {"name": "A", "style": 0, "protocol": "lfw", "version": "1", "made": None}
    assert {Model(**told): 1}[Model(**told)] == 1


def test_a_photograph_that_cannot_be_read_keeps_its_name():
    assert Photo(name="a/b.jpg", uri=None).name == "a/b.jpg"

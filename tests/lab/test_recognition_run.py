"""What a recognizer's run is opened with; all else of it is in test_runs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from toy_training import toy_recipe, write_crops  # noqa: E402 - only where torch is
from tronie.errors import BadInput, NotFound  # noqa: E402
from tronie.lab.training.recipe import Teacher, Validation  # noqa: E402
from tronie.lab.training.recognition_run import TRADE  # noqa: E402

pytestmark = pytest.mark.lab


def test_the_data_are_told_by_images_and_people(tmp_path):
    data = write_crops(tmp_path, people=3, shots=2)
    with ExitStack() as closing:
        opened = TRADE.open(toy_recipe(), data, closing)
        assert opened.told == "6 images of 3 people"
        assert opened.counts == {"images": 6, "classes": 3}
        assert opened.classes == ("P0", "P1", "P2")
        assert opened.fingerprint == opened.source.fingerprint()


def test_a_student_without_a_teacher_is_refused():
    recipe = toy_recipe(teacher=Teacher(angular=1.0))
    with pytest.raises(BadInput, match=r"^x/y learns from a teacher and names none; set teacher"):
        TRADE.expect("x/y", recipe)
    TRADE.expect("x/y", replace(recipe, teacher=Teacher()))


def test_what_it_is_judged_by_is_read_beforehand(tmp_path):
    data = write_crops(tmp_path)
    lists = Validation(pairs="pairsDevTest.txt", threshold_pairs="gone.txt")
    with ExitStack() as closing:
        opened = TRADE.open(toy_recipe(), data, closing)
        with pytest.raises(NotFound, match=r"validation asks for .*gone.txt, which is not there"):
            TRADE.check(toy_recipe(validation=lists), opened, data)

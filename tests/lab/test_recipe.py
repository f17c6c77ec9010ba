"""What a recipe refuses to be, and which of its settings may change while a run goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tronie.errors import BadInput

pytest.importorskip("torch")

from tronie.lab.training.recipe import (
    Checkpoint,
    Data,
    RecognitionRecipe,
    Teacher,
    Validation,
    fixed_differences,
)
from tronie.lab.training.schedule import Schedule
from tronie.lab.training.settings import override

pytestmark = pytest.mark.lab

PLAIN = RecognitionRecipe(backbone="iresnet-50", schedule=Schedule(peak_lr=0.1))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Data(flip=1.5), r"lie in \[0, 1\]"),
        (lambda: Data(threads=0), "must be 1 or more; got 1 and 0"),
        (lambda: Checkpoint(keep=0), "keep >= 1"),
        (lambda: Validation(every_steps=0), "every_steps must be 1 or more; got 0"),
        (lambda: Validation(pairs="a.txt"), "must not be chosen on the pairs it is judged by"),
        (lambda: Teacher(temperature=0.0), "a temperature above 0"),
        (lambda: replace(PLAIN, epochs=0.0), "epochs must be above 0; got 0"),
        (lambda: replace(PLAIN, batch_size=10, accumulate=4), "10 cannot be cut into 4 equal"),
        (lambda: replace(PLAIN, log_every=0), "log_every must be 1 or more; got 0"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(make, told):
    with pytest.raises(BadInput, match=told):
        make()


def test_what_comes_later_may_change_and_what_the_weights_rest_on_may_not():
    later = override(PLAIN, ["epochs=30", "schedule.peak_lr=0.2", "checkpoint.keep=5"])
    assert fixed_differences(PLAIN, later) == []
    other = override(PLAIN, ["epochs=30", "seed=1", "embedding_size=128", "data.flip=0"])
    assert fixed_differences(PLAIN, other) == [
        "embedding_size: 512 is now 128",
        "seed: 0 is now 1",
        "data.flip: 0.5 is now 0",
    ]

"""What a recipe refuses to be, and which of its settings may change while a run goes on."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tronie.errors import BadInput

pytest.importorskip("torch")

from tronie.lab.training.recipe import (
    Checkpoint,
    Data,
    Energy,
    RecognitionRecipe,
    Teacher,
    Triplets,
    Validation,
    fixed_differences,
)
from tronie.lab.training.schedule import Optimizer, Schedule
from tronie.lab.training.settings import override

pytestmark = pytest.mark.lab

PLAIN = RecognitionRecipe(backbone="iresnet-50", schedule=Schedule(peak_lr=0.1))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Data(flip=1.5), r"data.flip is a probability in \[0, 1\]"),
        (lambda: Data(threads=0), r"data.threads must be 1 or more; got 0"),
        (lambda: Data(together=0), r"data.together must be 1 or more; got 0"),
        (lambda: Checkpoint(keep=0), "keep >= 1"),
        (lambda: Validation(every_steps=0), "every_steps must be 1 or more; got 0"),
        (lambda: Validation(pairs="a.txt"), "must not be chosen on the pairs it is judged by"),
        (lambda: Teacher(temperature=0.0), "a temperature above 0"),
        (lambda: Teacher(run="a", model="b.onnx"), "one teacher; got teacher.run=a and teacher.m"),
        (lambda: Teacher(model="b.onnx", kl=1.0), "which a model file does not hold; got"),
        (lambda: Teacher(model="b.onnx", copy_centers=True), "Name its run by teacher.run, or set"),
        (lambda: Energy(weight=-1.0), r"energy.weight must be 0 or more; got -1"),
        (lambda: Triplets(margin=-0.1), r"nothing below 0; got \(0.0, -0.1, 4.0, 1.0\)"),
        (lambda: replace(PLAIN, triplets=Triplets(weight=1.0)), r"data.together is 1; set data.to"),
        (
            lambda: replace(
                PLAIN, energy=Energy(weight=1.0), teacher=Teacher(run="t", copy_centers=True)
            ),
            r"which teacher.copy_centers or a margin_weight of 0 forbids",
        ),
        (lambda: replace(PLAIN, epochs=0.0), "epochs must be above 0 and at most 1e.06; got 0"),
        (lambda: replace(PLAIN, batch_size=10, accumulate=4), "10 cannot be cut into 4 equal"),
        (lambda: replace(PLAIN, log_every=0), "log_every must be 1 or more; got 0"),
        (lambda: replace(PLAIN, epochs=1e300), "epochs must be above 0 and at most 1e.06; got 1e"),
        (lambda: replace(PLAIN, batch_size=1), "batch_size must be 2 or more; got 1"),
        (lambda: replace(PLAIN, batch_size=10**30), "batch_size must be at most 16777216; got 1"),
        (lambda: replace(PLAIN, embedding_size=10**9), "embedding_size must be at most 65536; go"),
        (lambda: replace(PLAIN, seed=-1), "seed must be 0 or more; got -1"),
        (lambda: replace(PLAIN, seed=2**63), "seed must be at most 9223372036854775807; got 9223"),
        (lambda: Data(threads=10**9), "data.threads must be at most 1024; got 1000000000"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(make, told):
    with pytest.raises(BadInput, match=told):
        make()


def test_what_comes_later_may_change_and_what_the_weights_rest_on_may_not():
    later = override(PLAIN, ["epochs=30", "schedule.peak_lr=0.2", "checkpoint.keep=5"])
    assert fixed_differences(PLAIN, later) == []
    every = [f"optimizer.{f.name}" for f in fields(Optimizer) if f.name != "name"]
    numbers = [f"{name}={'true' if 'only' in name else 0.25}" for name in every]
    assert fixed_differences(PLAIN, override(PLAIN, numbers)) == []
    adamw = override(PLAIN, ["optimizer.name=adamw"])
    assert fixed_differences(PLAIN, adamw) == ["optimizer.name: sgd is now adamw"]
    other = override(PLAIN, ["epochs=30", "seed=1", "embedding_size=128", "data.flip=0"])
    assert fixed_differences(PLAIN, other) == [
        "embedding_size: 512 is now 128",
        "seed: 0 is now 1",
        "data.flip: 0.5 is now 0",
    ]


@pytest.mark.parametrize(
    ("changes", "weight", "still"),
    [
        ([], 1.0, False),
        (["teacher.margin_weight=0"], 1.0, False),  # and no teacher
        (["teacher.angular=1", "teacher.margin_weight=0"], 0.0, True),
        (["triplets.weight=1", "data.together=2", "triplets.margin_weight=0"], 0.0, True),
        (["triplets.weight=1", "data.together=2", "triplets.margin_weight=0.5"], 0.5, False),
        (["teacher.copy_centers=true"], 1.0, True),
    ],
)
def test_the_margin_counts_as_what_stands_beside_it_says(changes, weight, still):
    recipe = override(PLAIN, changes)
    assert (recipe.margin_weight, recipe.are_centers_still) == (weight, still)

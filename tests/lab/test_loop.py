"""The loop, with a task of two layers: what each step does, and that it goes on as if nothing.

Batches are drawn from the step's number; `own` is moved by the task's `update`.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from tronie.errors import BadInput

torch = pytest.importorskip("torch")

from tronie.lab.training import loop  # noqa: E402 - only where torch is
from tronie.lab.training.checkpoint import checkpoints, newest_checkpoint  # noqa: E402
from tronie.lab.training.loop import Pace, run  # noqa: E402
from tronie.lab.training.recipe import Checkpoint  # noqa: E402
from tronie.lab.training.run_log import read_log  # noqa: E402
from tronie.lab.training.schedule import Optimizer, Schedule  # noqa: E402

pytestmark = pytest.mark.lab

CPU = torch.device("cpu")
PACE = Pace(
    steps=12,
    steps_per_epoch=4.0,
    images_per_step=8,
    schedule=Schedule(peak_lr=0.05, warmup_epochs=0.5),
    optimizer=Optimizer(clip_norm=0.0, weight_decay=0.0),
    log_every=1,
    checkpoint=Checkpoint(every_steps=5, every_s=0, keep=9),
    validate_every=6,
)


class Toy:
    """Two layers with a batch norm and dropout; `own` stands for class centers."""

    def __init__(self, *, parts=1, bad=(), rows=8):
        torch.manual_seed(3)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.Dropout(0.2)
        )
        self.own = torch.ones(6, requires_grad=True)
        self.parts, self.bad, self.rows = parts, set(bad), rows
        self.validated, self.alone, self.updates = [], 0, 0

    def modules(self):
        return [self.net]

    def steps(self, first, end):
        for step in range(first, end):
            x = torch.from_numpy(np.random.default_rng(step).normal(size=(self.rows, 4))).float()
            if step in self.bad:
                x = x * math.nan
            yield torch.chunk(x, self.parts)

    def loss(self, part):
        return ((self.net(part) * self.own - part.sum(dim=1, keepdim=True)) ** 2).mean()

    @contextmanager
    def unsynchronized(self):
        self.alone += 1
        yield

    def own_gradients(self):
        return [self.own.grad]

    def update(self, *, lr):
        self.updates += 1
        with torch.no_grad():
            self.own -= lr * self.own.grad
        self.own.grad = None

    def discard(self):
        self.own.grad = None

    def state(self):
        return {**{f"net/{k}": v for k, v in self.net.state_dict().items()}, "own": self.own}

    def load(self, stored):
        stored.fill(self.state())

    def note(self):
        return {"updates": self.updates}

    def told(self):
        return {"own": float(self.own.detach().sum())}

    def validate(self, step):
        self.validated.append(step)
        return {"toy": step / 100}


def go(folder, task, pace=PACE, **given):
    folder.mkdir(exist_ok=True)
    return run(task, pace, folder, device=CPU, **given)


def curve(folder):
    return [(line["step"], line["loss"]) for line in read_log(folder) if "loss" in line]


def weights(task):
    return torch.cat([t.detach().flatten().double() for t in task.state().values()])


def test_the_steps_are_those_of_plain_sgd(tmp_path):
    """The oracle is written out: the same batches, torch's own SGD, rates by hand."""
    go(tmp_path, task := Toy())
    plain = Toy()
    sgd = torch.optim.SGD(plain.net.parameters(), lr=0.0, momentum=0.9)
    for step, (x,) in enumerate(plain.steps(0, 12)):
        lr = 0.05 * (step + 1) / 2 if step < 2 else 0.05 * (1 - (step - 2) / 10)
        torch.manual_seed(loop._drawn_from(0, step, 0))
        plain.loss(x).backward()
        sgd.param_groups[0]["lr"] = lr
        sgd.step()
        plain.update(lr=lr)
        sgd.zero_grad()
    assert torch.equal(weights(task), weights(plain))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stop", [1, 5, 7, 11])
def test_a_run_that_goes_on_is_the_run_that_was_not_ended(tmp_path, stop, optimizer):
    pace = replace(PACE, optimizer=Optimizer(name=optimizer, clip_norm=1.0))
    go(tmp_path / "whole", whole := Toy(), pace)
    part = tmp_path / "part"
    with pytest.raises(KeyboardInterrupt, match="stopped"):
        go(part, Toy(), replace(pace, checkpoint=Checkpoint(every_steps=1, keep=99)),
           progress=interrupt_after(stop))  # fmt: skip
    stored = newest_checkpoint(part / loop.CHECKPOINTS)
    assert stored.step == stop - 1 or stop == 1
    go(part, again := Toy(), pace, stored=stored)
    assert curve(part) == curve(tmp_path / "whole")
    assert torch.equal(weights(again), weights(whole))


def interrupt_after(step):
    """Ends a run at its line of the log, before the checkpoint of that step (but the first)."""
    first = max(step, 2)

    def progress(told):
        if told.step == first:
            raise KeyboardInterrupt("stopped")

    return progress


def test_parts_give_the_gradient_of_the_whole_batch(tmp_path):
    """Without batch norm and dropout, whose statistics are those of a part."""
    found = []
    for parts in (1, 4):
        task = Toy(parts=parts)
        task.net = torch.nn.Linear(4, 6).requires_grad_()
        torch.nn.init.constant_(task.net.weight, 0.1)
        torch.nn.init.zeros_(task.net.bias)
        go(tmp_path / str(parts), task)
        found.append(weights(task))
        assert task.alone == 12 * (parts - 1)
    assert torch.allclose(found[0], found[1], atol=1e-6)  # sums in another order


def test_a_step_without_a_finite_loss_is_as_if_it_had_not_been(tmp_path):
    """Weights, statistics and momenta of a run that skips step 4 stand still there."""
    told = []
    outcome = go(tmp_path, task := Toy(bad=[4]), announce=told.append)
    assert outcome.skipped == 1
    assert told == ["step 5 is skipped: loss nan, gradient nan"]
    assert torch.isfinite(weights(task)).all()
    assert task.updates == 11
    before = newest_checkpoint_at(tmp_path, 5)
    go(tmp_path / "four", four := Toy(), replace(PACE, steps=12, checkpoint=every(1)))
    after_four = newest_checkpoint_at(tmp_path / "four", 4)
    for name in ("net/0.weight", "net/1.running_mean", "own", "optimizer/0.weight/momentum_buffer"):
        assert torch.equal(before.tensor(name), after_four.tensor(name))
    assert four.updates == 12


def weights_of(net):
    return [p.detach().clone() for p in net.parameters()]


def every(steps):
    return Checkpoint(every_steps=steps, every_s=0, keep=99)


def newest_checkpoint_at(folder, step):
    from tronie.lab.training.checkpoint import StoredState

    return StoredState(folder / loop.CHECKPOINTS / f"step-{step:08d}")


def test_too_many_bad_steps_in_a_row_end_the_run_with_a_sentence(tmp_path):
    pace = replace(PACE, bad_steps=3)
    with pytest.raises(BadInput, match=r"3 steps in a row .* the last loss nan, gradient nan at s"):
        go(tmp_path, Toy(bad=[6, 7, 8]), pace)
    assert newest_checkpoint(tmp_path / loop.CHECKPOINTS).step == 5


def test_bad_steps_that_are_not_in_a_row_do_not(tmp_path):
    assert go(tmp_path, Toy(bad=[3, 5, 7, 9]), replace(PACE, bad_steps=2)).skipped == 4


def test_an_infinite_gradient_of_a_finite_loss_is_skipped_too(tmp_path):
    class Steep(Toy):
        def loss(self, part):
            # sqrt at 0: the value is 0, its derivative infinite
            return super().loss(part) + torch.sqrt(self.net[0].weight.sum() * 0)

    outcome = go(tmp_path, Steep(), replace(PACE, steps=2))
    assert (outcome.skipped, math.isfinite(outcome.loss)) == (2, True)


def test_the_gradient_is_clipped_to_a_length(tmp_path):
    pace = replace(
        PACE,
        steps=1,
        schedule=Schedule(peak_lr=1.0, shape="constant"),
        optimizer=Optimizer(momentum=0.0, weight_decay=0.0, clip_norm=0.25),
    )
    task = Toy()
    first = weights_of(task.net)
    go(tmp_path, task, pace)
    moved = sum(
        float((a - b).square().sum()) for a, b in zip(first, weights_of(task.net), strict=True)
    )
    assert math.sqrt(moved) == pytest.approx(0.25, rel=1e-4)
    assert read_log(tmp_path)[0]["grad_norm"] > 0.25


def test_the_scale_of_fp16_leaves_the_steps_as_they_are(tmp_path, monkeypatch):
    """Twelve steps in numbers of 11 bits beside twelve in 24: they differ by rounding alone."""
    monkeypatch.setattr(loop, "FIRST_SCALE", 1024.0)  # which nothing here overflows
    found = {}
    for precision in ("float32", "fp16"):
        task = Toy()
        go(tmp_path / precision, task, replace(PACE, precision=precision))
        found[precision] = weights(task)
        stored = newest_checkpoint(tmp_path / precision / loop.CHECKPOINTS)
        assert stored.note["loop"]["scale"] == (1024.0 if precision == "fp16" else 1.0)
    assert torch.allclose(found["float32"], found["fp16"], atol=0.02)


def test_the_scale_of_fp16_is_halved_where_it_overflows_and_doubled_later(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "GROWTH_STEPS", 4)
    go(tmp_path, Toy(bad=[0, 1]), replace(PACE, precision="fp16"))
    stored = newest_checkpoint(tmp_path / loop.CHECKPOINTS)
    assert stored.note["loop"]["scale"] == 65536.0 / 4 * 4  # twice down, ten good steps: twice up


def test_checkpoints_are_written_when_it_is_time_and_at_the_end(tmp_path):
    go(tmp_path, Toy())
    steps = [int(path.name[5:]) for path in checkpoints(tmp_path / loop.CHECKPOINTS)]
    assert steps == [5, 10, 12]


def test_a_checkpoint_is_written_after_some_seconds_whatever_the_steps(tmp_path):
    pace = replace(PACE, checkpoint=Checkpoint(every_steps=1000, every_s=1e-9, keep=99))
    go(tmp_path, Toy(), replace(pace, log_every=4))
    steps = [int(path.name[5:]) for path in checkpoints(tmp_path / loop.CHECKPOINTS)]
    assert steps == [4, 8, 12]


def test_it_is_validated_when_it_is_time_and_what_a_crash_left_out_is_made_up_for(tmp_path):
    outcome = go(tmp_path, task := Toy())
    assert task.validated == [6, 12]
    assert outcome.validation == {"toy": 0.12}
    assert [line["validation"] for line in read_log(tmp_path) if "validation" in line] == [
        {"toy": 0.06},
        {"toy": 0.12},
    ]
    stored = newest_checkpoint(tmp_path / loop.CHECKPOINTS)
    ended = go(tmp_path, again := Toy(), stored=stored)
    assert (again.validated, ended.validation) == ([], {"toy": 0.12})
    lines = [line for line in (tmp_path / "log.jsonl").read_text().splitlines()][:-1]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    go(tmp_path, once_more := Toy(), stored=stored)
    assert once_more.validated == [12]


def test_each_line_tells_where_the_run_is(tmp_path):
    told = []
    go(tmp_path, Toy(), progress=told.append)
    assert [one.step for one in told] == list(range(1, 13))
    assert [one.epoch for one in told][:4] == [0.25, 0.5, 0.75, 1.0]
    assert told[0].lr == pytest.approx(0.025)
    assert all(one.images_per_s > 0 for one in told)
    assert told[-1].remaining_s == 0.0
    assert {"own", "loss", "grad_norm"} <= read_log(tmp_path)[0].keys()

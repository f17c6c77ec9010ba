"""The only training loop: step, guard, log, save, validate, go on. It knows no task.

For step s of S, with the parts that the task cuts it into:

    seed         torch's generator from (seed, s, process): what is drawn needs no memory of before
    loss         the mean over the parts, in the precision that was asked for
    guard        a loss or gradient that is no number: the step is undone, counted, and told;
                 after too many in a row the run ends with a sentence
    clip         the gradient is scaled down to a length
    update       the optimizer, then what the task updates by itself (class centers)

In fp16 the loss is multiplied by a scale, which is halved by such a step and doubled after 100
without; in float32 and bf16 it is 1.

A run that is ended at any moment and goes on from its last checkpoint does what it would have
done. The state holds the weights, what the optimizer remembers, the scale and the step; all else
is computed from the step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tronie.errors import BadInput
from tronie.lab.nn.collectives import all_max, rank
from tronie.lab.training.checkpoint import StoredState, save_checkpoint
from tronie.lab.training.checkpoint_parts import Part
from tronie.lab.training.optimizer_state import load_optimizer, optimizer_parts
from tronie.lab.training.recipe import Checkpoint
from tronie.lab.training.run_log import RunLog, read_log
from tronie.lab.training.schedule import Optimizer, Schedule, learning_rate, make_optimizer
from tronie.lab.training.sharded_backbone import total_norm

GROWTH_STEPS = 100
"""Steps without overflow after which the scale of fp16 is doubled."""
FIRST_SCALE = 65536.0
CHECKPOINTS = "checkpoints"

PartT = TypeVar("PartT", contravariant=True)
Precision = Literal["float32", "bf16", "fp16"]


class Task(Protocol):
    """What is trained. One object in each process."""

    def modules(self) -> Sequence[nn.Module]:
        """Whose parameters the optimizer moves, and whose buffers a bad step must not change."""

    def steps(self, first: int, end: int) -> Iterator[Sequence[Any]]:
        """The parts of each step, as `loss` takes them."""

    def loss(self, part: Any) -> Tensor:
        """A scalar: the mean over the part, of all processes."""

    def unsynchronized(self) -> AbstractContextManager[object]:
        """Around all parts of a step but the last: gradients are not exchanged yet."""

    def own_gradients(self) -> Sequence[Tensor]:
        """Gradients that `update` will use, to be scaled in place."""

    def update(self, *, lr: float) -> None:
        """Move what the optimizer does not."""

    def discard(self) -> None:
        """Forget `own_gradients`."""

    def state(self) -> Mapping[str, Part]:
        """The tensors of a checkpoint."""

    def load(self, stored: StoredState) -> None:
        """Take them over."""

    def note(self) -> Mapping[str, Any]:
        """What a checkpoint must hold besides, plain JSON."""

    def told(self) -> Mapping[str, Any]:
        """What a line of the log should say besides."""

    def validate(self, step: int) -> Mapping[str, float]:
        """Numbers by name; in every process, where process 0 does the work. May be empty."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long a run is, and what is done how often."""

    steps: int
    steps_per_epoch: float
    images_per_step: int
    schedule: Schedule
    optimizer: Optimizer
    precision: Precision = "float32"
    seed: int = 0
    bad_steps: int = 20
    log_every: int = 10
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    validate_every: int = 2000


@dataclass(frozen=True, kw_only=True)
class Told:
    """Where a run is."""

    step: int
    """Steps done."""
    steps: int
    epoch: float
    loss: float
    """Of this step."""
    lr: float
    grad_norm: float
    """Length of the gradient before it is clipped."""
    images_per_s: float
    remaining_s: float
    skipped: int
    """Steps that the guard has undone since the run began."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended."""

    steps: int
    loss: float
    """Of the last step; NaN where there was nothing left to do."""
    skipped: int
    seconds: float
    validation: Mapping[str, float]
    """The last one."""


Progress = Callable[[Told], None]
Announce = Callable[[str], None]
Judge = Callable[[int, Mapping[str, float]], None]
"""From the steps done and the numbers of a validation."""


def run(
    task: Task,
    pace: Pace,
    folder: Path,
    *,
    device: torch.device,
    stored: StoredState | None = None,
    progress: Progress | None = None,
    announce: Announce | None = None,
    judged: Judge | None = None,
    ready: Callable[[], None] | None = None,
) -> Outcome:
    """Train to the end; every process calls this.

    Args:
        task: What is trained.
        pace: How long and how.
        folder: Of the run: its log and its checkpoints.
        device: Where the task computes.
        stored: The state to go on from.
        progress: Called with every line of the log.
        announce: Called with a sentence for what is out of the ordinary.
        judged: Called with the numbers of every validation.
        ready: Called once, when the stored state is taken over and nothing is computed yet.

    Raises:
        BadInput: the loss is no number too often, or a checkpoint cannot be written.
        BadFile: the stored state does not fit.
    """
    opened = _Run(task, pace, folder, device, stored, (progress, announce, judged))
    if ready is not None:
        ready()
    return opened.to_the_end()


class _Run:
    """The state of one run in one process."""

    def __init__(
        self,
        task: Task,
        pace: Pace,
        folder: Path,
        device: torch.device,
        stored: StoredState | None,
        callers: tuple[Progress | None, Announce | None, Judge | None],
    ) -> None:
        self._task, self._pace, self._folder, self._device = task, pace, folder, device
        self._progress, announce, self._judged = callers
        self._announce = announce or (lambda _: None)
        self._optimizer = make_optimizer(pace.optimizer, task.modules())
        self._names: dict[Tensor, str] = {
            p: n for m in task.modules() for n, p in m.named_parameters()
        }
        self._buffers = [b for module in task.modules() for b in module.buffers()]
        self._before = [b.clone() for b in self._buffers]
        self._step = self._skipped = self._bad = self._good = 0
        self._scale = FIRST_SCALE if pace.precision == "fp16" else 1.0
        self._loss, self._norm = math.nan, math.nan
        self._validation: Mapping[str, float] = {}
        if stored is not None:
            self._load(stored)

    def to_the_end(self) -> Outcome:
        began = time.perf_counter()
        with RunLog(self._folder, after_step=self._step) if rank() == 0 else nullcontext() as log:
            self._log = log
            self._marked, self._marked_step, self._saved_at = began, self._step, began
            if self._step and self._is_validation_step():
                self._validation = _told_before(self._folder, self._step)
                if not self._validation:
                    self._validate_once()
            for parts in self._task.steps(self._step, self._pace.steps):
                self._take(parts)
                self._after_step()
        return Outcome(
            steps=self._step,
            loss=self._loss,
            skipped=self._skipped,
            seconds=time.perf_counter() - began,
            validation=self._validation,
        )

    def _take(self, parts: Sequence[Any]) -> None:
        """One step, or none where the guard undoes it."""
        pace = self._pace
        lr = learning_rate(
            pace.schedule, self._step, steps=pace.steps, steps_per_epoch=pace.steps_per_epoch
        )
        torch.manual_seed(_drawn_from(pace.seed, self._step, rank()))
        if self._buffers:
            torch._foreach_copy_(self._before, self._buffers)
        self._loss = self._backward(parts)
        self._norm = self._unscaled_norm()
        self._step += 1
        if math.isfinite(self._loss) and math.isfinite(self._norm):
            self._update(lr)
        else:
            self._undo()
        self._optimizer.zero_grad(set_to_none=True)
        self._lr = lr

    def _backward(self, parts: Sequence[Any]) -> float:
        total = torch.zeros((), device=self._device)
        for n, part in enumerate(parts):
            last = n == len(parts) - 1
            with nullcontext() if last else self._task.unsynchronized():
                with self._autocast():
                    loss = self._task.loss(part) / len(parts)
                (loss * self._scale).backward()
            total += loss.detach()
        return float(total)

    def _autocast(self) -> AbstractContextManager[object]:
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        kind = kinds.get(self._pace.precision)
        if kind is None:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=kind)

    def _unscaled_norm(self) -> float:
        """Divide the scale out of all gradients; the length of the optimizer's, before clipping."""
        gradients = [p.grad for p in self._names if p.grad is not None]
        if self._scale != 1.0:
            for many in (gradients, list(self._task.own_gradients())):
                if many:
                    torch._foreach_mul_(many, 1 / self._scale)
        norm = total_norm(gradients)
        limit = self._pace.optimizer.clip_norm
        if limit:
            torch.nn.utils.clip_grads_with_norm_(list(self._names), limit, norm)
        return float(norm)

    def _update(self, lr: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._task.update(lr=lr)
        self._bad, self._good = 0, self._good + 1
        if self._pace.precision == "fp16" and self._good % GROWTH_STEPS == 0:
            self._scale *= 2

    def _undo(self) -> None:
        """As if the step had not been: weights were not moved, buffers go back."""
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._before)
        self._task.discard()
        self._skipped, self._bad, self._good = self._skipped + 1, self._bad + 1, 0
        if self._pace.precision == "fp16":
            self._scale /= 2
        what = f"loss {self._loss:g}, gradient {self._norm:g}"
        self._announce(f"step {self._step} is skipped: {what}")
        if self._bad >= self._pace.bad_steps:
            raise BadInput(
                f"{self._bad} steps in a row had no finite loss and gradient, the last {what} at "
                f"step {self._step}; the checkpoint before them is whole. Lower "
                "schedule.peak_lr, lengthen schedule.warmup_epochs, or train in float32"
            )

    def _after_step(self) -> None:
        pace, step = self._pace, self._step
        if step % pace.log_every == 0 or step == pace.steps:
            self._tell()
        if self._is_time_to_save():
            self._save()
        if self._is_validation_step():
            self._validate_once()

    def _tell(self) -> None:
        now, pace, step = time.perf_counter(), self._pace, self._step
        pace_s = max(now - self._marked, 1e-9) / max(1, step - self._marked_step)
        told = Told(
            step=step,
            steps=pace.steps,
            epoch=step / pace.steps_per_epoch,
            loss=self._loss,
            lr=self._lr,
            grad_norm=self._norm,
            images_per_s=pace.images_per_step / pace_s,
            remaining_s=pace_s * (pace.steps - step),
            skipped=self._skipped,
        )
        more = self._task.told()  # in every process: it may exchange numbers
        if self._log is not None:
            self._log.write({**asdict(told), **more})
        if self._progress is not None:
            self._progress(told)
        self._marked, self._marked_step = time.perf_counter(), step

    def _is_time_to_save(self) -> bool:
        pace, step = self._pace, self._step
        if step % pace.checkpoint.every_steps == 0 or step == pace.steps:
            return True
        if not pace.checkpoint.every_s or step % pace.log_every:
            return False
        passed = time.perf_counter() - self._saved_at >= pace.checkpoint.every_s
        flag = torch.tensor(float(passed), device=self._device)
        return bool(all_max(flag))

    def _save(self) -> None:
        began = time.perf_counter()
        state = {**self._task.state(), **optimizer_parts(self._optimizer, self._names)}
        loop = {
            "skipped": self._skipped,
            "bad": self._bad,
            "good": self._good,
            "scale": self._scale,
        }
        save_checkpoint(
            self._folder / CHECKPOINTS,
            state,
            step=self._step,
            note={"loop": loop, "task": self._task.note()},
            keep=self._pace.checkpoint.keep,
        )
        self._saved_at = time.perf_counter()
        self._marked += self._saved_at - began  # the pace is that of training

    def _load(self, stored: StoredState) -> None:
        self._step = stored.step
        counts = (stored.count_of("loop", name) for name in ("skipped", "bad", "good"))
        self._skipped, self._bad, self._good = counts
        scale = stored.number_of("loop", "scale")
        if self._pace.precision == "fp16":
            self._scale = scale if scale not in (0, 1) else FIRST_SCALE
        self._task.load(stored)
        load_optimizer(self._optimizer, self._pace.optimizer, self._names, stored)
        self._before = [b.clone() for b in self._buffers]

    def _is_validation_step(self) -> bool:
        return self._step % self._pace.validate_every == 0 or self._step == self._pace.steps

    def _validate_once(self) -> None:
        began = time.perf_counter()
        self._validation = self._task.validate(self._step)
        if self._validation and self._log is not None:
            self._log.write({"step": self._step, "validation": dict(self._validation)})
        if self._validation and self._judged is not None:
            self._judged(self._step, self._validation)
        self._marked += time.perf_counter() - began


def _told_before(folder: Path, step: int) -> Mapping[str, float]:
    """What the log holds of the validation after a step; nothing if a crash came before it."""
    for line in read_log(folder):
        if line["step"] == step and "validation" in line:
            return dict(line["validation"])
    return {}


def _drawn_from(seed: int, step: int, process: int) -> int:
    return int(np.random.SeedSequence([seed, step, process]).generate_state(1, np.uint64)[0] >> 1)

"""One training step of a head: full softmax, Partial FC with dense state, and ours.

    python benchmarks/speed/partial_fc.py --quick                   # 100,000 classes
    python benchmarks/speed/partial_fc.py                           # and 1,000,000, 10,000,000
    python benchmarks/speed/partial_fc.py --classes 10000000 --dimension 128

In one run, on one machine, with the same number of threads, a batch of 128 embeddings of 512
numbers, the margin of CosFace, SGD with momentum and weight decay:

    full   every class takes part in every step                         heads/full_softmax.py
    dense  a tenth of the classes is sampled; the class centers are one parameter that is indexed,
           so that its gradient and its momentum have the size of all classes, and SGD updates all
           of them in every step. Written here from the description of that form; `index_select`
           stands for the slower general indexing
    ours   a tenth is sampled; nothing in a step has the size of all      heads/partial_fc.py

A step is forward, backward and update. Each side runs in a process of its own, so that its peak
memory is its own; rounds alternate. What does not fit into the memory that is free is left out,
by name. "plan" is what `memory_plan` says: centers, momenta, and the buffers of the sample. Rows
are appended to partial_fc.csv. The last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import util
from pathlib import Path
from typing import Any

RATE, MARGIN, SCALE = 0.1, 0.4, 64.0
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
SIDES = {"full": "full softmax", "dense": "sampled, dense state", "ours": "sampled, ours"}
MATRICES = {"full": 3.0, "dense": 4.2, "ours": 2.2}  # of the size of all centers, at the peak
PROCESS_BYTES = 600 << 20  # torch itself


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, append the rows, print the ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--dimension", default=512, type=int)
    parser.add_argument("--batch", default=128, type=int)
    parser.add_argument("--steps", default=7, type=int, help="timed in each round")
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--threads", default=len(os.sched_getaffinity(0)), type=int)
    parser.add_argument("--quick", action="store_true", help="100,000 classes, one round")
    parser.add_argument("--csv", default=Path(__file__).with_suffix(".csv"), type=Path)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if util.find_spec("torch") is None:
        print("left out: torch is not installed; pip install 'tronie[train]'", file=sys.stderr)
        print(json.dumps({}))
        return 0
    if asked.side is not None:
        print(json.dumps(measured(asked)))
        return 0
    if asked.quick:
        asked.classes, asked.rounds = [100_000], 1
    answers = [report(classes, asked) for classes in asked.classes]
    compared = [one for one in answers if "ratio_dense_to_ours" in one] or answers
    print(json.dumps({**compared[-1], "all": answers}))
    return 0


def report(classes: int, asked: argparse.Namespace) -> dict[str, Any]:
    """All sides that fit, in turn; the table, the rows, and the ratios."""
    fits = []
    for side in SIDES:
        needed = MATRICES[side] * 4 * classes * asked.dimension + PROCESS_BYTES
        if needed < free_bytes():
            fits.append(side)
            continue
        print(
            f"left out: {SIDES[side]} of {classes} classes needs about {needed / 2**30:.1f} GiB; "
            f"{free_bytes() / 2**30:.1f} are free",
            file=sys.stderr,
        )
    found: dict[str, list[dict[str, float]]] = {side: [] for side in fits}
    for _ in range(asked.rounds):
        for side in fits:
            found[side].append(in_a_process(side, classes, asked))
    return told(classes, found, asked) if found else {"classes": classes}


def in_a_process(side: str, classes: int, asked: argparse.Namespace) -> dict[str, float]:
    words = [sys.executable, __file__, "--side", side, "--classes", str(classes)]
    for name in ("dimension", "batch", "steps", "threads"):
        words += [f"--{name}", str(getattr(asked, name))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(asked.threads)}
    done = subprocess.run(words, stdout=subprocess.PIPE, env=environment, check=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measured(asked: argparse.Namespace) -> dict[str, float]:
    """Seconds of a step (median), peak memory, and what was planned, of one side."""
    import resource

    import torch

    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    classes = asked.classes[0]
    embeddings = torch.randn(asked.batch, asked.dimension)
    step, planned = {"full": full, "dense": dense, "ours": ours}[asked.side](asked)
    seconds = []
    for number in range(asked.steps + 2):
        labels = torch.randint(0, classes, (asked.batch,))
        start_s = time.perf_counter()
        step(embeddings.requires_grad_(), labels)
        if number >= 2:  # the first steps touch memory for the first time
            seconds.append(time.perf_counter() - start_s)
        embeddings.grad = None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": statistics.median(seconds), "peak_bytes": peak, "planned_bytes": planned}


Step = Callable[[Any, Any], None]


def full(asked: argparse.Namespace) -> tuple[Step, int]:
    from tronie.lab.nn.heads.full_softmax import Head

    return _head_step(Head, asked)


def ours(asked: argparse.Namespace) -> tuple[Step, int]:
    from tronie.lab.nn.heads.partial_fc import Head

    return _head_step(Head, asked, rate=RATE)


def _head_step(kind: Any, asked: argparse.Namespace, **options: float) -> tuple[Step, int]:
    from tronie.lab.nn.margins.cosface import Margin

    margin = Margin(scale=SCALE, margin=MARGIN)
    head = kind(classes=asked.classes[0], dimension=asked.dimension, margin=margin, **options)
    head.centers.momenta.zero_()  # touched now, and not in the steps that are timed

    def step(embeddings: Any, labels: Any) -> None:
        head(embeddings, labels).backward()
        head.step(**SGD)

    return step, sum(head.memory_plan(asked.batch).values())


def dense(asked: argparse.Namespace) -> tuple[Step, int]:
    """The sampled softmax over one dense parameter, with torch's own SGD."""
    import torch
    from torch.nn.functional import linear, normalize

    class CrossEntropy(torch.autograd.Function):
        """Softmax in place on the logits, as the distributed form does it."""

        @staticmethod
        def forward(ctx: Any, logits: Any, labels: Any) -> Any:
            logits.sub_(logits.amax(dim=1, keepdim=True)).exp_()
            logits.div_(logits.sum(dim=1, keepdim=True))
            ctx.save_for_backward(logits, labels)
            own = logits.gather(1, labels[:, None])
            return own.clamp_min_(1e-30).log_().mean().neg_()

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            logits, labels = ctx.saved_tensors
            logits[torch.arange(len(labels)), labels] -= 1
            return logits.mul_(gradient / len(labels)), None

    classes, count = asked.classes[0], int(RATE * asked.classes[0])
    weight = torch.nn.Parameter(torch.empty(classes, asked.dimension).normal_(0, 0.01))
    optimizer = torch.optim.SGD([weight], **SGD)

    def step(embeddings: Any, labels: Any) -> None:
        with torch.no_grad():
            drawn = torch.rand(classes)
            drawn[labels] = 2.0
            index = drawn.topk(count).indices.sort().values
            column = torch.searchsorted(index, labels)
        sampled = weight.index_select(0, index)
        cosine = linear(normalize(embeddings), normalize(sampled)).clamp(-1, 1)
        cosine[torch.arange(len(labels)), column] -= MARGIN
        loss = CrossEntropy.apply(cosine * SCALE, column)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, 0


def free_bytes() -> int:
    """Memory that a new process may take, as the kernel tells it."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":") for line in lines)
    return int(fields["MemAvailable"].split()[0]) * 1024


def told(
    classes: int, found: dict[str, list[dict[str, float]]], asked: argparse.Namespace
) -> dict[str, Any]:
    """Prints the table, appends it to the CSV, and gives what the last line holds."""
    import torch

    from tronie.provenance import provenance

    made = provenance().to_dict()
    print(f"\n{made['date']}  commit {made['commit']}{' + changes' if made['dirty'] else ''}")
    print(
        f"{made['cpu']}, {made['cores']} cores, {asked.threads} threads; torch "
        f"{torch.__version__}; {classes} classes, D {asked.dimension}, batch {asked.batch}, "
        f"rate {RATE}"
    )
    print(f"{'':22}  s a step  (spread)              peak MiB  plan MiB")
    table, answer = [], {"classes": classes, "dimension": asked.dimension, "batch": asked.batch}
    for side, runs in found.items():
        seconds = [one["seconds"] for one in runs]
        middle, peak = statistics.median(seconds), max(one["peak_bytes"] for one in runs)
        planned = runs[0]["planned_bytes"]
        spread = f"{min(seconds):.4f}..{max(seconds):.4f}"
        print(
            f"{SIDES[side]:22}  {middle:8.4f}  ({spread:18})  {peak / 2**20:8.0f}"
            f"  {planned / 2**20 if planned else float('nan'):8.0f}"
        )
        answer[side] = {"seconds": round(middle, 5), "peak_mib": round(peak / 2**20)}
        table.append([
            made["date"], made["commit"], made["dirty"], made["cpu"], made["cores"],
            asked.threads, side, classes, asked.dimension, asked.batch, RATE, round(middle, 5),
            round(min(seconds), 5), round(max(seconds), 5), round(peak / 2**20),
            round(planned / 2**20), len(runs), f"torch={torch.__version__}",
        ])  # fmt: skip
    append(asked.csv, table)
    for other in ("dense", "full"):
        if "ours" in found and other in found:
            ratio = answer[other]["seconds"] / answer["ours"]["seconds"]
            answer[f"ratio_{other}_to_ours"] = round(ratio, 2)
    if "ours" in found:
        planned = found["ours"][0]["planned_bytes"] / 2**20
        answer["ours_peak_to_plan"] = round(answer["ours"]["peak_mib"] / planned, 3)
    return answer


def append(path: Path, rows: list[list[object]]) -> None:
    head = ["date", "commit", "dirty", "cpu", "cores", "threads", "side", "classes", "dimension"]
    head += ["batch", "rate", "seconds", "seconds_low", "seconds_high", "peak_mib", "plan_mib"]
    head += ["rounds", "libraries"]
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows] if fresh else rows)


if __name__ == "__main__":
    sys.exit(main())

"""Toy trainings on 1, 2, 3 and 4 ranks, all in one start of four processes of this machine.

    runs()[case, ranks]      what `train` came to; 1 is one process of a group of its own

Each rank computes its slice of the same global batches, in float64; a linear network in front of
the head is trained by torch's own data parallelism, which averages its gradients over the ranks.
"""

from __future__ import annotations

import functools
import importlib
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from working_tree import environment

CLASSES, INPUTS, DIMENSION, ROWS = 23, 5, 6, 10
STEPS, STOP = 6, 3
SGD = [{"lr": 0.1 * (1 + i % 3), "momentum": 0.9, "weight_decay": 0.05} for i in range(STEPS)]
RANKS = (1, 2, 4)

# name: head, its options, margin, its options
CASES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "full-softmax": ("full_softmax", {}, "cosface", {}),
    "subcenter": ("subcenter", {"subcenters": 2}, "cosface", {}),
    "partial-fc": ("partial_fc", {"rate": 0.4}, "cosface", {}),
    "frozen": ("partial_fc", {"rate": 0.4, "unsampled": "frozen"}, "cosface", {}),
    "only positives": ("partial_fc", {"rate": 0.0}, "cosface", {}),
    "filtered": ("partial_fc", {"rate": 0.7, "filter_above": 0.3}, "cosface", {}),
    "reweighted": ("partial_fc", {"rate": 0.4, "reweighted": True}, "cosface", {}),
    "lengths": ("partial_fc", {"rate": 0.4}, "magface", {"shortest": 0.1, "longest": 9.0}),
    "batch statistics": ("partial_fc", {"rate": 0.4}, "adaface", {}),
    "moving target": ("partial_fc", {"rate": 0.4}, "curricular", {}),
    "moving scale": ("full_softmax", {}, "adacos", {"classes": CLASSES}),
    "moving scale, sampled": ("partial_fc", {"rate": 0.4}, "adacos", {"classes": CLASSES}),
    "no softmax": ("partial_fc", {"rate": 0.4}, "p2sgrad", {}),
}


def head_of(case: str, *, group: Any = None, classes: int = CLASSES) -> Any:
    """The head of a case, in float64."""
    head, options, margin, settings = CASES[case]
    kind = importlib.import_module(f"tronie.lab.nn.heads.{head}").Head
    rule = importlib.import_module(f"tronie.lab.nn.margins.{margin}").Margin(**settings)
    made = kind(classes=classes, dimension=DIMENSION, margin=rule, seed=5, group=group, **options)
    return made.double()


def batch(step: int) -> Any:
    """Inputs (ROWS, INPUTS) and labels of the global batch of a step."""
    import torch

    generator = torch.Generator().manual_seed(100 + step)
    inputs = torch.randn(ROWS, INPUTS, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(0, CLASSES, (ROWS,), generator=generator)


def network(state: Any = None) -> Any:
    """One linear layer, the same for everybody; or with the weight of another."""
    import torch

    generator = torch.Generator().manual_seed(7)
    made = torch.nn.Linear(INPUTS, DIMENSION, bias=False, dtype=torch.float64)
    drawn = torch.randn(DIMENSION, INPUTS, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        made.weight.copy_(drawn if state is None else state)
    return made


def train(
    case: str,
    *,
    group: Any = None,
    begin: int = 0,
    end: int = STEPS,
    state: Any = None,
    parts: Any = None,
) -> dict[str, Any]:
    """Steps `begin` to `end`; the losses, the network's weight, and the head's state."""
    import torch

    from tronie.lab.nn.class_centers import shard_of
    from tronie.lab.nn.collectives import rank, world_size

    head, layer = head_of(case, group=group), network(state)
    whole = layer
    if world_size(group) > 1:
        whole = torch.nn.parallel.DistributedDataParallel(layer, process_group=group)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
    if parts is not None:
        head.load_shard_state(parts)
    losses = []
    for step in range(begin, end):
        inputs, labels = batch(step)
        first, count = shard_of(ROWS, rank(group), world_size(group))
        own = slice(first, first + count)
        optimizer.zero_grad()
        loss = head(whole(inputs[own]), labels[own])
        loss.backward()
        head.step(**SGD[step])
        optimizer.step()
        losses.append(loss.item())
    return {"losses": losses, "weight": layer.weight.detach(), "state": head.shard_state()}


@functools.cache
def runs() -> dict[tuple[str, int | str], list[dict[str, Any]]]:
    """What each rank came to, by case and ranks; ("gather", 4) is `gather`.

    (case, "2 to 3") was stopped on two ranks and went on with three; "2 to 1" likewise.
    """
    import torch

    with tempfile.TemporaryDirectory() as name:
        run_ranks([sys.executable, __file__, name], ranks=4)
        found: dict[tuple[str, int | str], list[dict[str, Any]]] = {}
        for file in sorted(Path(name).glob("*.pt")):
            case, ranks, _ = file.stem.split("--")
            key = (case, int(ranks) if ranks.isdecimal() else ranks)
            found.setdefault(key, []).append(torch.load(file, weights_only=True))
    return found


def run_ranks(words: list[str], *, ranks: int, good: bool = True) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each rank of a command that torchrun might have started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        subprocess.Popen(
            words,
            env={**environment(), **_told(number, ranks, port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(ranks)
    ]
    try:
        ended = [(one, *one.communicate(timeout=120)) for one in started]
    finally:
        for one in started:
            one.kill()
    if good:
        assert all(one.returncode == 0 for one in started), [err for *_, err in ended]
    return [(one.returncode, out, err) for one, out, err in ended]


def _told(number: int, ranks: int, port: int) -> dict[str, str]:
    return {
        "RANK": str(number),
        "WORLD_SIZE": str(ranks),
        "LOCAL_RANK": str(number),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def _work(folder: Path) -> None:
    import torch
    import torch.distributed as dist

    from tronie.lab.training.distributed import start

    torch.set_num_threads(1)
    with start() as place:

        def keep(case: str, ranks: int | str, found: dict[str, Any]) -> None:
            torch.save(found, folder / f"{case}--{ranks}--{place.rank}.pt")

        groups = {ranks: dist.new_group(range(ranks)) for ranks in (1, 2, 3, 4)}
        keep("gather", 4, _gather(place.rank))
        for case in CASES:
            for ranks in RANKS:
                if place.rank < ranks:
                    keep(case, ranks, train(case, group=groups[ranks]))
            if place.rank < 2:
                keep(case, "half", train(case, group=groups[2], end=STOP))
            dist.barrier()
            halves = [
                torch.load(folder / f"{case}--half--{n}.pt", weights_only=True) for n in (0, 1)
            ]
            for ranks in (1, 3):
                if place.rank < ranks:
                    parts = [half["state"] for half in halves]
                    given = {"begin": STOP, "state": halves[0]["weight"], "parts": parts}
                    keep(case, f"2 to {ranks}", train(case, group=groups[ranks], **given))


def _gather(rank: int) -> dict[str, Any]:
    """Rows 10 r, 10 r + 1, ... of each rank, and the gradient of sum over i of (r + 1) i x_i."""
    import torch

    from tronie.lab.nn.collectives import all_max, all_sum, gather_rows

    count = (3, 0, 2, 1)[rank]
    rows = torch.arange(count, dtype=torch.float64)[:, None] + 10 * rank
    rows.requires_grad_()
    everyone = gather_rows(rows)
    ((rank + 1) * torch.arange(len(everyone))[:, None] * everyone).sum().backward()
    own = torch.tensor([float(rank), -float(rank)])
    return {
        "everyone": everyone.detach(),
        "gradient": rows.grad,
        "sum": all_sum(own),
        "largest": all_max(own),
        "labels": gather_rows(torch.full((count,), rank)),
    }


if __name__ == "__main__":
    _work(Path(sys.argv[1]))

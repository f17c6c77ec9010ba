"""Training on drawn crops with a network of a few thousand numbers, which takes milliseconds.

write_crops(folder)             crops NAME/NAME_0001.png of drawn faces, 112 pixels wide, and lists
tiny_backbone(name)             what stands in for every backbone after `use_tiny_backbone()`
toy_recipe(**changes)           a run of a few steps
find_toy(name, recipe)          what finds that recipe by the name toy, and others as ever
interrupt_at(step)              ends a run at a line of its log
wait_for_steps(process, ...)    waits for a line of a run's log

Run as a program it is the command `tronie` with that network: `python toy_training.py train ...`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from toys import toy_face

SIDE = 112


def crop(person: int, shot: int) -> Any:
    """A drawn face, (112, 112, 3) uint8."""
    return np.ascontiguousarray(toy_face(person, shot=shot)[24:136, 24:136])


def write_crops(folder: Path, *, people: int = 5, shots: int = 4) -> Path:
    """Crops of people P0, P1 ..., and LFW's lists of View 1 over the last two of them."""
    for person in range(people):
        home = folder / f"P{person}"
        home.mkdir(parents=True, exist_ok=True)
        for shot in range(shots):
            Image.fromarray(crop(person, shot)).save(home / f"P{person}_{shot + 1:04d}.png")
    names = "".join(f"P{person}\t{shots}\n" for person in range(people))
    (folder / "peopleDevTrain.txt").write_text(f"{people}\n{names}")
    (folder / "pairsDevTrain.txt").write_text("1\nP0\t1\t2\nP0\t1\tP1\t1\n")
    a, b = people - 2, people - 1
    lines = f"2\nP{a}\t1\t2\nP{b}\t1\t2\nP{a}\t1\tP{b}\t1\nP{a}\t2\tP{b}\t2\n"
    (folder / "pairsDevTest.txt").write_text(lines)
    return folder


def tiny_backbone(name: str, *, embedding_size: int | None = None) -> Any:
    """Averages of 14 x 14 pixels, one layer, one batch norm."""
    from torch import nn

    return nn.Sequential(
        nn.AvgPool2d(16),
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.PReLU(8),
        nn.Flatten(),
        nn.Linear(8 * 49, embedding_size or 16, bias=False),
        nn.BatchNorm1d(embedding_size or 16),
    )


def toy_recipe(**changes: Any) -> Any:
    """A run over drawn crops; small steps, so that float32 stays close to what it should be."""
    from dataclasses import replace

    from tronie.lab.training.recipe import Checkpoint, Data, RecognitionRecipe, Validation
    from tronie.lab.training.schedule import Optimizer, Schedule
    from tronie.lab.training.settings import Entry

    recipe = RecognitionRecipe(
        backbone="tiny",
        embedding_size=16,
        margin=Entry(name="cosface", options={"scale": 8.0, "margin": 0.1}),
        head=Entry(name="partial-fc", options={"rate": 0.5}),
        epochs=3,
        batch_size=6,
        schedule=Schedule(peak_lr=0.01),
        optimizer=Optimizer(head_lr_ratio=10.0),
        norm_statistics="global",
        log_every=1,
        data=Data(threads=1),
        checkpoint=Checkpoint(every_steps=4, every_s=0, keep=9),
        validation=Validation(),
    )
    return replace(recipe, **changes)


def find_toy(name: str, recipe: Any) -> Any:
    """What stands in for `run_folder.find_recipe`: the name toy is that of a recipe."""
    from tronie.lab.training import run_folder

    found = run_folder.find_recipe
    toy = run_folder.NamedRecipe(name=name, recipe=recipe)
    return lambda asked: toy if asked == "toy" else found(asked)


def interrupt_at(step: int | None) -> Any:
    """For `Run.train(progress=...)`: KeyboardInterrupt, "stopped", when a step is told."""

    def progress(told: Any) -> None:
        if told.step == step:
            raise KeyboardInterrupt("stopped")

    return progress


def wait_for_steps(process: Any, folder: Path, steps: int) -> None:
    """Until the log of a run is past a step, or the process that trains has ended."""
    end = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < end:
        try:
            last = (folder / "log.jsonl").read_text().splitlines()[-1]
            if json.loads(last)["step"] >= steps:
                return
        except (OSError, IndexError, ValueError):
            pass
        time.sleep(0.01)  # a process outside this one is watched


def use_tiny_backbone() -> None:
    """From now on every backbone is the tiny one, and `toy_recipe()` answers to the name toy."""
    from tronie.lab.training import recognition, run_folder

    recognition.build_backbone = tiny_backbone
    run_folder.find_recipe = find_toy("recognition/toy", toy_recipe())


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    use_tiny_backbone()
    from tronie.cli.main import main

    sys.exit(main())

"""Training a detector on drawn photographs, which takes seconds.

write_photos(folder)            photographs N.png of one or two drawn faces, and their labels.txt
toy_recipe(**changes)           a run of a few steps on crops of 96 pixels

Run as a program it is the command `tronie`, where the recipe answers to the name toy.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from toy_training import find_toy
from toys import BOX, FIVE_POINTS, SIDE, toy_face


def write_photos(folder: Path, *, photos: int = 3) -> Path:
    """EVENT/0.png, EVENT/1.png ...: of 160 x 160 with one face, or 320 x 160 with two."""
    home = folder / "EVENT"
    home.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(photos):
        faces = 1 + number % 2
        picture = np.concatenate([toy_face(10 * number + n) for n in range(faces)], axis=1)
        Image.fromarray(np.ascontiguousarray(picture)).save(home / f"{number}.png")
        lines.append(f"# EVENT/{number}.png {SIDE * faces} {SIDE}")
        for n in range(faces):
            moved = [v + SIDE * n * (1 - i % 2) for i, v in enumerate(BOX)]
            points = [v for x, y in FIVE_POINTS for v in (x + SIDE * n, y)]
            lines.append(" ".join(f"{v:g}" for v in (*moved, *points)))
    (folder / "labels.txt").write_text("\n".join(lines) + "\n")
    return folder


def toy_recipe(**changes: Any) -> Any:
    """A run over drawn photographs."""
    from dataclasses import replace

    from tronie.lab.training.detection_recipe import (
        DetectionData,
        DetectionRecipe,
        DetectionValidation,
    )
    from tronie.lab.training.recipe import Checkpoint
    from tronie.lab.training.schedule import Optimizer, Schedule

    recipe = DetectionRecipe(
        detector="scrfd-0.5g",
        epochs=8,
        batch_size=3,
        schedule=Schedule(peak_lr=0.01),
        optimizer=Optimizer(),
        ema=0.9,
        log_every=1,
        data=DetectionData(sizes=(96,), threads=1),
        checkpoint=Checkpoint(every_steps=3, every_s=0, keep=9),
        validation=DetectionValidation(size=160),
    )
    return replace(recipe, **changes)


def use_toy_recipe() -> None:
    """From now on `toy_recipe()` answers to the name toy."""
    from tronie.lab.training import run_folder

    run_folder.find_recipe = find_toy("detection/toy", toy_recipe())


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    use_toy_recipe()
    from tronie.cli.main import main

    sys.exit(main())

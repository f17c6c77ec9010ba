"""A search for a detector of 0.5 GFLOPs at VGA: 96 networks, each trained for a minute on a core.

Step 1 draws 64 backbones of depthwise blocks under the budget, with the neck and the head that the
published search started from; step 2 draws 32 whole networks around the best of them. Each is
trained for as many steps on crops of 256 pixels and judged on 15 % of the photographs of DIR, which
none of them is trained on. That tells good networks from bad ones; the winner is then trained in
full by the command that the search ends with.

Command   tronie redistribute detection/redistribute_500m --data DIR --out RUN --budget-minutes 60
Cost      not measured yet
Expect    not measured yet
Source    Guo et al. 2022, arXiv:2105.04714, which searched 0.5 to 34 GFLOPs with 320 networks a
          step, each trained for 80 epochs on 12,880 photographs. The short training is ours
"""

from __future__ import annotations

from tronie.lab.training.detection_recipe import (
    DetectionData,
    DetectionRecipe,
    DetectionValidation,
)
from tronie.lab.training.recipe import Checkpoint
from tronie.lab.training.redistribute.recipe import RedistributionRecipe
from tronie.lab.training.schedule import Optimizer, Schedule

RECIPE = RedistributionRecipe(
    template="scrfd-mobilenet-0.5g",
    blocks=("depthwise",),
    flops=0.5e9,
    backbones=64,
    networks=32,
    steps=300,
    proxy=DetectionRecipe(
        detector="scrfd-mobilenet-0.5g",
        batch_size=8,
        schedule=Schedule(peak_lr=0.01, shape="cosine", warmup_epochs=0.5),
        optimizer=Optimizer(
            momentum=0.9, weight_decay=5e-4, decay_only_matrices=True, clip_norm=35.0
        ),
        log_every=100,
        data=DetectionData(sizes=(256,), held_out=0.15, threads=1),
        checkpoint=Checkpoint(every_steps=1_000_000, keep=1),
        validation=DetectionValidation(every_steps=1_000_000, size=640),
    ),
)

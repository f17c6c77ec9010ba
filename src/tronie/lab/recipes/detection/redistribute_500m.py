"""A search for a detector of 0.5 GFLOPs at VGA: 64 networks, each trained for minutes on a core.

Step 1 draws 46 backbones of depthwise blocks under the budget, with the neck and the head that the
published search started from; step 2 draws 18 whole networks around the best of them. Each is
trained for 2,400 steps of 4 crops of 128 pixels, in which faces are as large as in those of
wider708_scrfd_500m, and judged on 15 % of the photographs of DIR, which none of them is trained
on. That tells networks that learn fast from those that do not; the winner is then trained in full
by the command that the search ends with.

Command   tronie redistribute detection/redistribute_500m --data DIR --out RUN --workers 2
Cost      64 minutes on two CPU cores (AMD EPYC, Zen 5) for 708 photographs, 107 s a candidate
Expect    on 708 photographs of WIDER FACE the 46 backbones drawn at random score 0.0017 in the
          mean, the winner 0.0187: scrfd-depthwise-1.4.2.2-16.40.48.72.72.88-n32-h144x1-gn16, with
          22 % of its computation in the stem, 22 in C3 and 1 in C5
Source    Guo et al. 2022, arXiv:2105.04714, which searched with 320 networks a step, each trained
          for 80 epochs on 12,880 photographs. The short training is ours
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.detection.wider708_scrfd_500m import RECIPE as LONG
from tronie.lab.training.detection_recipe import DetectionValidation
from tronie.lab.training.recipe import Checkpoint
from tronie.lab.training.redistribute.recipe import RedistributionRecipe

RECIPE = RedistributionRecipe(
    template="scrfd-mobilenet-0.5g",
    blocks=("depthwise",),
    flops=0.5e9,
    backbones=46,
    networks=18,
    steps=2400,
    proxy=replace(
        LONG,
        batch_size=4,
        schedule=replace(LONG.schedule, warmup_epochs=0.5),
        ema=0.98,
        data=replace(
            LONG.data,
            sizes=(128,),
            scales=tuple(scale / 2 for scale in LONG.data.scales),
            held_out=0.15,
        ),
        checkpoint=Checkpoint(every_steps=1_000_000, keep=1),
        validation=DetectionValidation(every_steps=1_000_000, size=640),
    ),
)

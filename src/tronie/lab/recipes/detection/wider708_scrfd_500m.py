"""SCRFD of 0.5 GFLOPs on 708 photographs of WIDER FACE: half an hour on a CPU core.

A demonstration, not a detector: the published one learns from 18 times as many photographs, 640
times each. DIR holds the photographs and labels.txt. To be judged by other photographs add
--set validation.truth=MATS --set validation.photos=PHOTOS.

Command   tronie train detection/wider708_scrfd_500m --data DIR --out RUN
Cost      28 minutes on one CPU core (AMD EPYC, Zen 5), 55 images/s
Expect    average precision 61.2 / 57.4 / 28.0 % (easy, medium, hard) on 183 photographs of WIDER
          FACE's validation set, which are not among the 708; with seed 1 67.5 / 64.6 / 31.8
Source    Guo et al. 2022, arXiv:2105.04714. Ours: crops of 256 pixels instead of 640, whose faces
          are about as large as in photographs of 640 pixels, 0.31 octaves off. The search found
          these scales when it counted faces below 10 pixels in crops, which it does no more: now
          0.48 to 0.8 (0.14; the released list 0.64; without redistribution 1.84). And AdamW for a
          short run, where SGD learned more slowly
"""

from __future__ import annotations

from tronie.lab.training.detection_recipe import (
    DetectionData,
    DetectionRecipe,
    DetectionValidation,
)
from tronie.lab.training.recipe import Checkpoint
from tronie.lab.training.schedule import Optimizer, Schedule

RECIPE = DetectionRecipe(
    detector="scrfd-0.5g",
    epochs=120,
    batch_size=8,
    schedule=Schedule(peak_lr=0.002, shape="cosine", warmup_epochs=2),
    optimizer=Optimizer(name="adamw", weight_decay=0.05, decay_only_matrices=True, clip_norm=35.0),
    ema=0.998,
    log_every=50,
    data=DetectionData(
        sizes=(256,),
        scales=(0.4, 0.48, 0.56, 0.64, 0.72),
        threads=1,
    ),
    checkpoint=Checkpoint(every_steps=1000, every_s=120),
    validation=DetectionValidation(every_steps=2655, size=640),
)

"""SCRFD of 0.5 GFLOPs at VGA on WIDER FACE: the detection recipe to read first.

DIR holds the training photographs of WIDER FACE and labels.txt (or labelv2.txt) beside them. To be
judged on the way add --set validation.truth=MATS --set validation.photos=PHOTOS, the folders of the
four .mat files and of the validation photographs.

Command   torchrun --nproc-per-node 8 -m tronie train detection/scrfd_500m --data DIR --out RUN
Cost      not measured yet (8 GPUs; 12,880 photographs, 640 epochs, 128,800 steps)
Expect    not measured yet; as published and not reproduced here, 90.57 easy, 88.12 medium and
          68.51 hard on the validation set at 640
Source    Guo et al. 2022, arXiv:2105.04714; crops, rates, decay and length of the run as its
          released configuration has them, but for black beside a photograph instead of grey. The
          moving average is ours, and so is the clipping
"""

from __future__ import annotations

from tronie.lab.training.detection_recipe import (
    DetectionData,
    DetectionRecipe,
    DetectionValidation,
)
from tronie.lab.training.schedule import Optimizer, Schedule

RECIPE = DetectionRecipe(
    detector="scrfd-0.5g",
    epochs=640,
    batch_size=64,
    schedule=Schedule(peak_lr=0.01, shape="drops", warmup_epochs=7.5, drops=(440, 544)),
    optimizer=Optimizer(momentum=0.9, weight_decay=5e-4, clip_norm=35.0),
    ema=0.9998,
    data=DetectionData(sizes=(640,), flip=0.5, photometric=1.0),
    validation=DetectionValidation(every_steps=10_000, size=640),
)

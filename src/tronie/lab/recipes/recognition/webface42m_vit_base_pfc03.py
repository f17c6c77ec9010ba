"""ViT-B on WebFace42M with three centers in ten drawn at each step.

Command   torchrun --nproc-per-node 8 -m tronie train recognition/webface42m_vit_base_pfc03 \\
              --data DIR --out RUN
Cost      not measured yet (8 GPUs, 40 epochs in twelve parts a step)
Expect    not measured yet; the authors report 97.90 at FAR 1e-4 on IJB-C for theirs
Source    An et al. 2022, arXiv:2203.15565; AdamW at 0.001 with a decay of 0.1, 40 epochs, a tenth
          of them warm-up, 24,576 images a step, as in the authors' training code.
          Differs: class centers are moved by SGD, at a rate of 0.1, where theirs have AdamW too
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.webface42m_iresnet100_pfc02 import RECIPE as CONVOLUTIONAL
from tronie.lab.training.schedule import Optimizer, Schedule
from tronie.lab.training.settings import Entry

RECIPE = replace(
    CONVOLUTIONAL,
    backbone="vit-b",
    head=Entry(name="partial-fc", options={"rate": 0.3}),
    epochs=40,
    batch_size=24_576,
    accumulate=12,
    schedule=Schedule(peak_lr=1e-3, shape="polynomial", power=1.0, warmup_epochs=4),
    optimizer=Optimizer(
        name="adamw",
        weight_decay=0.1,
        head_weight_decay=5e-4,
        head_lr_ratio=100.0,
        clip_norm=5.0,
    ),
    precision="bf16",
    fixed_last_scale=False,
)

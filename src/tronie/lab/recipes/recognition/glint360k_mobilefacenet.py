"""MobileFaceNet, twice as wide as published, with CosFace on Glint360K: for a phone.

Command   torchrun --nproc-per-node 8 -m tronie train recognition/glint360k_mobilefacenet \\
              --data DIR --out RUN
Cost      not measured yet (8 GPUs; 17,091,657 images of 360,232 people, 20 epochs)
Expect    not measured yet; the authors report 95.04 at FAR 1e-4 on IJB-C for theirs
Source    Chen et al. 2018, arXiv:1804.07573; An et al. 2021, arXiv:2010.05222; CosFace 0.4 and a
          decay of 1e-4 as in the authors' training code for this set
"""

from __future__ import annotations

from tronie.lab.training.recipe import RecognitionRecipe, Validation
from tronie.lab.training.schedule import Optimizer, Schedule
from tronie.lab.training.settings import Entry

RECIPE = RecognitionRecipe(
    backbone="mobilefacenet-mbf",
    embedding_size=512,
    margin=Entry(name="cosface", options={"scale": 64.0, "margin": 0.4}),
    head=Entry(name="partial-fc", options={"rate": 0.1}),
    epochs=20,
    batch_size=1024,
    schedule=Schedule(peak_lr=0.1, shape="polynomial", power=1.0),
    optimizer=Optimizer(momentum=0.9, weight_decay=1e-4, head_weight_decay=1e-4, clip_norm=5.0),
    precision="fp16",
    validation=Validation(every_steps=2000, bins=("lfw.bin", "cfp_fp.bin", "agedb_30.bin")),
)

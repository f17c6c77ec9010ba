"""IResNet-50 with ArcFace on MS1MV3: the recipe to read first.

DIR holds the archive train.rec with its train.idx, and lfw.bin, cfp_fp.bin and agedb_30.bin.

Command   torchrun --nproc-per-node 8 -m tronie train recognition/ms1mv3_iresnet50_arcface \\
              --data DIR --out RUN
Cost      not measured yet (8 GPUs; 5,179,510 images of 93,431 people, 20 epochs)
Expect    not measured yet; the authors report 96.37 at FAR 1e-4 on IJB-C for theirs
Source    Deng et al. 2019, arXiv:1801.07698; rates, decay, clipping and length of the run as in the
          authors' training code for this set
"""

from __future__ import annotations

from tronie.lab.training.recipe import RecognitionRecipe, Validation
from tronie.lab.training.schedule import Optimizer, Schedule
from tronie.lab.training.settings import Entry

RECIPE = RecognitionRecipe(
    backbone="iresnet-50",
    embedding_size=512,
    margin=Entry(name="arcface", options={"scale": 64.0, "margin": 0.5}),
    head=Entry(name="full-softmax"),
    epochs=20,
    batch_size=1024,
    schedule=Schedule(peak_lr=0.1, shape="polynomial", power=1.0),
    optimizer=Optimizer(momentum=0.9, weight_decay=5e-4, head_weight_decay=5e-4, clip_norm=5.0),
    precision="fp16",
    fixed_last_scale=True,
    validation=Validation(every_steps=2000, bins=("lfw.bin", "cfp_fp.bin", "agedb_30.bin")),
)

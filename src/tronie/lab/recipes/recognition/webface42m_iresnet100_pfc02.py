"""IResNet-100 on WebFace42M: two million identities, one center in five drawn at each step.

Command   torchrun --nnodes 4 --nproc-per-node 8 -m tronie train \\
              recognition/webface42m_iresnet100_pfc02 --data DIR --out RUN
Cost      not measured yet (32 GPUs; 42,474,557 images of 2,059,906 people, 20 epochs)
Expect    not measured yet; the authors report 97.70 at FAR 1e-4 on IJB-C for theirs on 8 GPUs
Source    An et al. 2022, arXiv:2203.15565; CosFace 0.4, rate 0.4 for a batch of 4096 with a tenth
          of the run as warm-up, as in the authors' training code
"""

from __future__ import annotations

from tronie.lab.training.recipe import RecognitionRecipe, Validation
from tronie.lab.training.schedule import Optimizer, Schedule
from tronie.lab.training.settings import Entry

RECIPE = RecognitionRecipe(
    backbone="iresnet-100",
    embedding_size=512,
    margin=Entry(name="cosface", options={"scale": 64.0, "margin": 0.4}),
    head=Entry(name="partial-fc", options={"rate": 0.2}),
    epochs=20,
    batch_size=4096,
    schedule=Schedule(peak_lr=0.4, shape="polynomial", power=1.0, warmup_epochs=2),
    optimizer=Optimizer(momentum=0.9, weight_decay=5e-4, head_weight_decay=5e-4, clip_norm=5.0),
    precision="fp16",
    fixed_last_scale=True,
    validation=Validation(every_steps=5000, bins=("lfw.bin", "cfp_fp.bin", "agedb_30.bin")),
)

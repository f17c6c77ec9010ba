"""VarGFaceNet taught by an IResNet-100: the light track of the LFR challenge of 2019.

Train the teacher first, and name its folder:

Command   torchrun --nproc-per-node 8 -m tronie train recognition/ms1mv3_vargfacenet_distilled \\
              --data DIR --out RUN --set teacher.run=TEACHER
Cost      not measured yet (8 GPUs, 20 epochs with the teacher's forward pass)
Expect    not measured yet
Source    Yan et al. 2019, arXiv:1910.04985: ArcFace + 7 times the angular distance (equation 5).
          Trained again from its own weights (start_from=RUN) it is their recursive distillation.
          Differs: their teacher is a ResNet-100 with squeeze-and-excitation
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.ms1mv3_iresnet50_arcface import RECIPE as TEACHER
from tronie.lab.training.recipe import Teacher

RECIPE = replace(
    TEACHER,
    backbone="vargfacenet-x1.25",
    teacher=Teacher(angular=7.0),
)

"""IResNet-100 with ArcFace on MS1MV3: the usual teacher, and the usual point of comparison.

Command   torchrun --nproc-per-node 8 -m tronie train recognition/ms1mv3_iresnet100_arcface \\
              --data DIR --out RUN
Cost      not measured yet (8 GPUs, 20 epochs)
Expect    not measured yet; the authors report 96.85 at FAR 1e-4 on IJB-C for theirs
Source    as ms1mv3_iresnet50_arcface
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.ms1mv3_iresnet50_arcface import RECIPE as SMALLER

RECIPE = replace(SMALLER, backbone="iresnet-100")

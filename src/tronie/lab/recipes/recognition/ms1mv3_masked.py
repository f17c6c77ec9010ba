"""IResNet-50 with ArcFace on MS1MV3, a tenth of the faces wearing a drawn mask.

Command   torchrun --nproc-per-node 8 -m tronie train recognition/ms1mv3_masked \\
              --data DIR --out RUN
Cost      not measured yet (8 GPUs; as ms1mv3_iresnet50_arcface)
Expect    not measured yet
Source    Deng et al. 2021, "Masked Face Recognition Challenge: The InsightFace Track Report",
          arXiv:2108.08191: the baselines are trained with masks on a tenth of the faces; all else
          as in ms1mv3_iresnet50_arcface
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.ms1mv3_iresnet50_arcface import RECIPE as UNMASKED

RECIPE = replace(UNMASKED, data=replace(UNMASKED.data, mask=0.1))

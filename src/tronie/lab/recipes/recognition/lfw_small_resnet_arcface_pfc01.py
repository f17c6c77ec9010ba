"""The same as lfw_small_resnet_arcface with one class center in ten drawn at each step.

Command   tronie train recognition/lfw_small_resnet_arcface_pfc01 --data DIR --out RUN
Cost      not measured yet (two CPU cores)
Expect    not measured yet; the accuracy of lfw_small_resnet_arcface within its noise
Source    An et al. 2022, arXiv:2203.15565; all else as in lfw_small_resnet_arcface
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.lfw_small_resnet_arcface import RECIPE as FULL
from tronie.lab.training.settings import Entry

RECIPE = replace(FULL, head=Entry(name="partial-fc", options={"rate": 0.1}))

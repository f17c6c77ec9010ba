"""The same as lfw_small_resnet_arcface with CosFace: one margin beside another.

Command   tronie train recognition/lfw_small_resnet_cosface --data DIR --out RUN
Cost      not measured yet (two CPU cores)
Expect    not measured yet
Source    Wang et al. 2018, arXiv:1801.09414, with its margin; all else as in
          lfw_small_resnet_arcface
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.lfw_small_resnet_arcface import RECIPE as ARCFACE
from tronie.lab.training.settings import Entry

RECIPE = replace(ARCFACE, margin=Entry(name="cosface", options={"scale": 32.0, "margin": 0.35}))

"""The same as lfw_small_resnet_arcface with CosFace: one margin beside another.

Command   tronie train recognition/lfw_small_resnet_cosface --data DIR --out RUN
Cost      6 minutes on one CPU core (AMD EPYC, Zen 5), 200 images/s
Expect    86.4 % of the pairs of pairsDevTest.txt (85.5, 85.9 and 87.8 with seeds 1, 2, 3)
Source    Wang et al. 2018, arXiv:1801.09414, with its margin; all else as in
          lfw_small_resnet_arcface
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.lfw_small_resnet_arcface import RECIPE as ARCFACE
from tronie.lab.training.settings import Entry

RECIPE = replace(ARCFACE, margin=Entry(name="cosface", options={"scale": 32.0, "margin": 0.35}))

"""The same as lfw_small_resnet_arcface with NormFace: one margin beside another.

Command   tronie train recognition/lfw_small_resnet_normface --data DIR --out RUN
Cost      6 minutes on one CPU core (AMD EPYC, Zen 5), 200 images/s
Expect    83.2 % of the pairs of pairsDevTest.txt (83.4, 82.7 and 83.6 with seeds 1, 2, 3)
Source    Wang et al. 2017, arXiv:1704.06369; all else as in lfw_small_resnet_arcface
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.lfw_small_resnet_arcface import RECIPE as ARCFACE
from tronie.lab.training.settings import Entry

RECIPE = replace(ARCFACE, margin=Entry(name="normface", options={"scale": 32.0}))

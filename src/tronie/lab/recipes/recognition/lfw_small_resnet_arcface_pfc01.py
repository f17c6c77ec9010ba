"""The same as lfw_small_resnet_arcface_long with one class center in ten drawn at each step.

A tenth of 1,184 classes is 118, beside the 31 or so that the batch itself brings. Each class drawn
stands for ten in the softmax. In the 12 epochs of lfw_small_resnet_arcface, where a face meets
another's center only once or twice, Partial FC stays behind the full softmax (LAB-BOOK.md).

Command   tronie train recognition/lfw_small_resnet_arcface_pfc01 --data DIR --out RUN
Cost      11 minutes on one CPU core (AMD EPYC, Zen 5), 170 images/s
Expect    87.8 % of the pairs of pairsDevTest.txt (88.7, 86.8 and 88.0 with seeds 1, 2, 3)
Source    An et al. 2022, arXiv:2203.15565; all else as in lfw_small_resnet_arcface_long
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.lfw_small_resnet_arcface_long import RECIPE as FULL
from tronie.lab.training.settings import Entry

RECIPE = replace(FULL, head=Entry(name="partial-fc", options={"rate": 0.1, "reweighted": True}))

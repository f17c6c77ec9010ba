"""The same as lfw_small_resnet_arcface, twice as long and in batches of half the size.

What lfw_small_resnet_arcface_pfc01 is compared with. With all classes in each step the longer
training gains nothing here.

Command   tronie train recognition/lfw_small_resnet_arcface_long --data DIR --out RUN
Cost      11 minutes on one CPU core (AMD EPYC, Zen 5), 170 images/s
Expect    86.3 % of the pairs of pairsDevTest.txt (85.1, 87.9 and 86.0 with seeds 1, 2, 3)
Source    All as in lfw_small_resnet_arcface; the length is ours
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.lfw_small_resnet_arcface import RECIPE as SHORT

RECIPE = replace(SHORT, epochs=24, batch_size=32, schedule=replace(SHORT.schedule, peak_lr=0.025))

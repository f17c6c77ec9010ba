"""The same as scrfd_500m with the network of 2.5 GFLOPs at VGA.

Command   torchrun --nproc-per-node 8 -m tronie train detection/scrfd_2500m --data DIR --out RUN
Cost      not measured yet (8 GPUs; 12,880 photographs, 640 epochs, 128,800 steps)
Expect    not measured yet; as published and not reproduced here, 93.78 easy, 92.16 medium and
          77.87 hard on the validation set at 640
Source    Guo et al. 2022, arXiv:2105.04714; all else as in scrfd_500m
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.detection.scrfd_500m import RECIPE as SMALL

RECIPE = replace(SMALL, detector="scrfd-2.5g")

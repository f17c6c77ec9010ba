"""The same as wider708_scrfd_500m without sample redistribution: the five smaller crops alone.

What it is compared with. Detectors were trained so before, by crops of 0.3 to 1.0 of the short
side; of 256 instead of 640 pixels that is 0.12 to 0.4.

Command   tronie train detection/wider708_scrfd_500m_no_redistribution --data DIR --out RUN
Cost      28 minutes on one CPU core (AMD EPYC, Zen 5), 55 images/s
Expect    average precision 62.7 / 54.4 / 23.9 % (easy, medium, hard) on the same 183 photographs;
          with seeds 1 and 2 58.1 / 46.2 / 20.0 and 60.6 / 49.7 / 21.5
Source    Guo et al. 2022, arXiv:2105.04714; all else as in wider708_scrfd_500m
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.detection.wider708_scrfd_500m import RECIPE as REDISTRIBUTED

SMALLER = (0.12, 0.18, 0.24, 0.32, 0.4)
RECIPE = replace(REDISTRIBUTED, data=replace(REDISTRIBUTED.data, scales=SMALLER))

"""A search for the crops that show faces as large as a detector will meet them, from labels alone.

Of the released scales and some beyond, it finds the run of five or more whose faces are nearest in
size to those of the same photographs, fitted into 640 pixels. For smaller crops set size.

Command   tronie redistribute detection/redistribute_samples --data DIR --out RUN
Cost      seconds on a CPU core; nothing is trained
Expect    for 708 photographs of WIDER FACE 1.2 to 2.0, 0.14 octaves from the target; the scales up
          to 1 are 1.8 octaves from it, those up to 2 0.6
Source    Guo et al. 2022, arXiv:2105.04714, whose list is chosen by hand; the search is ours
"""

from __future__ import annotations

from tronie.lab.training.redistribute.samples import SampleRecipe

RECIPE = SampleRecipe()

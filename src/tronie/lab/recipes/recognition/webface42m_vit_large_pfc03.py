"""ViT-L on WebFace42M, its weights cut over the processes; three centers in ten drawn at each step.

Command   torchrun --nnodes 8 --nproc-per-node 8 -m tronie train \\
              recognition/webface42m_vit_large_pfc03 --data DIR --out RUN
Cost      not measured yet (64 GPUs with 384 images each, 40 epochs; at the authors' 9,406 images
          a second that is 50 hours). On fewer, --set accumulate=8 or as memory asks
Expect    not measured yet; the authors report 98.00 at FAR 1e-4 on IJB-C for theirs
Source    An et al. 2022, arXiv:2203.15565; settings as for ViT-B (webface42m_vit_base_pfc03).
          Differs: weights, gradients and AdamW's moments of the 255,684,352 parameters, 4.1 GB
          in float32, lie over the processes (FSDP2) where theirs are in each
"""

from __future__ import annotations

from dataclasses import replace

from tronie.lab.recipes.recognition.webface42m_vit_base_pfc03 import RECIPE as BASE

RECIPE = replace(BASE, backbone="vit-l", accumulate=1, sharded_backbone=True)

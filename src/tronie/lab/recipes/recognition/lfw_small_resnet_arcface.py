"""A small ResNet with ArcFace on the people of LFW's peopleDevTrain.txt: minutes on a CPU core.

A demonstration, not a recognizer: LFW has too few people to train one from nothing. DIR holds
aligned crops as NAME/NAME_0001.jpg (or .png), 112 pixels wide, of the people of both lists, and
LFW's peopleDevTrain.txt, pairsDevTrain.txt and pairsDevTest.txt. Only people of the first list
are trained on, who have two photographs or more; the threshold is chosen on the pairs of
pairsDevTrain.txt, and the accuracy is that on pairsDevTest.txt, of other people.

Command   tronie train recognition/lfw_small_resnet_arcface --data DIR --out RUN
Cost      6 minutes on one CPU core (AMD EPYC, Zen 5), 200 images/s
Expect    86.7 % of the pairs of pairsDevTest.txt (86.3, 86.4 and 87.4 with seeds 1, 2, 3)
Source    Huang et al. 2007 (LFW, View 1); Deng et al. 2019, arXiv:1801.07698. The
          network and the scale of 32 are ours: with few classes 64 is steeper than it need be.
"""

from __future__ import annotations

from tronie.lab.training.recipe import Checkpoint, Data, RecognitionRecipe, Validation
from tronie.lab.training.schedule import Optimizer, Schedule
from tronie.lab.training.settings import Entry

RECIPE = RecognitionRecipe(
    backbone="small-resnet-32",
    embedding_size=128,
    margin=Entry(name="arcface", options={"scale": 32.0, "margin": 0.3}),
    head=Entry(name="full-softmax"),
    epochs=12,
    batch_size=64,
    schedule=Schedule(peak_lr=0.05, shape="cosine", warmup_epochs=1),
    optimizer=Optimizer(weight_decay=5e-4, head_weight_decay=5e-4, decay_only_matrices=True),
    log_every=10,
    data=Data(people="peopleDevTrain.txt", min_images=2, move=0.5, photometric=0.5, threads=2),
    checkpoint=Checkpoint(every_steps=500, every_s=120),
    validation=Validation(
        every_steps=1_000_000,
        pairs="pairsDevTest.txt",
        threshold_pairs="pairsDevTrain.txt",
    ),
)

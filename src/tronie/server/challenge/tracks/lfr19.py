"""LFR19: lightweight face recognition on images (DeepGlint) and videos (IQIYI), light and large.

    track              pairs of     FPR that ranks    FLOPs          size
    deepglint-light    images       1e-8              at most 1 G    at most 20 MiB
    deepglint-large    images       1e-8              at most 30 G
    iqiyi-light        videos       1e-4              at most 1 G    at most 20 MiB
    iqiyi-large        videos       1e-4              at most 30 G

All: float32 only, at most 512 numbers in an embedding. What is sent is the matrix of embeddings,
one row an image or video, in a zip with the model that made it: its limits are read from it, and
no time is measured. FLOPs by the challenge's rule count a multiplication and an addition as two,
of convolutions and fully connected layers only; see `tronie.runtime.flops`.

The challenge's matrices had 1,862,120 and 203,848 rows. Its labels, and which pairs count, were
not published; an organizer has a list and labels of their own, so that the number of rows is
theirs too.

Source: README of the challenge; Deng et al., "Lightweight Face Recognition Challenge", ICCVW 2019.
Differs from them: 1 G is 1,000,000,000 exactly; the challenge's counter printed one decimal, and
the winner of deepglint-light, at 1.02 G by the same rule, passed. 20 MB are 20 MiB, as sizes in
the paper are MiB. That the matrix was made by the model that is sent, and trained as it says, is
for the organizer to check, as it was in 2019. Tie-breaks, which neither names, are ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from tronie.server.challenge.track import GIB, MIB, Column, Limits, Track

SOURCE = "ICCVW 2019 Lightweight Face Recognition Challenge, README and paper"
LIGHT_FLOPS, LARGE_FLOPS = 10**9, 30 * 10**9
LIGHT_BYTES = 20 * MIB
IMAGES_UPLOAD, VIDEOS_UPLOAD = 5 * GIB, 2 * GIB
"""1,862,120 rows of 512 float32 are 3.6 GiB; and room for a large model."""

COST_COLUMNS = (
    Column(key="flops_lfr", title="FLOPs", form="count", decimals=0, larger_is_better=False),
    Column(key="model_mib", title="Size (MiB)", form="number", decimals=2, larger_is_better=False),
    Column(key="dimension", title="Numbers", form="count", decimals=0, larger_is_better=False),
)
IMAGE_COLUMNS = (
    Column(key="score", title="TPR at 1e-8"),
    Column(key="tar_at_far_1e-11", title="1e-11"),
    Column(key="tar_at_far_1e-10", title="1e-10"),
    Column(key="tar_at_far_1e-09", title="1e-9"),
    Column(key="tar_at_far_1e-07", title="1e-7"),
    Column(key="tar_at_far_1e-06", title="1e-6"),
    Column(key="tar_at_far_1e-05", title="1e-5"),
    Column(key="tar_at_far_0.0001", title="1e-4"),
    Column(key="tar_at_far_0.001", title="1e-3"),
    Column(key="tar_at_far_0.01", title="1e-2"),
    Column(key="tar_at_far_0.1", title="1e-1"),
    *COST_COLUMNS,
)
VIDEO_COLUMNS = (
    Column(key="score", title="TPR at 1e-4"),
    Column(key="tar_at_far_1e-06", title="1e-6"),
    Column(key="tar_at_far_1e-05", title="1e-5"),
    Column(key="tar_at_far_0.001", title="1e-3"),
    Column(key="tar_at_far_0.01", title="1e-2"),
    Column(key="tar_at_far_0.1", title="1e-1"),
    *COST_COLUMNS,
)
BONUS = {1: 0.5, 2: 0.3, 3: 0.2}
PRIZES = {
    1: "50 % of the track's quarter of the funding pool, as in 2019",
    2: "30 % of the track's quarter of the funding pool, as in 2019",
    3: "20 % of the track's quarter of the funding pool, as in 2019",
}
LIGHT_RULES = (
    "The model takes at most 1,000,000,000 FLOPs a crop by the rule of the challenge, and has at "
    "most 20 MiB.",
)
LARGE_RULES = (
    "The model takes at most 30,000,000,000 FLOPs a crop by the rule of the challenge; its size "
    "is not limited but by that of the upload.",
)
SHARED_RULES = (
    "Train on MS1M-RetinaFace as it is given out, and on nothing else.",
    "Everything is float32; numbers of fewer bits are not allowed. An embedding has at most 512.",
    "Test faces are aligned to 112 x 112 pixels; aligning or resizing them is not allowed.",
    "The embedding of the mirrored face may be added. No other change to test faces, no more than "
    "one model, and no statistics of the test set.",
    "Send a zip of the feature matrix and of model.onnx, which made it. The matrix is an .npy of "
    "float32, or four int32 (rows, columns, 4 x columns, 5) and the rows.",
    "Rows are compared by their cosine. No false positive rate is ever exceeded.",
    "At equal scores the model of fewer FLOPs comes first, then the earlier submission.",
    "An organization submits at most three times a day.",
    "Teams at the top hand in their training code; the model is trained again before they have "
    "won.",
)
IMAGE_RULES = (
    "One row an image, in the order of the organizer's list.",
    "Teams are ordered by the TPR at an FPR of 1e-8, 1:1, over all pairs that count. From 1e-3 on "
    "the other rates are estimated from a sample, and the Report says so.",
)
VIDEO_RULES = (
    "One row a video, in the order of the organizer's list; how its frames become one row is part "
    "of the solution.",
    "Teams are ordered by the TPR at an FPR of 1e-4, 1:1, over all pairs that count. From 1e-3 on "
    "the other rates are estimated from a sample, and the Report says so.",
)


VARIANTS: Mapping[str, Track] = {
    "deepglint-light": Track(
        title="LFR19, DeepGlint-Light",
        summary=(
            "Tell apart images of people among a great many distractors with a network that a "
            "telephone can run: one false match in a hundred million pairs."
        ),
        rules=(*IMAGE_RULES, *LIGHT_RULES, *SHARED_RULES),
        protocol="lfr19-image",
        takes="features",
        limits=Limits(upload_bytes=IMAGES_UPLOAD, model_bytes=LIGHT_BYTES, flops_lfr=LIGHT_FLOPS),
        columns=IMAGE_COLUMNS,
        tie_breaks=("flops_lfr",),
        prizes=PRIZES,
        bonus_shares=BONUS,
        source=SOURCE,
    ),
    "deepglint-large": Track(
        title="LFR19, DeepGlint-Large",
        summary=(
            "Tell apart images of people among a great many distractors with a network that a "
            "server's processor can run: one false match in a hundred million pairs."
        ),
        rules=(*IMAGE_RULES, *LARGE_RULES, *SHARED_RULES),
        protocol="lfr19-image",
        takes="features",
        limits=Limits(upload_bytes=IMAGES_UPLOAD, flops_lfr=LARGE_FLOPS),
        columns=IMAGE_COLUMNS,
        tie_breaks=("flops_lfr",),
        prizes=PRIZES,
        bonus_shares=BONUS,
        source=SOURCE,
    ),
    "iqiyi-light": Track(
        title="LFR19, IQIYI-Light",
        summary=(
            "Tell apart people in videos with a network that a telephone can run: one false match "
            "in ten thousand pairs."
        ),
        rules=(*VIDEO_RULES, *LIGHT_RULES, *SHARED_RULES),
        protocol="lfr19-video",
        takes="features",
        limits=Limits(upload_bytes=VIDEOS_UPLOAD, model_bytes=LIGHT_BYTES, flops_lfr=LIGHT_FLOPS),
        columns=VIDEO_COLUMNS,
        tie_breaks=("flops_lfr",),
        prizes=PRIZES,
        bonus_shares=BONUS,
        source=SOURCE,
    ),
    "iqiyi-large": Track(
        title="LFR19, IQIYI-Large",
        summary=(
            "Tell apart people in videos with a network that a server's processor can run: one "
            "false match in ten thousand pairs."
        ),
        rules=(*VIDEO_RULES, *LARGE_RULES, *SHARED_RULES),
        protocol="lfr19-video",
        takes="features",
        limits=Limits(upload_bytes=VIDEOS_UPLOAD, flops_lfr=LARGE_FLOPS),
        columns=VIDEO_COLUMNS,
        tie_breaks=("flops_lfr",),
        prizes=PRIZES,
        bonus_shares=BONUS,
        source=SOURCE,
    ),
}

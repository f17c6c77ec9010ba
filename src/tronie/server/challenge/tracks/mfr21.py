"""MFR21, InsightFace track: masked, young and multi-racial faces; sub-tracks a and b.

    track    training data    numbers in an embedding    time of a crop, Tesla V100
    a        MS1M-V3          at most 512                at most 10 ms
    b        Glint360K        at most 1024               at most 20 ms

Both: model.onnx of at most 1 GiB in a zip, score = 0.25 TAR(mask) + 0.75 TAR(mr-all).

The published size(mb) is MiB: those of the table are the float32 weights of its networks in MiB,
and a few KiB of graph. The published checker takes 1 GB as 1024 of them, and so do we.

Source: README of the InsightFace track, ICCV 2021 Masked Face Recognition Challenge.
Differs from it: the test faces are the organizer's own, since IFRT is held back. A limit of time
is held against the median of many warm runs, times a factor that carries the reference machine
over to this one; the published checker took the sixth fastest of 50 runs. Tie-breaks, which the
README does not name, are ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from tronie.server.challenge.track import GIB, MIB, Column, Limits, Reference, Track

SOURCE = "ICCV 2021 Masked Face Recognition Challenge, InsightFace track, README"
UPLOAD_BYTES = GIB + 16 * MIB
"""The model, and the zip around it."""

V100 = Reference(
    machine="Tesla V100, onnxruntime-gpu 1.6, CUDA 10.2, cuDNN 8.0.5",
    network="iresnet-18",
    latency_ms=1.856,
)

COLUMNS = (
    Column(key="score", title="Score", decimals=3),
    Column(key="mask", title="Mask", decimals=3),
    Column(key="children", title="Children", decimals=3),
    Column(key="african", title="African", decimals=3),
    Column(key="caucasian", title="Caucasian", decimals=3),
    Column(key="south-asian", title="South Asian", decimals=3),
    Column(key="east-asian", title="East Asian", decimals=3),
    Column(key="mr-all", title="MR-All", decimals=3),
    Column(key="model_mib", title="Size (MiB)", form="number", decimals=3, larger_is_better=False),
    Column(key="latency_ms", title="Time (ms)", form="number", decimals=3, larger_is_better=False),
)
BONUS = {1: 0.30, 2: 0.15, 3: 0.05}
PRIZES = {
    1: "30 % of the bonus, as in 2021",
    2: "15 % of the bonus, as in 2021",
    3: "5 % of the bonus, as in 2021",
}
SHARED_RULES = (
    "Training and test faces are aligned to 112 x 112 pixels already; aligning them again is not "
    "allowed.",
    "Weights that were trained before are not allowed.",
    "Masks may be drawn onto training faces, with a tool that others can run again.",
    "Send a zip that holds model.onnx: it takes N x 3 x 112 x 112 float32 in RGB and gives N x D.",
    "Pixels reach the model as (value - 127.5) / 127.5.",
    "The model has at most 1 GiB, and no weights of 16-bit floating point or fewer bits.",
    "A crop gives the same embedding alone and in any batch. The graph does not mirror its input, "
    "nor run it more than once, nor look at other crops of the batch.",
    "Embeddings are compared by their cosine.",
    "Mask: masked against unmasked faces, TAR at FAR 1e-4. Children: all to all, FAR 1e-4. The "
    "four races, and MR-All, which is all of them together: all to all, FAR 1e-6. No FAR is ever "
    "exceeded.",
    "Teams are ordered by 0.25 TAR(Mask) + 0.75 TAR(MR-All); then by MR-All, then by Children, "
    "then the earlier submission comes first.",
    "An organization signs up by its real name, which it may hide on the leaderboard, and submits "
    "at most three times a day.",
    "A team sets public which submissions may be shown; the best of those is.",
    "Teams at the top hand in their code and say how it was done, before they have won.",
)


def _track(letter: str, *, data: str, dimension: int, latency_ms: float) -> Track:
    return Track(
        title=f"MFR21, InsightFace track {letter}",
        summary=(
            "Recognize faces with masks, of children and of people from everywhere, with a model "
            f"trained on {data} that takes at most {latency_ms:g} ms a crop."
        ),
        rules=(
            f"Train on {data}, and on nothing else.",
            f"An embedding has at most {dimension} numbers, and a crop takes at most "
            f"{latency_ms:g} ms on a Tesla V100; on another machine, as much longer as the "
            "reference network takes there.",
            *SHARED_RULES,
        ),
        protocol="mfr21",
        takes="model",
        limits=Limits(
            upload_bytes=UPLOAD_BYTES,
            model_bytes=GIB,
            dimension=dimension,
            latency_ms=latency_ms,
        ),
        columns=COLUMNS,
        tie_breaks=("mr-all", "children"),
        reference=V100,
        prizes=PRIZES,
        bonus_shares=BONUS,
        source=SOURCE,
    )


VARIANTS: Mapping[str, Track] = {
    "a": _track("A", data="MS1M-V3", dimension=512, latency_ms=10.0),
    "b": _track("B", data="Glint360K", dimension=1024, latency_ms=20.0),
}

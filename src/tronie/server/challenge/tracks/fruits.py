"""FRUITS on crops: the recognizer's part of a system with 100, 500 or 1000 ms a photograph.

FRUITS judges whole systems: reading, detection, alignment, embedding and matching together, on
one core. A challenge that takes an ONNX recognizer and feeds it aligned crops can judge two parts
of that only:

    errors    FNMR at FMR 1e-5 over all pairs of the organizer's crops, and masked against plain
              ones: the protocol's numbers, but of faces that were all found and aligned by the
              organizer
    time      of the embedding alone, one crop at a time, held against the whole budget

So a model that is refused for its time would be too slow in any system, and one that is accepted
may still be. `tronie evaluate fruits` times whole systems.

Source: Zhu et al., "WebFace260M", CVPR 2021, arXiv:2103.04098; Zhu et al., "Masked Face
Recognition Challenge: the WebFace260M track report", ICCVW 2021.
Differs from them: the above; the crops are the organizer's own; nothing of the 2021 track but its
budgets, its FMR and its machine is taken over. The budgets are of one core of an Intel Xeon
E5-2630 v4 at 2.2 GHz. No time of a network on that core was published that a factor could be
made from, so times are those of this machine as it is, which the Report names. Limits of size and
dimension, and tie-breaks, are ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from tronie.server.challenge.track import GIB, MIB, Column, Limits, Track

SOURCE = "Zhu et al., WebFace260M, CVPR 2021: Face Recognition Under Inference Time conStraint"
UPLOAD_BYTES = GIB + 16 * MIB
COLUMNS = (
    Column(key="fnmr_all", title="FNMR, all", decimals=3, larger_is_better=False),
    Column(key="fnmr_masked", title="FNMR, masked", decimals=3, larger_is_better=False),
    Column(
        key="latency_ms",
        title="Embedding alone (ms)",
        form="number",
        decimals=1,
        larger_is_better=False,
    ),
    Column(key="model_mib", title="Size (MiB)", form="number", decimals=2, larger_is_better=False),
    Column(key="dimension", title="Numbers", form="count", decimals=0, larger_is_better=False),
)
RULES = (
    "This is the recognizer's part of FRUITS, not FRUITS: the organizer found and aligned the "
    "faces, and only the embedding of a crop is timed, while the published budget is of a whole "
    "system.",
    "Send model.onnx, alone or in a zip: it takes N x 3 x 112 x 112 float32 in RGB and gives "
    "N x D. Pixels reach it as (value - 127.5) / 127.5.",
    "The published budget is of one core of an Intel Xeon E5-2630 v4 at 2.2 GHz; here the time is "
    "of one thread of the machine of the challenge, one crop at a time, and is not converted.",
    "The model has at most 1 GiB, and an embedding at most 1024 numbers.",
    "A crop gives the same embedding alone and in any batch.",
    "FNMR at FMR 1e-5: every photograph with every other, and masked ones with those without a "
    "mask. Lower is better, and the FMR is never exceeded.",
    "Teams are ordered by the FNMR over all; then by that of masked faces, then by the time of an "
    "embedding, then the earlier submission comes first.",
    "An organization submits at most three times a day.",
)


VARIANTS: Mapping[str, Track] = {
    "100": Track(
        title="FRUITS-100, recognizers on crops",
        summary=(
            "The recognizer of a system with 100 ms a photograph, as on a telephone. Only its "
            "errors and the time of an embedding are judged."
        ),
        rules=("Embedding one crop takes at most 100 ms, the budget of a whole system.", *RULES),
        protocol="fruits",
        takes="model",
        limits=Limits(upload_bytes=UPLOAD_BYTES, model_bytes=GIB, dimension=1024, latency_ms=100.0),
        columns=COLUMNS,
        tie_breaks=("fnmr_masked", "latency_ms"),
        source=SOURCE,
    ),
    "500": Track(
        title="FRUITS-500, recognizers on crops",
        summary=(
            "The recognizer of a system with 500 ms a photograph, as in surveillance on the "
            "spot. Only its errors and the time of an embedding are judged."
        ),
        rules=("Embedding one crop takes at most 500 ms, the budget of a whole system.", *RULES),
        protocol="fruits",
        takes="model",
        limits=Limits(upload_bytes=UPLOAD_BYTES, model_bytes=GIB, dimension=1024, latency_ms=500.0),
        columns=COLUMNS,
        tie_breaks=("fnmr_masked", "latency_ms"),
        source=SOURCE,
    ),
    "1000": Track(
        title="FRUITS-1000, recognizers on crops",
        summary=(
            "The recognizer of a system with 1000 ms a photograph, as in a data center. Only its "
            "errors and the time of an embedding are judged."
        ),
        rules=("Embedding one crop takes at most 1000 ms, the budget of a whole system.", *RULES),
        protocol="fruits",
        takes="model",
        limits=Limits(
            upload_bytes=UPLOAD_BYTES, model_bytes=GIB, dimension=1024, latency_ms=1000.0
        ),
        columns=COLUMNS,
        tie_breaks=("fnmr_masked", "latency_ms"),
        source=SOURCE,
    ),
}

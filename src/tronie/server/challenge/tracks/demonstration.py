"""A track to try a challenge with: all pairs of a few hundred crops of one's own.

    tar_at_far_0.001    TAR at FAR 1e-3 over all pairs, exact; it ranks
    accuracy            ten folds of pairs drawn from them, as many of one person as of two

About fifty crops have the thousand impostor pairs that an FAR of 1e-3 needs. With so few, many
models are equal: this shows how a challenge works, and not who is better.

Source: the rates of `tronie.evaluation.protocols.lfw_all` and the accuracy of `lfw_bin`, over
other photographs.
Differs from them: whatever faces the organizer has; pairs of the folds are drawn with a seed.
"""

from __future__ import annotations

from collections.abc import Mapping

from tronie.server.challenge.track import MIB, Column, Limits, Track

VARIANTS: Mapping[str, Track] = {
    "faces": Track(
        title="Demonstration",
        summary=(
            "All pairs of a small set of faces that the organizer keeps. For trying out how a "
            "challenge works; the numbers say little about models."
        ),
        rules=(
            "Send model.onnx, alone or in a zip: it takes N x 3 x 112 x 112 float32 in RGB and "
            "gives N x D. Pixels reach it as (value - 127.5) / 127.5.",
            "The model has at most 512 MiB, an embedding at most 2048 numbers, and a crop takes at "
            "most one second.",
            "A crop gives the same embedding alone and in any batch.",
            "Teams are ordered by the TAR at FAR 1e-3 over all pairs; then by the TAR at 1e-4 "
            "where there are pairs enough for it, then by accuracy, then the earlier submission "
            "comes first.",
            "An organization submits at most three times a day.",
        ),
        protocol="lfw-all",
        takes="model",
        limits=Limits(
            upload_bytes=512 * MIB, model_bytes=512 * MIB, dimension=2048, latency_ms=1000.0
        ),
        columns=(
            Column(key="tar_at_far_0.001", title="TAR at FAR 1e-3"),
            Column(key="tar_at_far_0.0001", title="TAR at FAR 1e-4"),
            Column(key="accuracy", title="Accuracy"),
            Column(
                key="model_mib",
                title="Size (MiB)",
                form="number",
                decimals=2,
                larger_is_better=False,
            ),
            Column(
                key="latency_ms",
                title="Time (ms)",
                form="number",
                decimals=1,
                larger_is_better=False,
            ),
            Column(
                key="dimension", title="Numbers", form="count", decimals=0, larger_is_better=False
            ),
        ),
        tie_breaks=("tar_at_far_0.0001", "accuracy"),
        source="tronie's own",
    ),
}

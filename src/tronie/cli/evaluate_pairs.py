"""evaluate, over all pairs of a feature matrix: pairs, mfr21, lfr19 and trillion-pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tronie.cli import options, pair_options
from tronie.cli.answers import ReportFile, answer, check_report, write
from tronie.cli.files import writable_file
from tronie.cli.matrix_in_use import matrix_in_use
from tronie.cli.models_in_use import Chosen
from tronie.cli.terminal import print_json, progress_of, say, tell
from tronie.errors import BadInput, EngineUnavailable
from tronie.evaluation.pairs.plan import SAMPLE_PAIRS
from tronie.evaluation.pairs.sets import CURVE_PAIRS, HowToRun
from tronie.evaluation.pairs.sweep import Spread
from tronie.evaluation.run_pairs import PairsOutcome, Screens, prepare_pairs
from tronie.evaluation.run_sets import LOOSE, PreparedSets, prepare_far_row, prepare_mfr21
from tronie.runtime.score_scan import open_screens


def pairs(
    *,
    features: pair_options.Features = None,
    labels: pair_options.Labels = None,
    far: pair_options.Fars,
    normalize: pair_options.Normalize = False,
    group: pair_options.Group = None,
    against: pair_options.Against = None,
    leave_out: pair_options.LeaveOut = None,
    groups: pair_options.Groups = None,
    sample_from: pair_options.SampleFrom = None,
    sample_pairs: pair_options.SamplePairs = None,
    images: pair_options.Images = None,
    aligned: pair_options.Aligned = False,
    features_out: pair_options.FeaturesOut = pair_options.DEFAULT_MATRIX,
    model: options.Model = options.DEFAULT_MODEL,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    flip: options.Flip = False,
    checkpoint: pair_options.Checkpoint = None,
    report: ReportFile = None,
    threads: options.Threads = None,
    search_device: pair_options.SearchDevice = "cpu",
    ray: pair_options.Ray = None,
    json: options.Json = False,
) -> None:
    """Exact TAR at fixed FARs over all pairs of a feature matrix, in bounded memory.

    The result is a function of the data alone: the threshold is the lowest at which the FAR
    is not exceeded, and does not depend on engine, blocks, threads or machines.
    """
    check_report(report)
    chosen = Chosen(detector=detector, model=model, policy="center", flip=flip, threads=threads)
    if checkpoint is not None:
        writable_file(checkpoint, option="--checkpoint")
    matrix = matrix_in_use(
        chosen, features, images=images, labels=labels, aligned=aligned, out=features_out
    )
    prepared = prepare_pairs(
        matrix.features,
        matrix.labels,
        fars=far,
        screens=screens_of(search_device, threads),
        lengths="any" if normalize or matrix.embedded else "unit",
        group=group,
        against=against,
        left_out=leave_out,
        groups=groups,
        sampled_from=sample_from,
        sample_pairs=sample_pairs or SAMPLE_PAIRS,
    )
    for line in prepared.plan.describe():
        say(line)
    with progress_of("comparing") as show, spread_over(ray) as spread:
        outcome = prepared.run(
            checkpoint=checkpoint,
            checkpoint_stays=True,
            sample_pairs=0 if report is None else sample_pairs or CURVE_PAIRS,
            progress=show,
            spread=spread,
        )
    _answer_pairs(outcome, report=report, json=json)
    if checkpoint is not None:  # not before everything is written
        checkpoint.unlink(missing_ok=True)


def _answer_pairs(outcome: PairsOutcome, *, report: Path | None, json: bool) -> None:
    """One JSON object for each FAR; or what all protocols print, and who has most errors."""
    if not json:
        result = outcome.report()
        answer(result, report=report, json=False)
        for kind, table in result.details.most_errors.items():
            most = ", ".join(f"{row['label']} ({row['in_pairs']})" for row in table[:5])
            tell(f"{kind}, most by label: {most}")
        return
    if report is not None:
        write(outcome.report(), report)
    told = outcome.to_dict()
    shared = {key: value for key, value in told.items() if key != "points"}
    for point in told["points"]:
        print_json({**point, **shared})


def mfr21(
    *,
    features: pair_options.Features = None,
    meta: pair_options.Meta,
    normalize: pair_options.Normalize = False,
    images: pair_options.Images = None,
    aligned: pair_options.Aligned = False,
    features_out: pair_options.FeaturesOut = pair_options.DEFAULT_MATRIX,
    model: options.Model = options.DEFAULT_MODEL,
    detector: options.Detector = options.DEFAULT_DETECTOR,
    flip: options.Flip = False,
    checkpoint: pair_options.Checkpoint = None,
    report: ReportFile = None,
    threads: options.Threads = None,
    search_device: pair_options.SearchDevice = "cpu",
    ray: pair_options.Ray = None,
    json: options.Json = False,
) -> None:
    """ICCV 2021 masked faces: 0.25 TAR(mask) + 0.75 TAR(mr-all), and each race.

    META is a CSV with the columns set and subject, one line a row of the matrix: mask-masked,
    mask-plain, children, african, caucasian, south-asian or east-asian.
    """
    check_report(report)
    chosen = Chosen(detector=detector, model=model, policy="center", flip=flip, threads=threads)
    matrix = matrix_in_use(
        chosen, features, images=images, meta=meta, aligned=aligned, out=features_out
    )
    prepared = prepare_mfr21(
        matrix.features,
        matrix.labels,
        screens=screens_of(search_device, threads),
        lengths="any" if normalize or matrix.embedded else "unit",
    )
    _run(prepared, checkpoint=checkpoint, ray=ray, report=report, json=json)


def _far_row(protocol: str, summary: str) -> Callable[..., None]:
    """The command of a protocol that has a headline and a row of FARs."""

    def command(
        *,
        features: pair_options.Features = None,
        meta: pair_options.Meta,
        normalize: pair_options.Normalize = False,
        leave_out: pair_options.LeaveOut = None,
        exact: pair_options.Exact = False,
        images: pair_options.Images = None,
        aligned: pair_options.Aligned = False,
        features_out: pair_options.FeaturesOut = pair_options.DEFAULT_MATRIX,
        model: options.Model = options.DEFAULT_MODEL,
        detector: options.Detector = options.DEFAULT_DETECTOR,
        flip: options.Flip = False,
        checkpoint: pair_options.Checkpoint = None,
        report: ReportFile = None,
        threads: options.Threads = None,
        search_device: pair_options.SearchDevice = "cpu",
        ray: pair_options.Ray = None,
        json: options.Json = False,
    ) -> None:
        check_report(report)
        chosen = Chosen(detector=detector, model=model, policy="center", flip=flip, threads=threads)
        matrix = matrix_in_use(
            chosen, features, images=images, meta=meta, aligned=aligned, out=features_out
        )
        prepared = prepare_far_row(
            protocol,
            matrix.features,
            matrix.labels,
            screens=screens_of(search_device, threads),
            lengths="any" if normalize or matrix.embedded else "unit",
            left_out=leave_out,
            sampled_from=None if exact else LOOSE,
        )
        _run(prepared, checkpoint=checkpoint, ray=ray, report=report, json=json)

    command.__doc__ = summary
    return command


_META_OF_A_ROW = """

META is a CSV with the column subject (-1: distractor), one line a row of the matrix, and side
(probe or gallery) where not everybody meets everybody."""

COMMANDS: Mapping[str, Callable[..., None]] = {
    "pairs": pairs,
    "mfr21": mfr21,
    "lfr19-image": _far_row(
        "lfr19-image",
        "ICCV 2019 lightweight faces, images: TPR at FPR 1e-8, and the whole row." + _META_OF_A_ROW,
    ),
    "lfr19-video": _far_row(
        "lfr19-video",
        "ICCV 2019 lightweight faces, videos: TPR at FPR 1e-4, and the whole row." + _META_OF_A_ROW,
    ),
    "trillion-pairs": _far_row(
        "trillion-pairs",
        "Every probe against every gallery row: TPR at FPR 1e-9, and the whole row."
        + _META_OF_A_ROW,
    ),
}


def _run(
    prepared: PreparedSets,
    *,
    checkpoint: Path | None,
    ray: str | None,
    report: Path | None,
    json: bool,
) -> None:
    with progress_of("comparing") as show, spread_over(ray) as spread:
        result = prepared.run(
            HowToRun(checkpoint=checkpoint, spread=spread, progress=show, announce=say)
        )
    answer(result, first=("score",), report=report, json=json)


def screens_of(device: str, threads: int | None) -> Screens:
    """What makes the screens that search on a device."""

    def screens(dimension: int, error: float) -> list[Any]:
        here = open_screens(dimension, float32_error=error, threads=threads)
        if device == "cpu":
            return list(here)
        if not device.startswith("cuda"):
            raise BadInput(f"--search-device is cpu, cuda or cuda:N; got {device!r}")
        try:
            from tronie.lab.nn.score_scan import open_screens as open_on_device
        except ImportError:
            raise EngineUnavailable(
                f"--search-device {device} needs torch, which is not installed; "
                "pip install 'tronie[train]'"
            ) from None
        return [*open_on_device(dimension, float32_error=error, device=device), *here]

    return screens


@contextmanager
def spread_over(address: str | None) -> Iterator[Spread | None]:
    """Who computes the parts of a pass: a Ray cluster, or None for the threads of this process."""
    if address is None:
        yield None
        return
    from tronie.scale.ray_map import ray_spread

    with ray_spread(address, screens=open_screens) as spread:
        yield spread

"""Rows that were published with MFR21 and LFR19, to stand on a board: not reproduced here.

    published("mfr21-a")                      # needs no database
    show_baselines(DIR, ["mfr21-a"])          # `tronie challenge baselines --dir DIR`
    shown_baselines(DIR)                      # what the site asks

The rows are part of the program and nobody's submission; what a challenge stores is only on which
boards they are shown, as baselines.json in its folder: {"format": 1, "tracks": ["mfr21-a"]}.

Rates are fractions, of percentages with three decimals (MFR21) or of four or five decimals
(LFR19). The score of an MFR21 row is 0.25 mask + 0.75 mr-all of its published rates: the table
has no such column.

Source: README of the InsightFace track, ICCV 2021 Masked Face Recognition Challenge; README of
the ICCVW 2019 Lightweight Face Recognition Challenge; Deng et al., ICCVW 2019, tables 3, 4 and 6
to 9. Measured on the authors' test sets, which no organizer of today has, so that no row can be
compared with a submission but in its order of magnitude.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tronie.errors import BadFile, BadInput, NotFound

MARK = "published, not reproduced"
FILE = "baselines.json"
_FORMAT = 1

MFR21_README = "README of the ICCV 2021 MFR challenge, InsightFace track"
LFR19_README = "README of the ICCVW 2019 LFR challenge"
LFR19_PAPER = "Deng et al., ICCVW 2019"
OTHER_DATA = "trained on other data than the track allows"


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A published row."""

    name: str
    values: Mapping[str, float]
    """By the keys of the track's columns; what was not published is not there."""
    source: str
    remark: str = ""
    """What to know before comparing it with its neighbors."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "name": self.name,
            "mark": MARK,
            "values": dict(self.values),
            "source": self.source,
            "remark": self.remark,
        }


def _mfr21(name: str, *numbers: float, remark: str = "") -> Baseline:
    """Seven rates in percent; and MiB and ms where they were published."""
    rates = [round(number / 100, 5) for number in numbers[:7]]
    values = dict(zip(_MFR21_SETS, rates, strict=True))
    values["score"] = 0.25 * values["mask"] + 0.75 * values["mr-all"]
    values |= dict(zip(("model_mib", "latency_ms"), numbers[7:], strict=False))
    return Baseline(name=name, values=values, source=MFR21_README, remark=remark)


def _paper(name: str, table: int, rates: Mapping[str, float], score: str, *cost: float) -> Baseline:
    """A row of the paper: all its rates, and FLOPs and MiB as it states them."""
    values = {f"tar_at_far_{float(far):g}": rate for far, rate in rates.items()}
    values["score"] = values.pop(f"tar_at_far_{float(score):g}")
    values |= dict(zip(("flops_lfr", "model_mib"), cost, strict=True))
    return Baseline(
        name=name,
        values=values,
        source=f"{LFR19_PAPER}, table {table}",
        remark="by the labels as cleaned on 2019-06-21; FLOPs and size as the paper rounds them",
    )


def _readme(name: str, score: float, flops: float, remark: str) -> Baseline:
    values = {"score": score, "flops_lfr": flops}
    return Baseline(name=name, values=values, source=LFR19_README, remark=remark)


_MFR21_SETS = (
    "mask", "children", "african", "caucasian", "south-asian", "east-asian", "mr-all",
)  # fmt: skip
_MFR21_OTHERS = (
    _mfr21("R100, CASIA, ArcFace", 26.623, 30.359, 39.666, 53.933, 47.807, 21.572, 42.735,
           248.904, 7.073, remark=OTHER_DATA),
    _mfr21("R100, MS1MV2, ArcFace", 65.767, 60.496, 79.117, 87.176, 85.501, 55.807, 80.725,
           248.904, 7.028, remark=OTHER_DATA),
    _mfr21("insightface-000 of FRVT, private data", 97.760, 93.358, 98.850, 99.372, 99.058,
           87.694, 97.481, remark=OTHER_DATA),
)  # fmt: skip
_IMAGE_FARS = tuple(f"1e-{power}" for power in range(11, 0, -1))
_VIDEO_FARS = tuple(f"1e-{power}" for power in range(6, 0, -1))
_BEFORE_CLEANING = (
    "by the labels before they were cleaned on 2019-06-21: not comparable with later rows"
)
_OTHER_NETWORK = "another network than the baseline of the paper"

BASELINES: Mapping[str, tuple[Baseline, ...]] = {
    "mfr21-a": (
        _mfr21("R18, MS1MV3, ArcFace", 47.853, 41.047, 62.613, 75.125, 70.213, 43.859, 68.326,
               91.658, 1.856),
        _mfr21("R34, MS1MV3, ArcFace", 58.723, 55.834, 71.644, 83.291, 80.084, 53.712, 77.365,
               130.245, 3.054),
        _mfr21("R50, MS1MV3, ArcFace", 63.850, 60.457, 75.488, 86.115, 84.305, 57.352, 80.533,
               166.305, 4.262),
        _mfr21("R100, MS1MV3, ArcFace", 69.091, 66.864, 81.083, 89.040, 88.082, 62.193, 84.312,
               248.590, 7.031),
        *_MFR21_OTHERS,
    ),
    "mfr21-b": (
        _mfr21("R18, Glint360K, ArcFace", 53.317, 48.113, 68.230, 80.575, 75.852, 47.831, 72.074,
               91.658, 2.013),
        _mfr21("R34, Glint360K, ArcFace", 65.106, 65.454, 79.907, 88.620, 86.815, 60.604, 83.015,
               130.245, 3.044),
        _mfr21("R50, Glint360K, ArcFace", 70.233, 69.952, 85.272, 91.617, 90.541, 66.813, 87.077,
               166.305, 4.340),
        _mfr21("R100, Glint360K, ArcFace", 75.567, 75.202, 89.488, 94.285, 93.434, 72.528, 90.659,
               248.590, 7.038),
        *_MFR21_OTHERS,
    ),
    "lfr19-deepglint-light": (
        _readme("y2, a deeper MobileFaceNet", 0.64691, 933e6, _BEFORE_CLEANING),
        _paper("light baseline of the paper", 6,
               dict(zip(_IMAGE_FARS, (0.5000, 0.6442, 0.7670, 0.8402, 0.8953, 0.9375, 0.9664,
                                      0.9835, 0.9923, 0.9966, 0.9990), strict=True)),
               "1e-8", 1.0e9, 19.80),
    ),
    "lfr19-deepglint-large": (
        _readme("r100fc, ResNet100FC-IR", 0.80312, 24e9, _BEFORE_CLEANING),
        _paper("large baseline of the paper, ResNet124", 7,
               dict(zip(_IMAGE_FARS, (0.5592, 0.7336, 0.8958, 0.9337, 0.9614, 0.9788, 0.9885,
                                      0.9934, 0.9958, 0.9974, 0.9989), strict=True)),
               "1e-8", 29.70e9, 297.0),
    ),
    "lfr19-iqiyi-light": (
        _readme("y2, a deeper MobileFaceNet", 0.47191, 933e6, _OTHER_NETWORK),
        _paper("light baseline of the paper", 8,
               dict(zip(_VIDEO_FARS, (0.0221, 0.2923, 0.4803, 0.6417, 0.7962, 0.9261),
                        strict=True)),
               "1e-4", 1.0e9, 19.80),
    ),
    "lfr19-iqiyi-large": (
        _readme("r100fc, ResNet100FC-IR", 0.64894, 24e9, _OTHER_NETWORK),
        _paper("large baseline of the paper, ResNet124", 9,
               dict(zip(_VIDEO_FARS, (0.0200, 0.4774, 0.6700, 0.7895, 0.8863, 0.9551),
                        strict=True)),
               "1e-4", 29.70e9, 297.0),
    ),
}  # fmt: skip
"""A track to its rows."""


def published(track: str) -> tuple[Baseline, ...]:
    """The rows that were published for a track; none for most."""
    return BASELINES.get(track, ())


def show_baselines(folder: Path, tracks: Iterable[str] = tuple(BASELINES)) -> Path:
    """Show the rows of exactly these tracks on the boards of a challenge; none: show no row.

    Raises:
        NotFound: the folder is not there, or a track has no published rows.
        BadInput: the file cannot be written.
    """
    asked = sorted(set(tracks))
    if strange := [name for name in asked if name not in BASELINES]:
        raise NotFound(
            f"no row was published for the track {strange[0]!r}; there are some for "
            f"{', '.join(BASELINES)}"
        )
    if not folder.is_dir():
        raise NotFound(
            f"there is no challenge in {folder}; `tronie serve challenge --dir` makes one"
        )
    file, half = folder / FILE, folder / f"{FILE}.part"
    try:
        half.write_text(json.dumps({"format": _FORMAT, "tracks": asked}) + "\n", encoding="ascii")
        half.replace(file)
    except OSError as fault:
        raise BadInput(f"{file} cannot be written: {fault.strerror}") from fault
    return file


def shown_baselines(folder: Path) -> Mapping[str, tuple[Baseline, ...]]:
    """The rows to be shown, by track; nothing where none was asked for.

    Raises:
        BadFile: the file is not as `show_baselines` writes it.
        BadInput: it cannot be read.
    """
    file = folder / FILE
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["format"] != _FORMAT:
            raise ValueError(f"its format is {told['format']!r}, and this package reads {_FORMAT}")
        return {name: BASELINES[name] for name in told["tracks"]}
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise BadInput(f"{file} cannot be read: {fault.strerror}") from fault
    except (ValueError, KeyError, TypeError) as fault:
        raise BadFile(
            f"{file} does not say which baselines are shown ({fault}); run `tronie challenge "
            "baselines` again"
        ) from fault

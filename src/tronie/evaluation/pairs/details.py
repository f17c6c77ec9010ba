"""What a run over all pairs says, as the details of a Report: names for rows, groups, curves.

Groups divide people (by race, age, sex, camera), so all rows of a person are in one. Each is
compared with itself at the threshold of all pairs together: FMR and FNMR of a person of that
group in a system that was set for everybody. FMR by group needs the accepted pairs themselves,
which are known where they were kept; where they were only counted or sampled there is no table.

Letters: N rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadInput
from tronie.evaluation.metrics.group_differences import compared_groups
from tronie.evaluation.pairs.all_pairs import PairsResult, ScoredPair
from tronie.evaluation.pairs.pairing import DISTRACTOR, Pairing, counts_within
from tronie.evaluation.pairs.points import PairsPoint
from tronie.evaluation.report_parts import Details, GroupRate, Groups, PairExample

SUBJECTS_SHOWN = 20


def details_of(
    result: PairsResult,
    chosen: Pairing,
    labels: NDArray[Any],
    *,
    of: str = "",
    groups: NDArray[Any] | None = None,
) -> Details:
    """Everything a Report holds of one set of pairs.

    Args:
        labels: (N,), whose each row is, by the name to be shown.
        of: What the set is called, where a protocol has several.
        groups: (N,), the group of each row; "" for none.

    Raises:
        BadArray: `groups` is not (N,).
        BadInput: the rows of a person are in two groups.
    """
    examples = [_example("impostor", pair, labels, of) for pair in result.worst]
    examples += [_example("genuine", pair, labels, of) for pair in result.missed]
    return Details(
        points=tuple(point.operating_point(of=of) for point in result.points),
        curves=(replace(result.curve, of=of),),
        histograms=tuple(replace(one, of=of) for one in result.histograms),
        groups=() if groups is None else groups_of(result, chosen, groups, of=of),
        pairs=tuple(examples),
        most_errors=most_errors(result, labels, of=of),
    )


def groups_of(
    result: PairsResult, chosen: Pairing, groups: NDArray[Any], *, of: str = ""
) -> tuple[Groups, ...]:
    """For each FAR whose accepted pairs are known, the groups beside each other."""
    names = check_groups(chosen, groups)
    kept = [point for point in result.points if point.path == "kept"]
    return tuple(_compared(result, chosen, groups, names, point, of) for point in kept)


def most_errors(
    result: PairsResult, labels: NDArray[Any], *, of: str = ""
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The labels whose rows take part in most errors, for each FAR and kind of error."""
    tables: dict[str, Sequence[Mapping[str, Any]]] = {}
    where = f"{of}: " if of else ""
    for point in result.points:
        for kind, of_row in (
            ("false matches", point.false_matches_of_row),
            ("misses", point.misses_of_row),
        ):
            if of_row is not None and of_row.any():
                tables[f"{where}{kind} at FAR {point.far:g}"] = by_label(labels, of_row)
    return tables


def by_label(labels: NDArray[Any], of_row: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The labels with most of what `of_row` counts, at most SUBJECTS_SHOWN, none of zero."""
    names, at = np.unique(labels, return_inverse=True)
    sums = np.zeros(len(names), np.int64)
    np.add.at(sums, at, of_row)
    most = np.lexsort((np.arange(len(sums)), -sums))[:SUBJECTS_SHOWN]
    return [{"label": names[n].item(), "in_pairs": int(sums[n])} for n in most.tolist() if sums[n]]


def _example(kind: str, pair: ScoredPair, labels: NDArray[Any], of: str) -> PairExample:
    names = (labels[pair.first].item(), labels[pair.second].item())
    return PairExample(
        of=of, kind=kind, score=pair.score, rows=(pair.first, pair.second), labels=names
    )


def notes_on_groups(result: PairsResult) -> tuple[str, ...]:
    """A sentence for each FAR at which groups cannot be compared."""
    return tuple(
        f"no groups at FAR {point.far:g}: its pairs were {point.path}, not kept"
        for point in result.points
        if point.path != "kept"
    )


def check_groups(chosen: Pairing, groups: NDArray[Any]) -> NDArray[Any]:
    """The names of the groups, once every person is known to be in one.

    Raises:
        BadArray: `groups` is not (N,).
        BadInput: the rows of a person are in two groups.
    """
    people = chosen.people
    if groups.shape != people.shape:
        raise BadArray(
            f"each row needs a group; got {len(people)} rows and groups of shape {groups.shape}"
        )
    names, at = np.unique(groups, return_inverse=True)
    known = np.flatnonzero(people != DISTRACTOR)
    first = np.full(int(people.max()) + 1, -1, np.int64)
    first[people[known][::-1]] = at[known][::-1]
    stray = known[at[known] != first[people[known]]]
    if len(stray):
        row = int(stray[0])
        raise BadInput(
            f"groups are of people, and row {row} is in {groups[row].item()!r} while another row "
            f"of the same person is in {names[first[people[row]]].item()!r}"
        )
    return names


def _compared(
    result: PairsResult,
    chosen: Pairing,
    groups: NDArray[Any],
    names: NDArray[Any],
    point: PairsPoint,
    of: str,
) -> Groups:
    taken = result.best_codes[: point.false_matches]
    first, second = np.divmod(taken, len(groups))
    inside = groups[first[groups[first] == groups[second]]]
    rates = []
    for name in names[names != ""] if names.dtype.kind == "U" else names:
        mask = groups == name
        impostor, genuine = counts_within(chosen, mask)
        rates.append(
            GroupRate(
                group=str(name),
                false_matches=int((inside == name).sum()),
                impostor_pairs=impostor,
                misses=int(point.misses_of_row[mask].sum()) // 2,
                genuine_pairs=genuine,
            )
        )
    return compared_groups(rates, far=point.far, threshold=point.threshold, of=of)

"""Tables and matrices on disk, turned into searches."""

from __future__ import annotations

import numpy as np
import pytest

from tronie.errors import BadArray, BadFile
from tronie.evaluation.protocols import iqiyi_vid, megaface, open_set
from tronie.evaluation.run_identification import (
    evaluate_iqiyi_vid,
    evaluate_megaface,
    evaluate_open_set,
)
from tronie.geometry.hypersphere import normalize
from tronie.geometry.templates import pool


def made(tmp_path, people, header, *fields):
    """Rows around a center of each subject, of any length, and a table of their fields."""
    rng = np.random.default_rng(0)
    centers = {who: rng.normal(size=16) for who in dict.fromkeys(people)}
    rows = np.stack([centers[who] + 0.5 * rng.normal(size=16) for who in people])
    rows[[who == "-1" for who in people]] = rng.normal(size=(people.count("-1"), 16))
    np.save(tmp_path / "F.npy", rows.astype(np.float32))
    table = [header, *map(",".join, zip(people, *fields, strict=True))]
    (tmp_path / "meta.csv").write_text("\n".join(table) + "\n")
    return rows.astype(np.float32), tmp_path / "F.npy", tmp_path / "meta.csv"


PEOPLE = ["ann", "bob", "cy", "ann", "bob", "cy", "dee", "dee", "-1", "-1"]
ROLES = ["gallery"] * 3 + ["probe"] * 7


def test_open_set_reads_who_is_enrolled_from_the_table(tmp_path):
    rows, features, meta = made(tmp_path, PEOPLE, "subject,role", ROLES)
    report = evaluate_open_set(features, meta, fpirs=[0.25], ranks=[1], inputs={"m": "0" * 64})
    expected = open_set.PROTOCOL.score(
        normalize(rows)[0],
        np.array([0, 1, 2, 0, 1, 2, 3, 3, -1, -1]),
        gallery=np.arange(3),
        probes=np.arange(3, 10),
        fpirs=[0.25],
        ranks=[1],
    )
    assert report.values == expected.values
    assert report.values["nonmated_probes"].value == 4
    assert {*report.provenance.inputs} == {"features", "meta", "m"}
    assert report.notes[-1] == "10 of 10 rows were not of length 1, and all were normalized"


def test_megaface_takes_minus_one_for_a_distractor_and_the_lists_if_asked(tmp_path):
    people = ["a", "a", "-1", "b", "b", "b", *["-1"] * 20]
    listed = ["1" if n in (1, 8) else "0" for n in range(26)]
    rows, features, meta = made(tmp_path, people, "subject,listed", listed)
    whose = np.array([0 if p == "a" else 1 if p == "b" else -1 for p in people])
    marked = np.array([word == "1" for word in listed])
    for form, given in (("plain", None), ("cleaned", marked)):
        report = evaluate_megaface(features, meta, form=form, fars=[0.05])
        expected = megaface.PROTOCOL.score(
            normalize(rows)[0], whose, form=form, listed=given, fars=[0.05]
        )
        assert report.values == expected.values
    assert report.values["distractors"].value == 20
    meta.write_text("\n".join(["subject", *people]) + "\n")
    with pytest.raises(BadFile, match=r"meta\.csv:1: lacks the column 'listed'"):
        evaluate_megaface(features, meta, form="cleaned")


def test_several_queries_of_one_person_are_pooled(tmp_path):
    people = ["x", "x", "y", "x", "y", "x", "-1", "y"]
    roles = ["query"] * 3 + ["video"] * 5
    rows, features, meta = made(tmp_path, people, "subject,role", roles)
    report = evaluate_iqiyi_vid(features, meta, limit=3)
    unit = normalize(rows)[0]
    asking = pool(unit[:3], np.array([0, 0, 1]), pooling="mean_of_unit").unit
    expected = iqiyi_vid.PROTOCOL.score(
        np.concatenate([asking, unit[3:]]),
        np.array([0, 1, 0, 1, 0, -1, 1]),
        queries=np.arange(2),
        videos=np.arange(2, 7),
        limit=3,
    )
    assert report.values == expected.values


def test_single_queries_are_taken_as_they_are(tmp_path):
    _, features, meta = made(
        tmp_path, ["x", "y", "x", "y"], "subject,role", ["query"] * 2 + ["video"] * 2
    )
    assert evaluate_iqiyi_vid(features, meta).values["queries"].value == 2


def test_an_unknown_role_is_named_with_its_line(tmp_path):
    _, features, meta = made(tmp_path, PEOPLE, "subject,role", [*ROLES[:4], "prob", *ROLES[5:]])
    with pytest.raises(BadFile, match=r"meta\.csv:6: must say gallery or probe; got 'prob'"):
        evaluate_open_set(features, meta)


def test_a_line_without_subject_is_named(tmp_path):
    people = [*PEOPLE[:2], "", *PEOPLE[3:]]
    _, features, meta = made(tmp_path, people, "subject,role", ROLES)
    with pytest.raises(
        BadFile, match=r"meta\.csv:4 is blank; each row has a label \(-1: nobody known\)"
    ):
        evaluate_open_set(features, meta)


def test_a_query_of_nobody_is_named(tmp_path):
    _, features, meta = made(tmp_path, ["x", "-1", "x"], "subject,role", ["query"] * 2 + ["video"])
    with pytest.raises(BadFile, match=r"meta\.csv:3: a query asks for a known person"):
        evaluate_iqiyi_vid(features, meta)


def test_a_table_of_another_length_is_refused(tmp_path):
    rows, features, meta = made(tmp_path, PEOPLE, "subject,role", ROLES)
    np.save(features, rows[1:])
    with pytest.raises(BadArray, match=r"needs a line of .*; got 9 rows and 10 lines$"):
        evaluate_open_set(features, meta)


def test_progress_of_each_form_counts_every_comparison_once(tmp_path):
    told = []

    def progress(*counts):
        told.append(counts)

    _, features, meta = made(tmp_path, PEOPLE, "subject,role", ROLES)
    evaluate_open_set(features, meta, fpirs=[0.25], progress=progress)
    assert told == [(3 * 3, 7 * 3), (7 * 3, 7 * 3)]  # mated probes, then the others
    told.clear()
    people = ["a", "a", "b", "b", *["-1"] * 20]
    _, features, meta = made(tmp_path, people, "subject,listed", ["0"] * 24)
    evaluate_megaface(features, meta, fars=[0.05], progress=progress)
    assert told == [(80, 160), (160, 160)]  # for the ranks, then for the FARs
    told.clear()
    _, features, meta = made(tmp_path, ["x", "y", "x"], "subject,role", ["query"] * 2 + ["video"])
    evaluate_iqiyi_vid(features, meta, progress=progress)
    assert told == [(1, 1)]  # nobody looks for y


def test_a_limit_beyond_the_gallery_is_the_gallery(tmp_path):
    _, features, meta = made(
        tmp_path, ["x", "y", "x", "y"], "subject,role", ["query"] * 2 + ["video"] * 2
    )
    values = evaluate_iqiyi_vid(features, meta, limit=2_000_000_000).values
    assert (
        values["map_at_2000000000"].value
        == evaluate_iqiyi_vid(features, meta, limit=2).values["map_at_2"].value
    )
    _, features, meta = made(tmp_path, PEOPLE, "subject,role", ROLES)
    everybody, three = (
        evaluate_open_set(features, meta, fpirs=[0.25], within=n) for n in (2_000_000_000, 3)
    )
    assert everybody.values == three.values


def test_a_subject_that_is_no_label_is_named(tmp_path):
    people = [*PEOPLE[:2], "x" * 300, *PEOPLE[3:]]
    _, features, meta = made(tmp_path, people, "subject,role", ROLES)
    with pytest.raises(BadFile, match=r"meta\.csv:4: a label has 256 characters at most"):
        evaluate_open_set(features, meta)

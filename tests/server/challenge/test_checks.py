"""Verdicts: accepted means that there were rules and every one is kept."""

import json

from tronie.server.challenge.checks import Check, Verdict

KEPT = Check(rule="limits.flops", passed=True, reason="it costs 0.9 G", measured=9e8, limit=1e9)
BROKEN = Check(rule="graph.operators", passed=False, reason="Loop is not allowed", measured="Loop")


def test_accepted_means_that_every_rule_is_kept():
    assert Verdict(track="mfr21-a", checks=(KEPT,)).accepted
    assert not Verdict(track="mfr21-a", checks=(KEPT, BROKEN)).accepted


def test_nothing_checked_is_nothing_accepted():
    assert not Verdict(track="mfr21-a", checks=()).accepted


def test_refusals_are_the_broken_rules():
    assert Verdict(track="mfr21-a", checks=(KEPT, BROKEN)).refusals == (BROKEN,)


def test_a_verdict_comes_back_from_its_json():
    verdict = Verdict(track="mfr21-a", checks=(KEPT, BROKEN), facts={"factor": 2.5})
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict


def test_its_json_has_the_words_that_the_command_promises():
    told = Verdict(track="mfr21-a", checks=(BROKEN,)).to_dict()
    assert told["accepted"] is False
    assert told["checks"][0].keys() >= {"rule", "passed", "measured", "limit", "reason"}

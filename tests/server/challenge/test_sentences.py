"""Sentences say what was found and the limit, and never let a stranger's text through."""

from __future__ import annotations

from tronie.server.challenge.sentences import at_most, check, listed, plain, shown


def test_a_check_is_broken_where_there_is_a_fault():
    assert check("a.b", "", "fine").to_dict()["passed"]
    broken = check("a.b", "bad", "fine", measured=3, limit=2, unit="x")
    assert (broken.passed, broken.reason, broken.measured, broken.limit, broken.unit) == (
        False,
        "bad",
        3,
        2,
        "x",
    )


def test_a_limit_is_kept_where_it_is_met_and_where_there_is_none():
    assert at_most("a.b", "it has", 10, 10, unit="bytes", advice="No").passed
    assert at_most("a.b", "it has", 10**9, None, unit="bytes", advice="No").reason == (
        "it has 1,000,000,000 bytes"
    )
    over = at_most("a.b", "it has", 1011, 1010, unit="bytes", advice="Send less")
    assert not over.passed
    assert over.reason == "it has 1,011 bytes; at most 1,010 bytes are allowed. Send less"


def test_a_list_names_three_in_order_once_each():
    assert listed("there are", [], "Go") == ""
    assert listed("there are:", ["b", "a", "b"], "Go") == "there are: a, b. Go"
    assert (
        listed("there are:", ["e", "d", "c", "b", "a"], "Go") == "there are: a, b, c and 2 more. Go"
    )


def test_a_strangers_name_is_ascii_short_and_moves_no_cursor():
    hostile = "a\x1b[2J\n\u202e<script>卷" + "x" * 100
    for text in (plain(hostile), shown(hostile)):
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 100
    assert plain("conv_1/relu") == "conv_1/relu"
    assert shown("a") == "'a'"
    assert plain("x" * 500, 300) == "x" * 300

"""Pages for everybody: the tracks, their rules, the board with its baselines, the API's page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import TRACK, Challenge
from tronie.evaluation.charts.frame import STYLE
from tronie.server.challenge.baselines import published
from tronie.server.challenge.track import Phase, Reference, open_track
from tronie.server.sites.challenge.app import create_app
from tronie.server.sites.challenge.site import Visit

pytestmark = pytest.mark.server


def test_the_first_page_lists_the_tracks(challenge):
    page = challenge.browser().get("/").text
    for text in ("Faces 2030", "Small faces", "A track for tests.", "/tracks/small/board"):
        assert text in page


def test_a_track_shows_rules_limits_phases_and_prizes(make_challenge):
    reference = Reference(machine="Tesla V100", network="iresnet-18", latency_ms=1.856)
    track = replace(TRACK, reference=reference, ladder=0.001, tie_breaks=("model_mib",))
    page = make_challenge(tracks={"small": track}).browser().get("/tracks/small").text
    for text in (
        "Be honest.",
        "at most 64 KiB",
        "at most 10\u202fms",
        "iresnet-18",
        "1st place",
        "a cup",
        "then by Size",
        "is better by 0.001 or more",
        "at most 3 of an organization in a day of UTC",
    ):
        assert text in page


def test_a_board_shows_every_column_and_marks_what_was_published(sqlite_store, tmp_path):
    made = Challenge(sqlite_store, tmp_path, tracks={"mfr21-a": open_track("mfr21-a")})
    made.app = create_app(
        made.settings,
        made.store,
        made.storage,
        {"mfr21-a": open_track("mfr21-a")},
        keys=made.signer,
        clock=made.clock,
        baselines=lambda: {"mfr21-a": published("mfr21-a")},
        passwords=made.passwords,
    )
    page = made.browser().get("/tracks/mfr21-a/board").text
    heads = re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', page)
    columns = [column.title for column in open_track("mfr21-a").columns]
    assert heads == ["Place", "Organization", *columns, "Received", "Prize"]
    assert page.count("published, not reproduced <a") == len(published("mfr21-a"))
    assert 'id="remark-1"' in page
    assert "take no place" in page


def test_a_closed_track_says_so(make_challenge):
    closed = replace(
        TRACK, phases=(Phase(name="soon", opens=make_challenge().clock().replace(year=2031)),)
    )
    challenge = make_challenge(tracks={"small": closed})
    assert ">closed</span>" in challenge.browser().get("/").text
    assert "opens at 2031-06-15 12:00 UTC" in challenge.browser().get("/tracks/small").text


def test_the_description_of_the_api_needs_no_script(challenge):
    page = challenge.browser().get("/docs").text
    schema = challenge.browser().get("/openapi.json").json()
    for path, item in schema["paths"].items():
        assert path in page
        assert all(told["summary"] in page for told in item.values())
    assert set(schema["paths"]) == {path for path in schema["paths"] if path.startswith("/api/v1/")}


def test_styles_scripts_and_what_robots_are_told(challenge):
    browser = challenge.browser()
    assert browser.get("/charts.css").text == STYLE
    assert "Disallow: /team" in browser.get("/robots.txt").text
    for name, kind in (("site.css", "text/css"), ("site.js", "javascript"), ("icon.svg", "svg")):
        answer = browser.get(f"/static/{name}")
        assert (answer.status_code, kind in answer.headers["content-type"]) == (200, True)
        again = browser.get(f"/static/{name}", **{"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304


def contrast(one: str, other: str) -> float:
    """WCAG 2: (L1 + 0.05) / (L2 + 0.05) of relative luminances."""

    def luminance(color: str) -> float:
        digits = color[1:] if len(color) == 7 else "".join(2 * c for c in color[1:])
        parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_text_has_contrast_with_its_ground_by_day_and_by_night(challenge):
    style = challenge.browser().get("/static/site.css").text
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    assert set(light) == set(dark)
    pairs = [
        (ink, ground) for ink in ("ink", "soft", "link") for ground in ("paper", "card", "row")
    ]
    pairs += [(name, f"{name}-ground") for name in ("good", "wrong", "wait", "note")]
    pairs += [("on-act", "act"), ("soft", "note-ground"), ("link", "note-ground")]
    for colors in (light, dark):
        for ink, ground in pairs:
            assert contrast(colors[ink], colors[ground]) >= 4.5, (ink, ground)
        assert contrast(colors["edge"], colors["paper"]) >= 3, "the edge of a field"


def test_the_board_of_anybody_is_made_once_and_one_of_a_team_marks_its_row(
    make_challenge, monkeypatch
):
    made = make_challenge(settings={"board_seconds": 60.0})
    one, two = made.account("one"), made.account("two")
    made.scored(one, 0.9, public=True)
    made.scored(two, 0.8, public=True)
    path, anybody, team = "/tracks/small/board", made.browser(), made.browser("one@example.org")
    first = anybody.get(path)
    rendered = []
    page = Visit.page

    def counted(self, template, *told, **more):
        rendered.append(template)
        return page(self, template, *told, **more)

    monkeypatch.setattr(Visit, "page", counted)
    again = anybody.get(path)
    assert rendered == []
    assert (again.text, dict(again.headers)) == (first.text, dict(first.headers))
    assert anybody.get(path, **{"if-none-match": first.headers["etag"]}).status_code == 304
    assert 'class="mine"' not in first.text
    own = team.get(path)
    assert rendered == ["board.html"]
    assert own.headers["cache-control"] == "no-store"
    assert own.text.count('class="mine"') == 1
    assert "Institute two" in own.text
    assert anybody.get(path).text == first.text
    assert anybody.get(path + "?done=public").text != first.text
    made.clock.forward(60)
    assert "it is 2030-06-15 12:01" in anybody.get(path).text


def test_a_team_that_comes_first_leaves_nothing_of_its_own_to_the_next(make_challenge):
    made = make_challenge(settings={"board_seconds": 60.0})
    one = made.account("one")
    made.scored(one, public=True)
    made.store.set_hidden(one.organization_id, True, made.clock())
    team = made.browser("one@example.org")
    assert "Institute one" in team.get("/tracks/small/board").text
    text = made.browser().get("/tracks/small/board").text
    assert "Institute one" not in text
    assert "name hidden" in text
    assert 'class="mine"' not in text

"""A challenge from sign-up to the board, in a real browser, as those who take part see it.

The site is the command that an organizer runs, in a process of its own, with its worker and its
sandbox; its private photographs are those of LFW where they are here, aligned by the command
itself, else drawn crops. What is handed in was trained for six steps and exported by this
package where torch is here, else a network with random weights.

With TRONIE_TEST_PICTURES=FOLDER every page is pictured into that folder, in two widths.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.browsing import PASSWORD, Person, why_not
from server.handed_in import (
    draw_people,
    random_network,
    reaches_for_a_file,
    tar_by_hand,
    trained,
    write_lfw,
)
from server.served import Served, Watch, told, until
from tronie.cli.challenge_client import ChallengeRefused, Client
from tronie.server.challenge.store import Store
from working_tree import environment

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
TRACK = "demonstration-faces"
ORGANIZER = "organizer@challenge.invalid"
KNOWN = "Academy of Early Birds"
MARK = "main p .mark"
LIFE = ("received", "checking", "queued", "running", "scored")
WIDTHS = (1280, 390)


# --- what the organizer has, and what is handed in ----------------------------------------------


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return draw_people(tmp_path_factory.mktemp("drawn") / "faces")


@pytest.fixture(scope="module")
def private(drawn, tmp_path_factory) -> tuple[object, ...]:
    """Words of the command that name photographs: of LFW, as they were taken, or drawn crops."""
    folder = tmp_path_factory.mktemp("photos")
    if data := os.environ.get("TRONIE_TEST_DATA", ""):
        write_lfw(folder, Path(data, "lfw", "lfw_deepfunneled_250_subset.zip"))
        return "--photos", folder, "--detector", Path(data, "weights", "scrfd_500m_bnkps.onnx")
    for person in sorted(drawn.glob("Toy_*")):
        shutil.copytree(person, folder / person.name)
    return "--photos", folder


@pytest.fixture(scope="module")
def model(drawn, tmp_path_factory) -> Path:
    """An ONNX file that a team could have made."""
    file = tmp_path_factory.mktemp("model") / "small.onnx"
    if importlib.util.find_spec("torch") is None:
        random_network(file)
    else:
        trained(file, drawn)
    return file


@pytest.fixture(scope="module")
def site(private, tmp_path_factory):
    """The challenge; nothing of it is left when it has ended."""
    served = Served(tmp_path_factory.mktemp("site"), *private)
    yield served
    workers = served.workers()
    code = served.close()
    assert code in (0, 130), served.said()
    assert (len(workers), served.workers()) == (1, [])
    assert "Traceback" not in served.said()


@pytest.fixture(scope="module")
def browser(site, tmp_path_factory):
    opened = Person(tmp_path_factory.mktemp("profile"), site.address)
    yield opened
    opened.close()


@pytest.fixture
def person(browser):
    """Somebody whom the site has not seen; nothing may go wrong on a page that is shown."""
    browser.driver.delete_all_cookies()
    browser.console()
    yield browser
    assert browser.console() == []


@pytest.fixture(scope="module")
def known(site, browser, model, tmp_path_factory) -> Client:
    """A team with a result on the board, sent by the command line."""
    browser.driver.delete_all_cookies()
    browser.sign_up(KNOWN, "birds@example.org")
    token = browser.new_token("command line")
    words = ["challenge", "submit", model, "--track", TRACK, "--server", site.address]
    ran = tronie(*words, "--wait", "--public", "--json", token=token)
    assert ran.returncode == 0, ran.stderr
    made = json.loads(ran.stdout)
    assert (made["state"], made["public"], made["file_name"]) == ("scored", True, model.name)
    assert "is checking" in ran.stderr or "is received" in ran.stderr
    return Client(site.address, token)


def tronie(*words, token: str) -> subprocess.CompletedProcess[str]:
    """The command, with a token as the manual advises: not among its words."""
    told = {**environment(), "TRONIE_CHALLENGE_TOKEN": token}
    command = [sys.executable, "-m", "tronie", *map(str, words)]
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=300)


# --- the trip -----------------------------------------------------------------------------------


def test_a_team_gets_from_sign_up_to_the_board(site, person, model):
    person.sign_up("Institute of Long Walks", "walks@example.org")
    assert person.path == "/team"
    assert person.rows("Slots of today")[0][1] == "3 of 3"
    token = person.new_token("watcher")
    with Watch(site, token) as seen:
        page = person.submit(TRACK, model, note="our first, with a grain of <b>salt</b>")
        id = page.rpartition("/")[2]
        until(lambda: person.shows("main p .mark", "scored"), "the page that shows the score")
    assert seen == [state for state in LIFE if state in seen]
    assert seen[-1] == "scored"
    assert steps_of(site, id) == list(LIFE)
    assert "our first, with a grain of <b>salt</b>" in person.text
    assert "limits.latency_ms" in [row[0] for row in person.rows("Limits and broken rules")]
    person.unfold("all kept")
    kept = person.rows("Rules that are kept")
    assert len(kept) > 10
    assert {row[1] for row in kept} == {"yes"}
    assert person.all("figure.plot svg")
    person.open(f"/tracks/{TRACK}/board")
    assert "Institute of Long Walks" not in person.text
    person.open(page)
    person.press("Set public")
    assert "It is on the board now" in person.text
    person.open(f"/tracks/{TRACK}/board")
    (row,) = (row for row in person.rows("Board") if row[1] == "Institute of Long Walks")
    one = told(site, f"/api/v1/submissions/{id}", token=token)
    value = one["report"]["values"]["tar_at_far_0.001"]["value"]
    assert row[2] == f"{100 * value:.2f}"
    assert value == pytest.approx(tar_by_hand(site.folder / "data" / TRACK, TRACK, model), abs=0.01)


def test_a_hostile_file_is_refused_with_the_sentence_of_its_rule(site, person, tmp_path):
    file = tmp_path / "<img src=x onerror=alert(1)>.onnx"
    file.write_bytes(reaches_for_a_file())
    person.sign_up("Guild of Locksmiths", "locks@example.org")
    person.submit(TRACK, file)
    ended(person, "refused")
    assert "Weights are kept in another file: 'w0'." in person.find(".told.bad").text
    broken = [row for row in person.rows("Limits and broken rules") if row[1] == "no"]
    assert "weights.external" in [row[0] for row in broken]
    assert "Set public" not in person.text
    assert "waits to be checked" not in person.text  # what the page said before
    keep_picture(person, "refused")
    person.open("/team")
    assert person.rows("Slots of today")[0][1] == "3 of 3"  # refused at the checks: not charged


def test_pages_work_without_scripts(site, model, tmp_path):
    plain = Person(tmp_path / "profile", site.address, scripts=False)
    try:
        plain.sign_up("Society of Plain Paper", "paper@example.org")
        page = plain.submit(TRACK, model)
        assert "Open this page again to see what has changed." in plain.text
        ended(plain, "scored", again=page)
        plain.press("Set public")
        plain.open(f"/tracks/{TRACK}/board")
        assert not plain.all("th button")
        assert "Society of Plain Paper" in plain.text
        plain.press("Sign out")
        assert "You are signed out." in plain.text
        assert plain.console() == []
    finally:
        plain.close()


def test_the_form_to_sign_in_needs_no_mouse(known, person):
    person.open("/sign-in")
    passed = []
    for _ in range(8):
        person.type("\ue004")  # TAB
        element = person.focused()
        passed.append(element.get_attribute("name") or element.text)
        assert element.value_of_css_property("outline-style") == "solid", passed
    links = ["To the content", "Face recognition challenge", "Tracks", "Sign in", "Sign up"]
    assert passed == [*links, "email", "password", "Sign in"]
    person.open("/sign-in")
    person.type("\ue004", "\ue007")  # TAB ENTER: past the links
    person.type("\ue004", "birds@example.org", "\ue004", PASSWORD)
    person.leave(lambda: person.type("\ue007"))
    assert person.path == "/team"


def test_a_board_is_sorted_by_its_columns(known, person):
    person.open(f"/tracks/{TRACK}/board")
    head = person.find("th[data-sort=falls] button")
    head.click()
    assert person.find("th[aria-sort]").get_attribute("aria-sort") == "descending"
    head.click()
    assert person.find("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    values = [float(row[2]) for row in person.rows("Board")]
    assert values == sorted(values)


# --- the organizer ------------------------------------------------------------------------------


@pytest.fixture
def organizer(site, known, person) -> Person:
    """Signed in with the password that was printed."""
    person.sign_in(ORGANIZER, site.organizer_password)
    assert person.path == "/organizer"
    return person


def test_the_organizer_sees_the_queue_and_an_unbroken_log(organizer):
    (sent,) = (r for r in organizer.rows("Submissions") if r[1] == KNOWN)
    assert sent[2:5] == [TRACK, "scored", "yes"]
    organizer.open("/organizer/audit")
    assert "The chain holds." in organizer.text
    assert {"submission.received", "submission.scored"} <= {r[3] for r in organizer.rows("Log")}


def test_hidden_scores_leave_the_board_until_they_are_shown(site, known, organizer):
    board = known_row(site)
    assert board is not None
    organizer.find("[name=hidden-0]").click()
    organizer.press("Set the phases")
    assert "The phases are set." in organizer.text
    organizer.open(f"/tracks/{TRACK}/board")
    assert "Scores of the phase “open” are hidden." in organizer.text
    assert organizer.rows("Board") == []
    assert "Nobody has" not in organizer.text
    keep_picture(organizer, "hidden")
    assert known_row(site) is None
    organizer.open("/organizer")
    organizer.find("[name=hidden-0]").click()
    organizer.press("Set the phases")
    assert known_row(site) == board


def test_scores_of_an_older_protocol_are_made_again(site, known, organizer):
    with sqlite3.connect(site.folder / "challenge.db", timeout=30) as database:
        database.execute("UPDATE submissions SET protocol_version = '0' WHERE public")
    database.close()
    organizer.press("Score again")
    assert "wait to be scored again" in organizer.text
    until(lambda: known_row(site), "the new score")


def test_a_banned_team_is_told_why_and_leaves_the_board(site, known, organizer, model):
    reason = "two accounts of one laboratory"
    ban = '[aria-label="Reason of the ban of ' + KNOWN + '"]'
    organizer.leave(lambda: organizer.find(ban).send_keys(reason, "\ue007"))
    assert "may no longer submit" in organizer.text
    assert known_row(site) is None
    with pytest.raises(ChallengeRefused, match=reason):
        known.submit(model, TRACK)
    organizer.press("Sign out")
    organizer.open("/organizer")
    assert organizer.path.startswith("/sign-in")
    organizer.sign_in("birds@example.org")
    assert f"Your organization may not submit.\n{reason}" in organizer.text
    keep_picture(organizer, "banned")
    organizer.sign_in(ORGANIZER, site.organizer_password)
    organizer.find(ban).clear()
    organizer.leave(lambda: organizer.find(ban).send_keys("\ue007"))
    assert "may submit again" in organizer.text
    assert known_row(site) is not None


# --- every page ---------------------------------------------------------------------------------

FOR_ALL = ("/", f"/tracks/{TRACK}", f"/tracks/{TRACK}/board", "/sign-in", "/sign-up", "/forgot")
FOR_ALL = (*FOR_ALL, "/docs", "/nowhere")
FOR_TEAMS = ("/team", "/account", f"/tracks/{TRACK}/submit")
FOR_ORGANIZERS = ("/organizer", "/organizer/audit")


@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_their_window_and_name_their_fields(site, known, person, width):
    person.as_wide_as(width)
    look_at(person, FOR_ALL, width)
    person.console()  # of the page that is not there
    person.sign_in("birds@example.org")
    newest = person.find("[aria-label=Submissions] th a").get_attribute("href")
    look_at(person, (*FOR_TEAMS, newest.removeprefix(site.address)), width)
    person.sign_in(ORGANIZER, site.organizer_password)
    look_at(person, FOR_ORGANIZERS, width)


def look_at(person, paths, width) -> None:
    for path in paths:
        person.open(path)
        wide = person.driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, path
        if width == WIDTHS[0]:
            fields = person.all("input:not([type=hidden], [hidden]), textarea, select, button")
            nameless = [f.get_attribute("outerHTML") for f in fields if not f.accessible_name]
            assert nameless == [], path
        keep_picture(person, f"{path.strip('/').replace('/', '_')[:40] or 'first'}-{width}")


def keep_picture(person, name: str) -> None:
    """For whoever wants to look; see the top of this file."""
    if folder := os.environ.get("TRONIE_TEST_PICTURES"):
        Path(folder, f"{name}.png").write_bytes(person.picture())


# --- last, because what it hands in keeps the worker busy ---------------------------------------


def test_the_fourth_of_a_day_is_refused_with_the_time_of_the_next(site, person, model):
    expect_far_from_midnight()
    person.sign_up("Museum of Three Wishes", "wishes@example.org")
    client = Client(site.address, person.new_token("the third"))
    for _ in range(2):
        person.submit(TRACK, model)
    person.open(f"/tracks/{TRACK}/submit")
    assert "One submission is left today" in person.text
    client.submit(model, TRACK)  # while the form of the last one is open
    person.fill(file=str(model))
    person.find("form[data-upload] button").click()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    next_one = f"the next is possible at {tomorrow:%Y-%m-%d} 00:00 UTC, in "
    until(lambda: person.shows("[data-told]", next_one), "the refusal")
    assert ["status of 4" in line for line in person.console()] == [True]  # it notes the refusal
    person.open(f"/tracks/{TRACK}/submit")
    assert next_one in person.text
    assert not person.all("input[type=file]")
    keep_picture(person, "fourth")
    with pytest.raises(ChallengeRefused, match=next_one):
        client.submit(model, TRACK)
    person.open("/team")
    assert person.rows("Slots of today")[0][1] == "0 of 3"
    assert len(person.rows("Submissions")) == 3
    assert "in the queue" in person.text


# --- what is known without the pages --------------------------------------------------------------


def ended(person: Person, state: str, *, again: str = "") -> None:
    """Wait until the page says what became of a submission; it opens itself anew, or is opened."""

    def is_told() -> bool:
        if again:
            person.open(again)
        return any(person.shows(MARK, end) for end in ("scored", "refused", "failed"))

    until(is_told, "the end of a submission")
    assert person.shows(MARK, state), person.text


def known_row(site: Served) -> Any:
    """The known team on the board that everybody sees."""
    rows = told(site, f"/api/v1/tracks/{TRACK}/board")["rows"]
    return next((row for row in rows if row["organization"] == KNOWN), None)


def steps_of(site: Served, id: str) -> list[str]:
    """Where a submission has been, by the log."""
    with Store.open(f"sqlite:///{site.folder / 'challenge.db'}", migrate=False) as store:
        actions = [one.action for one in store.audit() if one.subject == id]
    return [a.partition(".")[2] for a in actions if a.partition(".")[2] in LIFE]


def expect_far_from_midnight() -> None:
    """The day's slots are new at midnight of UTC, and three have to fall into one day."""
    now = datetime.now(UTC)
    if now.hour == 23 and now.minute >= 57:
        pytest.skip("midnight of UTC is too near for three submissions on one day")

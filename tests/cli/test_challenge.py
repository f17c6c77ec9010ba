"""challenge: the participant's verbs on their own, and the organizer's that need no site."""

from __future__ import annotations

import json
import re

import onnx
import pytest
from PIL import Image

import tiny_models
from cli.toy_challenge import ID, TOKEN, submission, toy_challenge
from tronie.cli import challenge as verbs
from tronie.server.challenge import validate as validation
from tronie.server.challenge.baselines import FILE, MARK, shown_baselines
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.track import open_track

KEPT = Check(rule="file.protobuf", passed=True, reason="it is an ONNX file")
BROKEN = Check(
    rule="limits.flops",
    passed=False,
    reason="the model costs 1.07 GFLOPs; at most 1 is allowed",
    measured=1_070_000_000,
    limit=1_000_000_000,
    unit="FLOPs",
)


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "model.onnx"
    onnx.save(tiny_models.honest(), file)
    return file


@pytest.fixture
def asked(monkeypatch):
    """Sets what the rules say; what they were asked is kept."""
    kept = {}

    def say(*checks):
        def validate(path, track, **told):
            kept.update(told, path=path, asked=track)
            return Verdict(track=told["name"], checks=checks, facts={"parameters": 12})

        monkeypatch.setattr(validation, "validate", validate)
        return kept

    return say


@pytest.fixture
def challenge(monkeypatch):
    monkeypatch.setattr(verbs, "POLL_S", 0.0)
    with toy_challenge() as running:
        yield running


# --- validate -------------------------------------------------------------------------------


def test_an_accepted_model_is_0_and_told_as_the_server_tells_it(model, asked, cli_here):
    kept = asked(KEPT)
    ran = cli_here("challenge", "validate", model, "--track", "mfr21-a", "--json")
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert told["accepted"] is True
    assert told["checks"] == [
        {
            "rule": "file.protobuf",
            "passed": True,
            "measured": None,
            "limit": None,
            "unit": "",
            "reason": "it is an ONNX file",
        }
    ]
    assert kept["asked"] == open_track("mfr21-a")
    assert (kept["crops"], kept["factor"]) == (None, None)


def test_a_refused_model_is_1_with_what_was_measured(model, asked, cli_here):
    asked(KEPT, BROKEN)
    ran = cli_here("challenge", "validate", model, "--track", "mfr21-a", "--json")
    assert ran.code == 1
    (told,) = ran.json_lines()
    assert (told["accepted"], told["track"]) == (False, "mfr21-a")
    assert told["checks"][1]["measured"] == 1_070_000_000
    assert told["checks"][1]["limit"] == 1_000_000_000


def test_a_reader_sees_what_is_broken_and_a_count(model, asked, cli_here):
    asked(KEPT, BROKEN)
    ran = cli_here("challenge", "validate", model, "--track", "mfr21-a")
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[2:4]] == ["kept", "BROKEN"]
    assert lines[-1] == "refused for mfr21-a: 1 of 2 rules is broken"
    asked(KEPT)
    ran = cli_here("challenge", "validate", model, "--track", "mfr21-a")
    assert ran.out.splitlines()[-1] == "accepted for mfr21-a: 1 rule is kept"


@pytest.mark.onnx
def test_a_file_that_is_no_model_is_refused_by_its_rule(tmp_path, cli_here):
    (tmp_path / "model.onnx").write_text("hello\n")
    words = ["challenge", "validate", tmp_path / "model.onnx", "--track", "mfr21-a", "--json"]
    ran = cli_here(*words)
    assert ran.code == 1
    (told,) = ran.json_lines()
    assert [check["rule"] for check in told["checks"] if not check["passed"]] == ["file.protobuf"]


@pytest.mark.onnx
@pytest.mark.slow
def test_an_honest_model_is_accepted_in_a_real_sandbox(model, cli):
    words = ["challenge", "validate", model, "--track", "mfr21-a", "--no-calibrate", "--json"]
    ran = cli(*words)
    assert ran.code == 0, ran.out + ran.err
    (told,) = ran.json_lines()
    rules = {check["rule"] for check in told["checks"]}
    assert {"limits.dimension", "behavior.alone", "limits.latency_ms"} <= rules
    assert all(check["passed"] for check in told["checks"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.onnx", "--track", "mfr21-a"], "there is no file none.onnx; name a model.onnx"),
        (["MODEL", "--track", "mfr21-c"], "no entry 'mfr21-c' .* Did you mean 'mfr21-b'"),
        (["MODEL"], "Missing option '--track'"),
        (["MODEL", "--track", "mfr21-a", "--crops", "none"], "none is not there; give"),
    ],
)
def test_misuse_is_2_with_a_sentence_and_clean_json(words, told, model, cli_here):
    words = [str(model) if word == "MODEL" else word for word in words]
    ran = cli_here("challenge", "validate", *words, "--json")
    assert ran.code == 2
    (answer,) = ran.json_lines()
    assert re.search(told, answer["error"]["message"])
    assert len(ran.err.splitlines()) == 1


def test_real_crops_and_a_calibration_left_out_are_handed_on(model, asked, tmp_path, cli_here):
    crops = tmp_path / "crops"
    crops.mkdir()
    for n in range(3):
        Image.new("RGB", (112, 112), (n, 0, 0)).save(crops / f"{n}.png")
    kept = asked(KEPT)
    words = ["challenge", "validate", model, "--track", "mfr21-a", "--crops", crops]
    assert cli_here(*words, "--no-calibrate").code == 0
    assert kept["crops"].shape == (3, 112, 112, 3)
    assert kept["crops"][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert kept["factor"] == 1.0
    Image.new("RGB", (100, 112)).save(crops / "3.png")
    ran = cli_here(*words)
    assert ran.code == 2
    assert "must hold aligned crops of 112 x 112; see `tronie align`" in ran.err


# --- submit ---------------------------------------------------------------------------------


def submit(cli_here, challenge, model, *words):
    return cli_here(
        "challenge", "submit", model, "--track", "mfr21-a", "--server", challenge.address, *words
    )


def test_a_submission_is_sent_and_told(challenge, model, cli_here):
    challenge.will_answer(submission(), status=201)
    ran = submit(cli_here, challenge, model, "--token", TOKEN, "--note", "seed 3")
    assert (ran.code, ran.out) == (0, f"{ID}: received, place 2 in the queue\n")
    ((_, path, told, body),) = challenge.asked
    assert path == "/api/v1/tracks/mfr21-a/submissions"
    assert told == {"file_name": "model.onnx", "note": "seed 3"}
    assert body == model.read_bytes()


def test_the_token_may_come_from_the_environment(challenge, model, cli_here, monkeypatch):
    monkeypatch.setenv("TRONIE_CHALLENGE_TOKEN", TOKEN)
    challenge.will_answer(submission(), status=201)
    ran = submit(cli_here, challenge, model, "--json")
    assert ran.code == 0
    assert ran.json_lines() == [submission()]
    assert challenge.headers[0]["Authorization"] == f"Bearer {TOKEN}"


def test_without_a_token_both_ways_to_give_it_are_named(challenge, model, cli_here, monkeypatch):
    monkeypatch.delenv("TRONIE_CHALLENGE_TOKEN", raising=False)
    ran = submit(cli_here, challenge, model)
    assert ran.code == 2
    assert "Missing option '--token' (env var: 'TRONIE_CHALLENGE_TOKEN')" in ran.err


def test_waiting_tells_each_change_and_ends_on_the_board(challenge, model, cli_here):
    report = {"values": {"score": {"value": 0.5, "unit": "fraction"}, "none": {"value": None}}}
    challenge.will_answer(
        submission(),
        submission(position=1),
        submission(position=1),
        submission("checking"),
        submission("queued", position=1),
        submission("running"),
        submission("scored", report=report),
        submission("scored", report=report, public=True),
    )
    ran = submit(cli_here, challenge, model, "--token", TOKEN, "--wait", "--public")
    assert ran.code == 0
    told = [line.removeprefix(f"tronie: {ID} is ") for line in ran.err.splitlines()]
    assert told == [
        "received, place 2 in the queue",
        "received, place 1 in the queue",
        "checking",
        "queued, place 1 in the queue",
        "running",
    ]
    lines = ran.out.splitlines()
    assert lines[0] == f"{ID}: scored"
    assert lines[-1].split() == ["score", "0.5", "fraction"]
    assert challenge.asked[-1][:2] == ("POST", f"/api/v1/submissions/{ID}/public")


@pytest.mark.parametrize("state", ["refused", "failed"])
def test_a_submission_that_is_refused_or_fails_is_1(state, challenge, model, cli_here):
    challenge.will_answer(submission(), submission(state, reason="it costs too much."))
    ran = submit(cli_here, challenge, model, "--token", TOKEN, "--wait", "--public")
    assert (ran.code, ran.out) == (1, f"{ID}: {state}\nit costs too much.\n")
    assert [asked[0] for asked in challenge.asked] == ["POST", "GET"]


def test_a_server_that_is_begun_anew_is_waited_for(challenge, model, cli_here, monkeypatch):
    monkeypatch.setattr(verbs, "SILENT_POLLS", 3)
    challenge.will_answer(submission(), None, None, submission(), None, submission("scored"))
    assert submit(cli_here, challenge, model, "--token", TOKEN, "--wait").code == 0
    challenge.answers.clear()
    challenge.will_answer(submission(), None)
    ran = submit(cli_here, challenge, model, "--token", TOKEN, "--wait")
    assert ran.code == 2
    assert "does not answer" in ran.err


def test_a_refusal_of_the_challenge_is_1_and_an_error_in_json(challenge, model, cli_here):
    challenge.will_refuse(429, "three were sent today; the next is possible at midnight")
    ran = submit(cli_here, challenge, model, "--token", TOKEN, "--json")
    assert ran.code == 1
    told = {"code": "challenge_refused", "message": ran.err.strip().removeprefix("tronie: ")}
    assert ran.json_lines() == [{"error": told}]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--public"], "--public needs --wait: what is not scored yet cannot be on the board"),
        (["--server", "example.org"], "--server takes an address such as https://"),
    ],
)
def test_a_submission_that_cannot_be_sent_is_2(words, told, challenge, model, cli_here):
    ran = submit(cli_here, challenge, model, "--token", TOKEN, *words)
    assert ran.code == 2
    assert told in ran.err
    assert challenge.asked == []


def test_a_file_that_is_not_there_is_2(challenge, tmp_path, cli_here):
    ran = submit(cli_here, challenge, tmp_path / "none.onnx", "--token", TOKEN)
    assert ran.code == 2
    assert "none.onnx; name a model.onnx, or a zip of it" in ran.err


# --- baselines, check-result, worker --------------------------------------------------------


def test_published_rows_are_shown_and_hidden_again(tmp_path, cli_here):
    ran = cli_here("challenge", "baselines", "--dir", tmp_path, "--track", "mfr21-a")
    assert (ran.code, ran.out) == (0, f"mfr21-a: 7 rows, {MARK}\n")
    assert list(shown_baselines(tmp_path)) == ["mfr21-a"]
    assert len(cli_here("challenge", "baselines", "--dir", tmp_path).out.splitlines()) == 6
    ran = cli_here("challenge", "baselines", "--dir", tmp_path, "--hide")
    assert (ran.code, ran.out) == (0, "no published row is shown any more\n")
    assert shown_baselines(tmp_path) == {}


def test_published_rows_in_json_say_that_they_are(tmp_path, cli_here):
    (told,) = cli_here("challenge", "baselines", "--dir", tmp_path, "--json").json_lines()
    assert {row["mark"] for rows in told.values() for row in rows} == {MARK}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--track", "nonsense"], "no row was published for the track 'nonsense'; there are some"),
        (["--hide", "--track", "mfr21-a"], "--hide takes all published rows off; leave out"),
    ],
)
def test_baselines_that_are_not_there_are_2(words, told, tmp_path, cli_here):
    ran = cli_here("challenge", "baselines", "--dir", tmp_path, *words)
    assert ran.code == 2
    assert told in ran.err
    assert not (tmp_path / FILE).exists()


@pytest.fixture
def signed(tmp_path):
    pytest.importorskip("cryptography", reason="needs the serve extra")
    from tronie.server.challenge.signing import Signer

    signer = Signer(bytes(range(32)))
    file = tmp_path / "result.json"
    file.write_text(json.dumps(signer.sign({"organization": "Ada", "score": 0.5})))
    return file, signer.public_key


@pytest.mark.server
def test_a_signed_result_is_known_from_a_forged_one(signed, cli_here):
    file, key = signed
    ran = cli_here("challenge", "check-result", file, "--key", key)
    assert (ran.code, ran.out) == (0, "this is what the challenge signed\n")
    file.write_text(file.read_text().replace("0.5", "0.9"))
    ran = cli_here("challenge", "check-result", file, "--key", key)
    assert (ran.code, ran.out) == (1, "this is NOT what it signed\n")
    ran = cli_here("challenge", "check-result", file, "--key", key, "--json")
    assert (ran.code, ran.json_lines()) == (1, [{"genuine": False}])


@pytest.mark.server
@pytest.mark.parametrize("text", ["[]", "no JSON", "{}", None])
def test_a_file_that_is_no_signed_result_is_2(text, signed, tmp_path, cli_here):
    file = tmp_path / "other.json"
    if text is not None:
        file.write_text(text)
    ran = cli_here("challenge", "check-result", file, "--key", signed[1])
    assert ran.code == 2
    assert "signed result file" in ran.err


@pytest.mark.server
def test_a_worker_writes_nothing_into_a_folder_that_is_no_challenge(
    tmp_path, cli_here, monkeypatch
):
    pytest.importorskip("fastapi", reason="needs the serve extra")
    monkeypatch.chdir(tmp_path)
    ran = cli_here("challenge", "worker", "--database", "sqlite:///none.db")
    assert ran.code == 2
    assert "there is no challenge in .: it has neither challenge.toml nor data/TRACK" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.server
def test_a_worker_without_data_says_whose_are_missing(tmp_path, cli_here):
    pytest.importorskip("fastapi", reason="needs the serve extra")
    (tmp_path / "challenge.toml").write_text('tracks = ["mfr21-a"]\n')
    ran = cli_here("challenge", "worker", "--dir", tmp_path)
    assert ran.code == 2
    first, last = ran.err.splitlines()
    assert first.startswith("tronie: mfr21-a is not judged here: ")
    assert last.endswith("has no data that a worker could judge with; put it in data/TRACK")


@pytest.mark.parametrize("verb", ["validate", "submit", "worker", "baselines", "check-result"])
def test_a_help_page_fits_into_80_columns(verb, cli_here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ran = cli_here("challenge", verb, "--help")
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    assert "attached" not in ran.out


def test_the_group_lists_its_verbs_and_nothing_of_the_shell(cli_here):
    ran = cli_here("challenge", "--help")
    assert "check-result" in ran.out
    assert "completion" not in ran.out

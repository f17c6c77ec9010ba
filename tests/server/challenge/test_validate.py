"""The way of a file through all steps: real sandboxes, and whose fault is whose."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

from tiny_models import Net, honest
from tronie.errors import BadArray, NotFound
from tronie.server.challenge import validate as module
from tronie.server.challenge.checks import Verdict
from tronie.server.challenge.probe_crops import drawn_crops
from tronie.server.challenge.sandbox import Sandbox, SandboxError
from tronie.server.challenge.track import Column, Limits, Reference, Track, names, open_track
from tronie.server.challenge.validate import validate

ROWS = 6
CROPS = drawn_crops(8)


def track(*, takes="model", reference=None, latency_ms=None):
    return Track(
        title="T",
        summary="S",
        rules=(),
        protocol="lfw-all",
        takes=takes,
        rows=ROWS if takes == "features" else None,
        limits=Limits(upload_bytes=10**7, dimension=16, latency_ms=latency_ms),
        reference=reference,
        columns=(Column(key="score", title="Score"),),
    )


def sent(tmp_path, data):
    path = tmp_path / "sent"
    path.write_bytes(data)
    return path


def zipped(matrix, model=None):
    numbers, out = io.BytesIO(), io.BytesIO()
    np.save(numbers, matrix)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("model.onnx", (model or honest()).SerializeToString())
        made.writestr("features.npy", numbers.getvalue())
    return out.getvalue()


def matrix():
    return np.random.default_rng(0).standard_normal((ROWS, 16)).astype(np.float32)


class Timeless(Sandbox):
    """A real sandbox whose clock stands: what a busy machine takes is no matter here."""

    def latencies_ms(self, pixels, *, batch=1, rounds, warmup):
        return np.full(rounds, 3.0)


def test_an_honest_model_is_accepted_in_a_real_sandbox(tmp_path):
    path = sent(tmp_path, honest().SerializeToString())
    verdict = validate(path, track(), name="toy", crops=CROPS, open_sandbox=Timeless)
    assert [(c.rule, c.reason) for c in verdict.refusals] == []
    assert verdict.accepted
    assert verdict.track == "toy"
    assert verdict.facts["sandbox"]["wall_clock"] == "parent"
    assert verdict.facts["latency_here_median_ms"] == 3.0
    assert verdict.facts["calibration_factor"] == 1.0
    told = json.loads(json.dumps(verdict.to_dict()))
    assert Verdict.from_dict(told).to_dict() == told


def test_a_model_that_the_engine_does_not_open_is_refused_in_words_of_ours(tmp_path):
    """The engine normalizes over an odd number of channels only; ONNX does not mind."""
    net = Net()
    odd = net.add("LRN", net.body(), told={"size": 2})
    model = net.model(net.head(odd, 392))
    path = sent(tmp_path, model.SerializeToString())
    verdict = validate(path, track(), name="toy", crops=CROPS, open_sandbox=Timeless)
    (refusal,) = verdict.refusals
    assert refusal.rule == "engine.opens"
    assert refusal.reason.startswith("the engine cannot open model model.onnx")
    assert len({c.rule for c in verdict.checks}) == len(verdict.checks)


def test_drawn_crops_are_used_where_none_are_given(tmp_path):
    path = sent(tmp_path, honest().SerializeToString())
    assert validate(path, track(), name="toy", open_sandbox=Timeless).accepted


def test_a_matrix_and_its_model_are_judged_together(tmp_path):
    features = track(takes="features")
    path = sent(tmp_path, zipped(matrix()))
    verdict = validate(path, features, name="toy", crops=CROPS, open_sandbox=Timeless)
    assert verdict.accepted
    rules = {c.rule for c in verdict.checks}
    assert {"features.rows", "limits.dimension", "behavior.mirror"} <= rules
    assert not any("latency" in rule for rule in rules)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sent"]


def test_a_bad_matrix_ends_it_before_the_model_runs(tmp_path):
    spoiled = matrix()
    spoiled[3] = 0
    path = sent(tmp_path, zipped(spoiled))

    def never(model, *, name):
        raise AssertionError("opened")

    verdict = validate(path, track(takes="features"), name="t", crops=CROPS, open_sandbox=never)
    assert [c.rule for c in verdict.refusals] == ["features.zero_rows"]


def test_the_factor_is_measured_where_the_track_needs_it_and_none_is_given(tmp_path, monkeypatch):
    reference = Reference(machine="GPU", network="iresnet-18", latency_ms=2.0)
    asked = []

    def measured(of, crops, *, open_sandbox):
        asked.append((of, len(crops), open_sandbox))
        return 1.5

    monkeypatch.setattr(module, "calibration_factor", measured)
    path = sent(tmp_path, honest().SerializeToString())
    timed = track(reference=reference, latency_ms=2.0)
    verdict = validate(path, timed, name="t", crops=CROPS, open_sandbox=Timeless)
    assert asked == [(reference, 8, Timeless)]
    assert verdict.accepted
    assert verdict.facts["calibration_factor"] == 1.5
    assert next(c for c in verdict.checks if c.rule == "limits.latency_ms").measured == 2.0
    validate(path, timed, name="t", crops=CROPS, factor=1.2, open_sandbox=Timeless)
    assert len(asked) == 1


@pytest.mark.parametrize("kind", ["memory", "start"])
def test_a_reference_network_that_does_not_run_is_our_fault(tmp_path, monkeypatch, kind):
    def broken(*_, **__):
        raise SandboxError("it was stopped", kind=kind, log="log")

    monkeypatch.setattr(module, "calibration_factor", broken)
    path = sent(tmp_path, honest().SerializeToString())
    reference = Reference(machine="GPU", network="iresnet-18", latency_ms=2.0)
    with pytest.raises(
        SandboxError, match="network iresnet-18 could not be timed: it was"
    ) as caught:
        validate(path, track(reference=reference), name="t", crops=CROPS, open_sandbox=Timeless)
    assert caught.value.kind == "start"


def test_a_sandbox_that_does_not_start_is_our_fault(tmp_path):
    def broken(model, *, name):
        raise SandboxError("the sandbox did not come up", kind="start")

    path = sent(tmp_path, honest().SerializeToString())
    with pytest.raises(SandboxError, match="the sandbox did not come up"):
        validate(path, track(), name="t", crops=CROPS, factor=1.0, open_sandbox=broken)


def test_no_file_and_bad_crops_are_misuse(tmp_path):
    with pytest.raises(NotFound, match="no file at"):
        validate(tmp_path / "nowhere", track(), name="t", crops=CROPS)
    path = sent(tmp_path, b"x")
    with pytest.raises(BadArray, match=r"crops to probe with must be uint8 \(M, 112, 112, 3\)"):
        validate(path, track(), name="t", crops=CROPS.astype(np.float32))
    with pytest.raises(BadArray, match="probing needs at least 8 crops; got 7"):
        validate(path, track(), name="t", crops=CROPS[:7])


def test_a_track_that_is_not_there_is_named():
    """Rule 1 of `onnx_helper.py`."""
    with pytest.raises(NotFound, match="no entry 'mfr21-z'"):
        open_track("mfr21-z")


@pytest.mark.parametrize("name", names())
def test_every_track_can_be_validated_against(tmp_path, name):
    """Tracks of models say what is wrong with these bytes; those of matrices take the toy."""
    toy = open_track(name)
    path = sent(tmp_path, zipped(matrix()) if toy.takes == "features" else b"no model")
    verdict = validate(path, toy, name=name, crops=CROPS, factor=1.0)
    assert verdict.accepted == (toy.takes == "features")
    assert [c.rule for c in verdict.refusals] == ([] if verdict.accepted else ["file.protobuf"])

"""Every hostile submission is refused by its own rule with its own sentence, before it is run.

The models are in `hostile_models`; the archives are in test_archive, one each; here a few of both
go the whole way. What only a run can show is at the end, with small functions for models.
"""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import onnxruntime
import pytest

from hostile_models import HOSTILE
from tiny_models import NETWORKS, honest
from tronie.server.challenge.probe_crops import drawn_crops
from tronie.server.challenge.sandbox import SandboxError
from tronie.server.challenge.track import Column, Limits, Reference, Track
from tronie.server.challenge.validate import validate

TRACK = Track(
    title="T",
    summary="S",
    rules=(),
    protocol="lfw-all",
    takes="model",
    limits=Limits(
        upload_bytes=10_000_000, model_bytes=6_000_000, flops_lfr=40_000_000, dimension=64
    ),
    columns=(Column(key="score", title="Score"),),
)
CROPS = drawn_crops(16)


class Fake:
    """A sandbox that runs in this process; only honest models come here."""

    def __init__(self, model, *, name):
        self.enforced = {"network": "not enforced"}
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, pixels):
        return self.session.run(None, {"x": pixels})

    def latencies_ms(self, pixels, *, batch=1, rounds, warmup):
        return np.full(rounds, 2.0)


def never(model, *, name):
    raise AssertionError("a model that breaks a rule of its file was opened")


def sent(tmp_path, data):
    path = tmp_path / "sent.onnx"
    path.write_bytes(data if isinstance(data, bytes) else data.SerializeToString())
    return path


def judged(tmp_path, data, *, open_sandbox=never, track=TRACK, **options):
    options = {"crops": CROPS, "factor": 1.0} | options
    return validate(sent(tmp_path, data), track, name="toy", open_sandbox=open_sandbox, **options)


def test_there_are_more_than_forty_five():
    assert len(HOSTILE) >= 45


ALSO: dict[str, set[str]] = {
    "external weights": {"weights.damaged"},
    "external weights in a branch": {"graph.control_flow", "weights.damaged"},
    "weights in an attribute": {"weights.whole_numbers"},
    "no opset": {"graph.opset_operators"},
    "mirror by reverse sequence": {"graph.structure"},
    "damaged weights": {"limits.weight_bytes"},
    "too much memory": {"limits.unseen_flops"},
}
"""Rules that a case cannot help to break too."""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_is_refused_by_its_rule_and_no_other_unopened(tmp_path, name):
    """One fault, one sentence: what is listed is what to mend."""
    case = HOSTILE[name]
    verdict = judged(tmp_path, case.make())
    told = {check.rule: check.reason for check in verdict.refusals}
    assert case.words in told[case.rule], told
    assert told.keys() - {case.rule} <= ALSO.get(name, set())
    assert all(reason.isascii() and reason.isprintable() for reason in told.values())
    assert max(map(len, told.values())) < 700


def test_every_legacy_rule_of_a_file_has_a_case():
    """1 is the name of the track, 2 the path, 12 the time, 13 the batch of 32: see below."""
    covered = {case.legacy for case in HOSTILE.values()}
    assert covered >= {3, 4, 5, 6, 7, 8, 9, 10, 11, 14}


def test_every_loophole_of_a_file_has_a_case():
    """The others: the session is built first (`never`), the last file is taken (test_archive), the
    time is the sixth fastest (test_timing), a batch is only looked at for NaN (below)."""
    assert sum(bool(case.loophole) for case in HOSTILE.values()) == 4


@pytest.mark.parametrize("kind", NETWORKS)
def test_an_honest_network_is_accepted(tmp_path, kind):
    verdict = judged(tmp_path, NETWORKS[kind](), open_sandbox=Fake)
    assert [(c.rule, c.reason) for c in verdict.refusals] == []
    assert verdict.accepted
    assert verdict.facts["dimension"] == 16
    assert len({check.rule for check in verdict.checks}) == len(verdict.checks)


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21, 23])
def test_an_honest_network_is_accepted_in_each_opset(tmp_path, opset):
    assert judged(tmp_path, honest(opset=opset), open_sandbox=Fake).accepted


def zipped(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members:
            made.writestr(name, data)
    return out.getvalue()


def test_a_zip_of_an_honest_network_is_accepted(tmp_path):
    data = zipped(("model.onnx", honest().SerializeToString()))
    assert judged(tmp_path, data, open_sandbox=Fake).accepted


@pytest.mark.parametrize(
    ("name", "rule"),
    [("../model.onnx", "archive.path"), ("a.onnx", "archive.members"), ("m.zip", "archive.nested")],
)
def test_a_hostile_archive_is_one_refusal(tmp_path, name, rule):
    data = zipped(("model.onnx", honest().SerializeToString()), (name, b"x"))
    (check,) = judged(tmp_path, data).checks
    assert (check.rule, check.passed) == (rule, False)


def model_of(embed):
    """A sandbox around a function of pixels (N, 3, 112, 112)."""

    class Model(Fake):
        def __init__(self, model, *, name):
            super().__init__(model, name=name)

        def run(self, pixels):
            honest_rows = lambda p: self.session.run(None, {"x": p})[0]  # noqa: E731
            return [np.asarray(embed(honest_rows, pixels), np.float32)]

    return Model


def spoiled(value):
    def embed(rows, pixels):
        answer = rows(pixels)
        answer[-1, 3] = value
        return answer

    return embed


def jumps(rows, pixels):
    """A table: each picture's row is drawn by a digest of its pixels."""
    seeds = [np.frombuffer(p.tobytes(), np.uint32).sum() for p in pixels]
    return np.stack([np.random.default_rng(s).standard_normal(16) for s in seeds])


calls = np.random.default_rng(0)
BEHAVIOR = {
    "NaN in a batch": (spoiled(np.nan), "behavior.finite", "1 of 32 crops gave NaN or infinity"),
    "infinity": (spoiled(np.inf), "behavior.finite", "1 of 32 crops gave NaN or infinity"),
    "zeros": (lambda rows, p: 0 * rows(p), "behavior.zero", "embedding of zeros"),
    "another shape": (lambda rows, p: rows(p)[:, :9], "behavior.shape", r"gave .* \(32, 9\)"),
    "one row for all": (lambda rows, p: rows(p)[:1], "behavior.shape", r"gave .* \(1, 16\)"),
    "always the same": (
        lambda rows, p: np.ones((len(p), 16)),
        "behavior.constant",
        "embeddings of different crops are all the same",
    ),
    "few rows": (
        lambda rows, p: np.sign(rows(p))[:, :1] * np.arange(1, 17),
        "behavior.constant",
        "two different crops have the same embedding",
    ),
    "mean of the batch": (
        lambda rows, p: rows(p) - rows(p).mean(0) + 1,
        "behavior.alone",
        "alone in a batch, an embedding moves by",
    ),
    "first of the batch": (
        lambda rows, p: rows(p) + rows(p)[:1],
        "behavior.order",
        "in another order, an embedding moves by",
    ),
    "beside black pictures": (
        lambda rows, p: rows(p) + (p.reshape(len(p), -1).std(1) == 0).any(),
        "behavior.neighbors",
        "beside other pictures, an embedding moves by",
    ),
    "no answer to black": (
        lambda rows, p: np.where(p.reshape(len(p), -1).std(1)[:, None] > 0, rows(p), np.nan),
        "behavior.range",
        "black, white, gray and noise must have embeddings too; 3 of 4 crops gave NaN or inf",
    ),
    "both sides beside each other": (
        lambda rows, p: np.concatenate([rows(p)[:, :8], rows(p[..., ::-1].copy())[:, :8]], 1),
        "behavior.mirror",
        "the same numbers as the crop, in another order",
    ),
    "one pixel counts": (
        lambda rows, p: (
            rows(p) * np.where(np.round(p[:, 1, 56, 56] * 127.5 + 127.5) % 2, 1, -1)[:, None]
        ),
        "behavior.one_pixel",
        "one level in one of its pixels moves an embedding by",
    ),
    "chance": (
        lambda rows, p: rows(p) + calls.standard_normal((len(p), 16)),
        "behavior.repeat",
        "asked a second time, an embedding moves by",
    ),
    "flip test": (
        lambda rows, p: rows(p) + rows(np.ascontiguousarray(p[..., ::-1])),
        "behavior.mirror",
        "a mirrored crop has the same embedding as the crop",
    ),
    "table": (jumps, "behavior.noise", "An embedding that jumps is looked up, not computed"),
}


@pytest.mark.parametrize("name", BEHAVIOR)
def test_what_a_run_shows_is_refused(tmp_path, name):
    embed, rule, words = BEHAVIOR[name]
    verdict = judged(tmp_path, honest(), open_sandbox=model_of(embed))
    told = {check.rule: check.reason for check in verdict.refusals}
    assert rule in told, told
    assert re.search(words, told[rule]), told[rule]


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("refused", "engine.opens"),
        ("memory", "engine.memory"),
        ("time", "engine.time"),
        ("crashed", "engine.crashed"),
        ("output", "engine.output"),
    ],
)
@pytest.mark.parametrize("when", ["opening", "running"])
def test_a_model_that_breaks_its_bounds_is_refused(tmp_path, kind, rule, when):
    class Breaks(Fake):
        def __init__(self, model, *, name):
            if when == "opening":
                raise SandboxError("model x broke and was stopped", kind=kind)
            super().__init__(model, name=name)

        def run(self, pixels):
            raise SandboxError("model x broke and was stopped", kind=kind)

    verdict = judged(tmp_path, honest(), open_sandbox=Breaks)
    (refusal,) = verdict.refusals
    assert (refusal.rule, refusal.reason) == (rule, "model x broke and was stopped")


def slow(ms):
    class Slow(Fake):
        def latencies_ms(self, pixels, *, batch=1, rounds, warmup):
            return np.full(rounds, ms)

    return Slow


def test_a_slow_model_is_refused_with_the_factor_printed(tmp_path):
    limits = Limits(upload_bytes=10_000_000, latency_ms=10.0)
    reference = Reference(machine="Fast One", network="iresnet-18", latency_ms=2.0)
    track = Track(
        title="T",
        summary="S",
        rules=(),
        protocol="lfw-all",
        takes="model",
        limits=limits,
        reference=reference,
        columns=(Column(key="score", title="Score"),),
    )
    verdict = judged(tmp_path, honest(), open_sandbox=slow(44.0), track=track, factor=4.0)
    (refusal,) = verdict.refusals
    assert refusal.rule == "limits.latency_ms"
    assert refusal.measured == 11.0
    assert "44.00 ms a crop here, which stands for 11.000 ms on Fast One" in refusal.reason
    assert "the factor of this machine is 4.000, by iresnet-18; at most 10 ms" in refusal.reason
    assert judged(tmp_path, honest(), open_sandbox=slow(39.0), track=track, factor=4.0).accepted


@pytest.mark.parametrize("seed", range(4))
def test_no_mutation_of_a_file_is_anything_but_a_verdict(tmp_path, seed):
    """Bytes are changed where the graph lies, not its weights: half of them still parse."""

    def refuses(model, *, name):
        raise SandboxError("not opened", kind="refused")

    random = np.random.default_rng(seed)
    data = list(NETWORKS.values())[seed]().SerializeToString()
    for _ in range(30):
        spoiled_data = bytearray(data)
        for at in random.integers(0, 2500, 3):
            spoiled_data[at] = random.integers(0, 256)
        verdict = judged(tmp_path, bytes(spoiled_data), open_sandbox=refuses)
        assert verdict.refusals[0].reason.isprintable()

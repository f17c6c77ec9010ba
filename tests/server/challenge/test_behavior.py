"""Probes against models that are plain functions: what is honest passes, each trick is named."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tronie.server.challenge import behavior
from tronie.server.challenge.behavior import BATCH, Broken, embeddings, probe
from tronie.server.challenge.probe_crops import drawn_crops

D = 8
CROPS = drawn_crops(12)
WEIGHTS = np.random.default_rng(0).standard_normal((3 * 49, D)).astype(np.float32)


def coarse(pixels):
    """(N, 3, 112, 112) to means of 7 x 7 fields, times a matrix: a network of a kind."""
    n = len(pixels)
    return pixels.reshape(n, 3, 7, 16, 7, 16).mean((3, 5)).reshape(n, -1) @ WEIGHTS


def honest(pixels):
    return [coarse(pixels)]


def refused(run, crops=CROPS, dimension=D):
    return {c.rule: c for c in probe(run, crops, dimension=dimension) if not c.passed}


def test_an_honest_model_keeps_all():
    checks = probe(honest, CROPS, dimension=D)
    assert [c.rule for c in checks if not c.passed] == []
    assert [c.rule.removeprefix("behavior.") for c in checks] == [
        *("shape", "finite", "constant", "range", "alone", "order", "neighbors", "repeat"),
        *("mirror", "noise", "one_pixel"),
    ]


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("shift", [0, 50])
def test_scale_and_a_common_part_do_not_matter(scale, shift):
    run = lambda p: [((coarse(p) + shift) * scale).astype(np.float32)]  # noqa: E731
    assert refused(run) == {}


def test_the_model_is_given_what_tracks_promise():
    """(value - 127.5) / 127.5, RGB, channels first: a red crop is 1, -1, -1."""
    seen = []
    red = np.zeros((8, 112, 112, 3), np.uint8)
    red[..., 0] = 255
    embeddings(lambda p: seen.append(p) or honest(p), red, dimension=D)
    assert seen[0].shape == (8, 3, 112, 112)
    assert [set(np.unique(seen[0][:, c])) for c in range(3)] == [{1}, {-1}, {-1}]


def test_rounding_is_forgiven_and_a_hundredth_of_the_spread_is_not():
    def by_batch(size):
        return lambda p: [(coarse(p) + size * (len(p) == 1)).astype(np.float32)]

    scale = behavior._scale_of(coarse(behavior.network_input(CROPS, behavior.INPUT)))
    step = scale.same / np.sqrt(D)
    assert refused(by_batch(0.9 * step)) == {}
    assert refused(by_batch(1.3 * step)).keys() == {"behavior.alone"}


def test_where_in_the_batch_a_crop_lies_may_not_matter():
    run = lambda p: [coarse(p) + np.arange(len(p), dtype=np.float32)[:, None]]  # noqa: E731
    assert "behavior.order" in refused(run)


def test_only_neighbors_that_are_seen_give_it_away():
    def run(pixels):
        flat = pixels.reshape(len(pixels), -1).std(1) == 0
        return [coarse(pixels) + np.float32(flat.any() and not flat.all())]

    assert refused(run).keys() == {"behavior.neighbors"}


def test_a_flip_test_is_seen_in_a_sum_and_in_two_halves():
    mirror = lambda p: np.ascontiguousarray(p[..., ::-1])  # noqa: E731
    summed = lambda p: [coarse(p) + coarse(mirror(p))]  # noqa: E731
    joined = lambda p: [np.concatenate([coarse(p), coarse(mirror(p))], axis=1)]  # noqa: E731
    assert "has the same embedding as the crop" in refused(summed)["behavior.mirror"].reason
    found = refused(joined, dimension=2 * D)
    assert "the same numbers as the crop, in another order" in found["behavior.mirror"].reason


def test_a_flip_test_of_half_weight_is_not_seen():
    """Its embeddings are no mirror images; only the graph shows it. Said in the docstring."""
    run = lambda p: [coarse(p) + 0.5 * coarse(p[..., ::-1])]  # noqa: E731
    assert "behavior.mirror" not in refused(run)


def test_a_table_jumps_at_noise_of_one_level():
    def run(pixels):
        seeds = (np.abs(pixels).astype(np.float64).sum((1, 2, 3)) * 1e6).astype(np.int64)
        return [np.stack([np.random.default_rng(s).normal(size=D) for s in seeds]).astype("f4")]

    assert refused(run).keys() >= {"behavior.noise", "behavior.one_pixel"}


def test_memory_between_calls_is_seen():
    calls = []

    def run(pixels):
        calls.append(0)
        return [coarse(pixels) + np.float32(len(calls))]

    assert "behavior.repeat" in refused(run)


@pytest.mark.parametrize(
    ("run", "rule", "words"),
    [
        (lambda p: [], "behavior.shape", "they gave nothing"),
        (lambda p: honest(p) * 2, "behavior.shape", r"float32 of shape \(\)"),
        (lambda p: [coarse(p).astype("f8")], "behavior.shape", "they gave float64"),
        (lambda p: [coarse(p)[:-1]], "behavior.shape", r"they gave float32 of shape \(31, 8\)"),
        (lambda p: [coarse(p) * np.float32(np.nan)], "behavior.finite", "32 of 32 crops"),
        (lambda p: [0 * coarse(p)], "behavior.zero", "32 of 32 crops gave an embedding of zeros"),
        (lambda p: [0 * coarse(p) + 1], "behavior.constant", "are all the same"),
        (
            lambda p: [np.sign(coarse(p)[:, :1]) * np.ones(D, np.float32)],
            "behavior.constant",
            "two different crops have the same embedding",
        ),
    ],
)
def test_what_is_no_embedding_ends_the_probes(run, rule, words):
    checks = probe(run, CROPS, dimension=D)
    assert (checks[-1].rule, checks[-1].passed) == (rule, False)
    assert re.search(words, checks[-1].reason), checks[-1].reason


def test_what_fails_later_keeps_the_checks_before_it():
    def run(pixels):
        return [coarse(pixels) if len(pixels) != 1 else coarse(pixels)[:, :3]]

    checks = probe(run, CROPS, dimension=D)
    assert [c.rule for c in checks] == [
        "behavior.finite",
        "behavior.constant",
        "behavior.range",
        "behavior.shape",
    ]
    assert not checks[-1].passed


def test_black_white_and_gray_need_embeddings():
    def run(pixels):
        flat = pixels.reshape(len(pixels), -1).std(1)[:, None] == 0
        return [np.where(flat, np.float32(np.inf), coarse(pixels))]

    found = refused(run)
    assert found.keys() == {"behavior.range"}
    assert "3 of 4 crops gave NaN or infinity" in found["behavior.range"].reason


def test_the_same_crop_twice_is_not_taken_for_a_constant_model():
    assert refused(honest, crops=np.concatenate([CROPS[:10], CROPS[:2]])) == {}


def test_what_the_model_raises_passes_through():
    def run(pixels):
        raise MemoryError("stop")

    with pytest.raises(MemoryError, match="stop"):
        probe(run, CROPS, dimension=D)


def test_embeddings_refuse_in_words():
    with pytest.raises(Broken, match="12 crops must give float32 of shape"):
        embeddings(lambda p: [], CROPS, dimension=D)
    assert embeddings(honest, CROPS, dimension=D).shape == (12, D)
    assert BATCH == 32

"""measure, on files and on a backbone; without torch a file is still measured."""

from __future__ import annotations

import importlib.util
import random
import sys

import onnx
import pytest

from toys import toy_detector, toy_embedder
from tronie.runtime import latency

lab = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not here")


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A few calls are enough to see that times are told."""
    monkeypatch.setattr(latency, "BUDGET_S", 0.01)


@pytest.fixture
def toy(tmp_path):
    return toy_embedder(tmp_path / "toy.onnx")


def test_a_file_in_json_has_the_promised_keys(toy, cli_here):
    (told,) = cli_here("measure", toy, "--threads", 1, "--json").json_lines()
    assert told["parameters"] == 147 * 8 + 8
    assert told["flops_lfr"] == 2 * 147 * 8
    assert told["macs"] == 147 * 8
    assert told["size_bytes"] == toy.stat().st_size
    assert [time["batch"] for time in told["latency"]] == [1, 32]
    assert all(0 < time["median_ms"] <= time["p99_ms"] for time in told["latency"])
    assert told["operators"] == [
        {"name": "Gemm_2", "op": "Gemm", "flops_lfr": 2 * 147 * 8, "macs": 147 * 8}
    ]


def test_the_batches_are_those_asked_for(toy, cli_here):
    ran = cli_here("measure", toy, "--batch", 2, "--batch", 5, "--threads", 1, "--json")
    assert [time["batch"] for time in ran.json_lines()[0]["latency"]] == [2, 5]


def test_a_file_with_a_fixed_batch_is_timed_on_that(tmp_path, cli_here):
    one = toy_embedder(tmp_path / "one.onnx", batch=1)
    ran = cli_here("measure", one, "--threads", 1, "--json")
    assert [time["batch"] for time in ran.json_lines()[0]["latency"]] == [1]
    ran = cli_here("measure", one, "--batch", 32)
    assert ran.code == 2
    assert "takes batches of 1 only, and cannot be timed on 32" in ran.err


def test_a_free_size_is_the_one_asked_for(tmp_path, cli_here):
    free = toy_detector(tmp_path / "free.onnx")
    told = cli_here("measure", free, "--size", 64, "--threads", 1, "--json").json_lines()[0]
    assert told["picture"] == {"height": 64, "width": 64}


def test_counting_alone_runs_nothing(toy, cli_here, monkeypatch):
    def fails(*_, **__):
        raise AssertionError("opened")

    monkeypatch.setattr("tronie.cli.measure.session_of", fails)
    (told,) = cli_here("measure", toy, "--count-only", "--json").json_lines()
    assert told["latency"] == []


def test_people_read_tables(toy, cli_here):
    ran = cli_here("measure", toy, "--threads", 1)
    assert ran.code == 0
    for word in ("parameters", "1184", "flops_lfr", "2352", "Gemm", "median ms"):
        assert word in ran.out
    assert "Gemm_2" in cli_here("measure", toy, "--operators", "--count-only").out


def test_without_torch_a_backbone_is_refused_in_a_sentence(cli_here, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tronie.lab.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    ran = cli_here("measure", "iresnet-18")
    assert ran.code == 2
    assert (
        "tronie measure iresnet-18 needs torch, which is not installed; "
        "pip install 'tronie[train]'" in ran.err
    )


def test_an_unknown_name_is_answered_with_the_nearest(cli_here):
    ran = cli_here("measure", "iresnet-101")
    assert ran.code == 2
    assert "no entry 'iresnet-101' in the models and networks." in ran.err
    assert "Did you mean 'iresnet-100'?" in ran.err


def test_a_missing_file_is_refused(tmp_path, cli_here):
    ran = cli_here("measure", tmp_path / "none.onnx")
    assert ran.code == 2
    assert "no model file at" in ran.err


def hostile(path, toy, change):
    model = onnx.load(toy)
    change(model)
    onnx.save(model, path)
    return path


def set_axis(n, value):
    def change(model):
        model.graph.input[0].type.tensor_type.shape.dim[n].dim_value = value

    return change


@pytest.mark.parametrize("axis", [2, 3])
def test_a_side_below_zero_in_a_file_is_a_free_one(axis, tmp_path, cli_here):
    free = hostile(tmp_path / "free.onnx", toy_detector(tmp_path / "t.onnx"), set_axis(axis, -8))
    ran = cli_here("measure", free, "--size", 64, "--threads", 1, "--batch", 1, "--json")
    assert ran.code == 0, ran.err
    assert ran.json_lines()[0]["picture"] == {"height": 64, "width": 64}


@pytest.mark.parametrize("channels", [10**6, 2**31, 2**62])
def test_a_picture_without_measure_is_refused_before_it_is_made(channels, tmp_path, cli_here):
    free = toy_detector(tmp_path / "toy.onnx")
    large = hostile(tmp_path / "large.onnx", free, set_axis(1, channels))
    ran = cli_here("measure", large, "--threads", 1, "--batch", 2)
    assert ran.code == 2
    numbers = 2 * channels * 112 * 112
    assert f"large on 2 pictures takes {numbers} numbers at once; at most 268435456" in ran.err


def test_more_pictures_than_there_is_room_for_are_refused(tmp_path, cli_here):
    ran = cli_here("measure", toy_detector(tmp_path / "a.onnx"), "--size", 8192, "--batch", 4096)
    assert ran.code == 2
    assert "a on 4096 pictures takes 824633720832 numbers at once; at most 268435456" in ran.err


def test_weights_that_are_declared_as_inputs_are_no_pictures(toy, tmp_path, cli_here):
    """The form of ONNX before its third version, here with a weight before the picture."""

    def declare(model):
        stored = model.graph.initializer[0]
        told = onnx.helper.make_tensor_value_info(stored.name, stored.data_type, stored.dims)
        model.graph.input.insert(0, told)

    ran = cli_here(
        "measure", hostile(tmp_path / "old.onnx", toy, declare), "--count-only", "--json"
    )
    assert ran.json_lines()[0]["picture"] == {"height": 112, "width": 112}


def test_no_damaged_byte_gives_anything_but_a_sentence(toy, tmp_path, cli_here):
    """Bytes of the file altered, a few at a time, or its end cut off."""
    whole, drawn = toy.read_bytes(), random.Random(0)
    structure = [n for n in range(len(whole)) if n < 300 or n > len(whole) - 300]
    for n in range(60):
        damaged = bytearray(whole)
        for _ in range(drawn.randint(1, 4)):
            damaged[drawn.choice(structure)] = drawn.randrange(256)
        if n % 5 == 0:
            del damaged[drawn.randrange(len(damaged)) :]
        (tmp_path / "x.onnx").write_bytes(damaged)
        ran = cli_here("measure", tmp_path / "x.onnx", "--threads", 1, "--batch", 1, "--json")
        assert ran.code in (0, 2), ran.err
        assert len(ran.err.splitlines()) <= 1


@lab
@pytest.mark.lab
def test_a_large_backbone_is_counted_without_its_weights(cli_here):
    (told,) = cli_here("measure", "iresnet-100", "--count-only", "--json").json_lines()
    assert told["parameters"] == 65_156_160
    assert round(told["flops_lfr"] / 1e9, 4) == 24.1699
    assert round(told["macs"] / 1e9, 3) == 12.090
    assert told["size_bytes"] / 2**20 == pytest.approx(248.55, abs=0.08)


@lab
@pytest.mark.lab
def test_a_backbone_is_exported_and_timed(cli_here):
    words = ("--batch", 1, "--threads", 1, "--json")
    (told,) = cli_here("measure", "mobilefacenet_y1", *words).json_lines()
    assert told["name"] == "mobilefacenet-y1"
    assert told["flops_lfr"] == sum(each["flops_lfr"] for each in told["operators"])
    assert told["size_bytes"] == pytest.approx(3_991_151, rel=1e-3)
    assert told["latency"][0]["median_ms"] > 0


@pytest.mark.lab
def test_a_detector_by_name_costs_what_its_authors_print(cli_here):
    """The published columns: 0.672 M parameters and 2.5306 GFLOPs for a picture of 640 x 480."""
    pytest.importorskip("torch")
    ran = cli_here("measure", "scrfd-2.5g", "--count-only", "--json")
    (told,) = ran.json_lines()
    assert ran.code == 0
    assert round(told["parameters"] / 1e6, 3) == 0.672
    assert round(told["flops_published"] / 1e9, 4) == 2.5306


@pytest.mark.lab
def test_a_layout_that_is_spelled_out_costs_what_the_network_with_a_name_does(cli_here):
    pytest.importorskip("torch")
    spelled = "scrfd-basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16"
    ran = cli_here("measure", spelled, "--count-only", "--json")
    (told,) = ran.json_lines()
    assert (told["name"], told["parameters"]) == (spelled, 671_761)
    assert told["flops_published"] == 2_530_565_400
    refused = cli_here("measure", "scrfd-basic-3.5.3-24.48.48.80-n24-h64x2-gn16", "--count-only")
    assert refused.code == 2
    assert "cannot be built: there are 4 stages, and it has blocks for 3" in refused.err

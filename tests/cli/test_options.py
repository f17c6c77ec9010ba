"""The shared options, on a toy verb that takes them all."""

from __future__ import annotations

import sys

import pytest

from tronie.cli import main as cli_main
from tronie.cli import options
from tronie.cli.main import Verb
from tronie.runtime import calibration, pipeline

TOY_VERB = """
import json as json_module
from tronie.cli import options as o

def everything(
    photos: o.Photos,
    json: o.Json = False,
    model: o.Model = o.DEFAULT_MODEL,
    detector: o.Detector = o.DEFAULT_DETECTOR,
    engine: o.Engine = "onnxruntime",
    device: o.Device = "cpu",
    threads: o.Threads = None,
    precision: o.Precision = "float32",
    batch_size: o.BatchSize = 32,
    flip: o.Flip = False,
    policy: o.Policy = "all",
    min_size: o.MinSize = 0.0,
    max_yaw: o.MaxYaw = 180.0,
    det_threshold: o.DetectorThreshold = 0.5,
) -> None:
    print(json_module.dumps(locals()))
"""


@pytest.fixture
def everything(tmp_path, monkeypatch, cli_here):
    (tmp_path / "toy_options.py").write_text(TOY_VERB)
    monkeypatch.syspath_prepend(tmp_path)
    verb = Verb("toy_options", "everything", "all options")
    monkeypatch.setattr(cli_main, "VERBS", {"everything": verb})
    yield lambda *words: cli_here("everything", *words)
    sys.modules.pop("toy_options", None)


def test_the_defaults_are_the_default_pair_on_the_default_engine(everything):
    found = everything("a.jpg", "-").json_lines()[0]
    assert found["photos"] == ["a.jpg", "-"]
    assert (found["model"], found["detector"]) == ("sface-2021dec", "yunet-2023mar")
    assert (found["model"], found["detector"]) == (options.DEFAULT_MODEL, options.DEFAULT_DETECTOR)
    assert (found["engine"], found["device"], found["json"]) == ("onnxruntime", "cpu", False)


def test_the_default_pair_is_that_of_the_library():
    """Written twice, so that a help page need not import an engine."""
    assert options.DEFAULT_MODEL == pipeline.DEFAULT_MODEL
    assert options.DEFAULT_DETECTOR == pipeline.DEFAULT_DETECTOR
    assert options.DEFAULT_FMR == calibration.DEFAULT_FMR


def test_every_option_is_heard(everything):
    words = (
        "--json --model m.onnx --detector d.onnx --engine openvino --device cuda:1 --threads 2 "
        "--precision bfloat16 --batch-size 64 --flip --policy center --min-size 20 "
        "--max-yaw 45 --det-threshold 0.7 a.jpg"
    )
    assert everything(*words.split()).json_lines()[0] == {
        "photos": ["a.jpg"],
        "json": True,
        "model": "m.onnx",
        "detector": "d.onnx",
        "engine": "openvino",
        "device": "cuda:1",
        "threads": 2,
        "precision": "bfloat16",
        "batch_size": 64,
        "flip": True,
        "policy": "center",
        "min_size": 20.0,
        "max_yaw": 45.0,
        "det_threshold": 0.7,
    }


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--engine", "tensorrt"),
        ("--precision", "int4"),
        ("--policy", "smallest"),
        ("--threads", "0"),
        ("--batch-size", "0"),
        ("--det-threshold", "1.5"),
        ("--max-yaw", "181"),
        ("--max-yaw", "nan"),
        ("--min-size", "inf"),
        ("--det-threshold", "nan"),
        ("--threads", "100000"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_the_options_name(everything, option, value):
    ran = everything(option, value, "a.jpg")
    assert (ran.code, ran.out) == (2, "")
    assert f"'{option}'" in ran.err


def test_no_photograph_is_refused(everything):
    assert "Missing argument 'PHOTO'" in everything().err

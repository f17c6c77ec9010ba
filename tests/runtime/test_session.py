"""Engines, devices, threads and precisions are kept or refused; files are not trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from toys import toy_constants, toy_embedder
from tronie.errors import BadArray, BadModel, EngineUnavailable, NotFound, TronieError
from tronie.runtime import zoo
from tronie.runtime.session import EngineOptions, check_options, open_session, usable_cores
from working_tree import environment


def crops(n: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (n, 3, 112, 112)).astype(np.float32)


def model_with(inputs, outputs, nodes, initializers=()):
    graph = helper.make_graph(nodes, "made", inputs, outputs, initializer=list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def picture(name="image", shape=("N", 3, 8, 8), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def test_a_session_says_what_it_takes_and_gives(embedder_file):
    session = open_session(embedder_file, EngineOptions(threads=2))
    assert session.name == "toy-embedder"
    assert session.threads == 2
    assert session.input.shape == (None, 3, 112, 112)
    assert session.batch is None
    assert [(o.name, o.dtype, o.shape) for o in session.outputs] == [
        ("embedding", "float32", (None, 8))
    ]


def test_the_result_is_that_of_the_engine_alone(embedder_file):
    pixels = crops(3)
    engine = onnxruntime.InferenceSession(embedder_file, providers=["CPUExecutionProvider"])
    (expected,) = engine.run(None, {"input.1": pixels})
    np.testing.assert_allclose(open_session(embedder_file).run(pixels)[0], expected, atol=1e-5)


def test_a_fixed_batch_is_told(tmp_path):
    session = open_session(toy_embedder(tmp_path / "one.onnx", batch=1))
    assert session.batch == 1


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_two_threads_times_100_images_equal_the_serial_result_to_the_bit(engine, embedder_file):
    if engine == "openvino":
        pytest.importorskip("openvino")
    session = open_session(embedder_file, EngineOptions(engine=engine, threads=2))
    images = [crops(1, seed=n) for n in range(100)]
    serial = [session.run_beside(image)[0] for image in images]
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(lambda: [session.run_beside(i)[0] for i in images]) for _ in "ab"]
        for results in (future.result() for future in both):
            assert all(np.array_equal(a, b) for a, b in zip(serial, results, strict=True))


@pytest.mark.slow
@pytest.mark.onnx
@pytest.mark.parametrize(("which", "side", "times"), [(0, 160, 100), (1, 112, 100)])
def test_the_default_pair_is_thread_safe_to_the_bit(which, side, times, default_pair):
    file = zoo.find(default_pair[which])
    session = open_session(file.path, EngineOptions(threads=2))
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (10, 1, 3, side, side)).astype(np.float32)
    serial = [session.run_beside(image) for image in images]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda n: session.run_beside(images[n % 10]), range(2 * times)))
    for n, result in enumerate(results):
        for a, b in zip(serial[n % 10], result, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_openvino_in_float32_agrees_with_onnxruntime(n, embedder_file):
    pytest.importorskip("openvino")
    session = open_session(embedder_file, EngineOptions(engine="openvino", threads=2))
    pixels = crops(n)
    expected = open_session(embedder_file).run(pixels)[0]
    for run in (session.run, session.run_beside):
        assert run(pixels)[0].shape == (n, 8)
        np.testing.assert_allclose(run(pixels)[0], expected, atol=1e-4)


def test_openvino_answers_are_not_overwritten_by_the_next_call(embedder_file):
    pytest.importorskip("openvino")
    session = open_session(embedder_file, EngineOptions(engine="openvino", threads=1))
    first = session.run(crops(1, seed=1))[0]
    kept = first.copy()
    session.run(crops(1, seed=2))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("quota", "cores", "expected"),
    [
        ("max 100000\n", 8, 8),
        ("100000 100000\n", 8, 1),
        ("150000 100000\n", 8, 2),  # one and a half cores: two threads
        ("10000 100000\n", 8, 1),
        ("1600000 100000\n", 8, 8),  # more than the mask allows
        ("", 8, 8),
        ("many few\n", 8, 8),
        ("100000 0\n", 8, 8),
    ],
)
def test_usable_cores_are_those_of_the_mask_and_the_quota(
    quota, cores, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cores(file) == expected


def test_without_a_quota_the_mask_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert usable_cores(tmp_path / "absent") == 2


def test_threads_default_to_the_usable_cores(embedder_file):
    assert open_session(embedder_file).threads == usable_cores()


# --- what this machine does not have ------------------------------------------------------


def test_a_missing_gpu_is_never_silently_the_cpu(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    words = r"device cuda was asked for.*offers only CPUExecutionProvider; install onnxruntime-gpu"
    with pytest.raises(EngineUnavailable, match=words):
        check_options(EngineOptions(device="cuda"))


def test_an_engine_that_falls_back_is_refused(embedder_file, monkeypatch):
    class FellBack:
        def __init__(self, *_, **__):
            pass

        def get_providers(self):
            return ["CPUExecutionProvider"]

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FellBack)
    with pytest.raises(EngineUnavailable, match="fell back to CPUExecutionProvider"):
        open_session(embedder_file, EngineOptions(device="cuda"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (EngineOptions(engine="tensorrt"), "no engine 'tensorrt'; there is onnxruntime, openvino"),
        (EngineOptions(precision="float16"), "no precision 'float16'; there is float32, stored"),
        (EngineOptions(threads=0), "threads must be at least 1; got 0"),
        (EngineOptions(device="tpu"), "no device 'tpu' for onnxruntime; there is cpu and cuda"),
        (EngineOptions(precision="bfloat16"), "bfloat16 needs the engine openvino"),
    ],
)
def test_an_option_that_is_not_there_is_refused(options, words):
    with pytest.raises(EngineUnavailable, match=words):
        check_options(options)


def test_openvino_that_is_not_installed_is_refused_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineUnavailable, match=r"run: pip install 'tronie\[openvino\]'"):
        check_options(EngineOptions(engine="openvino"))


class OldCpu:
    available_devices = ("CPU",)

    def get_property(self, device, name):
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return ["FP32", "INT8"]


def test_bfloat16_on_a_cpu_without_it_is_refused(monkeypatch):
    openvino = pytest.importorskip("openvino")
    monkeypatch.setattr(openvino, "Core", OldCpu)
    with pytest.raises(EngineUnavailable, match="this cpu offers only FP32, INT8; ask for float32"):
        check_options(EngineOptions(engine="openvino", precision="bfloat16"))


def test_an_openvino_device_that_is_not_there_is_refused(monkeypatch):
    openvino = pytest.importorskip("openvino")
    monkeypatch.setattr(openvino, "Core", OldCpu)
    with pytest.raises(EngineUnavailable, match=r"device gpu was asked for.*offers only cpu"):
        check_options(EngineOptions(engine="openvino", device="gpu"))


# --- what a model does not take -----------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((1, 3, 96, 112), np.float32), r"takes float32 of shape \('any', 3, 112, 112\)"),
        (np.zeros((1, 1, 112, 112), np.float32), r"got float32 of shape \(1, 1, 112, 112\)"),
        (np.zeros((3, 112, 112), np.float32), r"got float32 of shape \(3, 112, 112\)"),
        (np.zeros((1, 3, 112, 112), np.float64), "got float64 of shape"),
        (np.zeros((1, 3, 112, 112), np.uint8), "got uint8 of shape"),
        (np.zeros((0, 3, 112, 112), np.float32), r"got float32 of shape \(0, 3, 112, 112\)"),
    ],
)
def test_pixels_of_another_shape_or_dtype_are_refused(pixels, words, embedder_file):
    with pytest.raises(BadArray, match=words):
        open_session(embedder_file).run(pixels)


def test_more_than_the_fixed_batch_is_refused(tmp_path):
    session = open_session(toy_embedder(tmp_path / "one.onnx", batch=1))
    with pytest.raises(BadArray, match=r"shape \(1, 3, 112, 112\); got .*\(2, 3, 112, 112\)"):
        session.run(crops(2))


def test_a_model_that_fails_while_it_runs_is_named(tmp_path):
    nodes = [helper.make_node("Reshape", ["image", "shape"], ["y"])]
    shape = numpy_helper.from_array(np.array([7, 7], np.int64), "shape")
    made = model_with([picture()], [picture("y", (7, 7))], nodes, [shape])
    onnx.save(made, tmp_path / "breaks.onnx")
    with pytest.raises(BadModel, match=r"model breaks failed on input \(1, 3, 8, 8\): "):
        open_session(tmp_path / "breaks.onnx").run(np.zeros((1, 3, 8, 8), np.float32))


# --- files that are no model --------------------------------------------------------------


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(NotFound, match=r"no model file at .*absent.onnx; give the path"):
        open_session(tmp_path / "absent.onnx")


@pytest.mark.parametrize("content", [b"", b"just some text\n", b"\x00" * 64, b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_only_has_the_name_is_refused(content, tmp_path):
    file = tmp_path / "text.onnx"
    file.write_bytes(content)
    with pytest.raises(BadModel, match=r"text.onnx is no ONNX"):
        open_session(file)


def test_a_truncated_model_is_refused(embedder_file, tmp_path):
    file = tmp_path / "half.onnx"
    file.write_bytes(embedder_file.read_bytes()[:1000])
    with pytest.raises(BadModel, match=r"half.onnx is no ONNX file"):
        open_session(file)


def test_no_damaged_byte_gives_anything_but_an_error_of_ours(tmp_path, capfd):
    """Where the damage does no harm, the model opens. Nothing is printed either way."""
    whole = toy_constants(tmp_path / "small.onnx", {"boxes": np.ones((1, 2, 4))}).read_bytes()
    rng = np.random.default_rng(7)
    outcomes = set()
    for _ in range(150):
        data = bytearray(whole)
        data[int(rng.integers(0, len(data)))] ^= int(rng.integers(1, 256))
        file = tmp_path / "damaged.onnx"
        file.write_bytes(bytes(data))
        try:
            open_session(file, EngineOptions(threads=1))
            outcomes.add("opened")
        except TronieError as fault:
            outcomes.add(type(fault).__name__)
    assert outcomes == {"opened", "BadModel"}
    assert capfd.readouterr() == ("", "")


def test_a_model_with_two_inputs_is_refused(tmp_path):
    nodes = [helper.make_node("Add", ["image", "other"], ["y"])]
    made = model_with([picture(), picture("other")], [picture("y")], nodes)
    onnx.save(made, tmp_path / "two.onnx")
    with pytest.raises(BadModel, match=r"must take one float32 picture tensor.*its inputs: image"):
        open_session(tmp_path / "two.onnx")


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        (("N", 8), TensorProto.FLOAT, "its inputs: image float32"),
        (("N", 3, 8, 8), TensorProto.UINT8, "its inputs: image uint8"),
    ],
)
def test_a_model_that_takes_no_picture_is_refused(shape, kind, words, tmp_path):
    nodes = [helper.make_node("Identity", ["image"], ["y"])]
    made = model_with([picture(shape=shape, kind=kind)], [picture("y", shape, kind)], nodes)
    onnx.save(made, tmp_path / "rows.onnx")
    with pytest.raises(BadModel, match=words):
        open_session(tmp_path / "rows.onnx")


def test_a_model_that_gives_no_floating_point_numbers_is_refused(tmp_path):
    nodes = [helper.make_node("Shape", ["image"], ["y"])]
    made = model_with([picture()], [picture("y", (4,), TensorProto.INT64)], nodes)
    onnx.save(made, tmp_path / "counts.onnx")
    with pytest.raises(BadModel, match=r"must give arrays of floating-point numbers.*: y"):
        open_session(tmp_path / "counts.onnx")


def test_an_operator_nobody_knows_is_refused_by_the_engine(tmp_path):
    nodes = [helper.make_node("Frobnicate", ["image"], ["y"])]
    onnx.save(model_with([picture()], [picture("y")], nodes), tmp_path / "odd.onnx")
    with pytest.raises(BadModel, match=r"onnxruntime cannot open odd: .*Frobnicate"):
        open_session(tmp_path / "odd.onnx")


FIRST_RUNS = """
import os, sys, threading
import numpy as np
from tronie.runtime.session import EngineOptions, open_session

session = open_session(sys.argv[1], EngineOptions(engine="openvino", threads=4))
pixels = np.zeros((2, 3, 112, 112), np.float32)
together = threading.Barrier(4)

def run():
    together.wait()
    session.run_beside(pixels)

threads = [threading.Thread(target=run) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.slow
def test_the_first_runs_of_openvino_may_come_from_four_threads_at_once(tmp_path):
    pytest.importorskip("openvino")
    model = toy_embedder(tmp_path / "embeds.onnx")
    for _ in range(3):  # each in a new process: only first runs ever waited for each other
        subprocess.run(
            [sys.executable, "-c", FIRST_RUNS, str(model)],
            env=environment(),
            check=True,
            timeout=60,
        )


def test_a_file_is_never_read_in_the_engines_own_format(tmp_path, embedder_file):
    """Its mark may stand within an ONNX file, and another graph behind it."""
    model = onnx.load(embedder_file)
    model.producer_name = "ORTM"
    marked = tmp_path / "marked.onnx"
    marked.write_bytes(model.SerializeToString())
    assert marked.read_bytes()[4:8] == b"ORTM"
    pixels = crops(2)
    np.testing.assert_array_equal(
        open_session(marked).run(pixels)[0], open_session(embedder_file).run(pixels)[0]
    )

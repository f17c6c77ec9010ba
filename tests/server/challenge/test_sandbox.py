"""Hostile models in a real sandbox: each is stopped within its bound, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tronie.errors import BadArray, BadInput
from tronie.server.challenge import sandbox
from tronie.server.challenge.sandbox import Bounds, Sandbox, SandboxError

pytestmark = pytest.mark.onnx

F, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
PIXELS = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
MIB = 2**20
QUICK = Bounds(call_s=10, memory_bytes=1024 * MIB)


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Neither a process nor an open pipe of any sandbox outlives its test."""
    files = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert children() == []
    assert len(list(Path("/proc/self/fd").iterdir())) == files


def children() -> list[str]:
    """Processes that this one started, zombies too."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(words[1]) == os.getpid():
            found.append(stat.parent.name)
    return found


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs, outputs, **attributes)


def value(name, kind=F, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def integers(name, numbers):
    return helper.make_tensor(name, I64, [len(numbers)], numbers)


def file_of(*nodes, outputs=None, weights=()) -> bytes:
    """A graph from x (n, 3, h, w) to y, as bytes."""
    graph = helper.make_graph(
        list(nodes), "g", [value("x", F, ["n", 3, "h", "w"])], outputs or [value("y")], weights
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


DOUBLE = file_of(node("Add", ["x", "x"], ["y"]))


def stopped(data: bytes, bounds: Bounds = QUICK) -> SandboxError:
    """Open and run a model that has to be stopped; the error."""
    with (
        pytest.raises(SandboxError, match=r"model hostile( |;)") as caught,
        Sandbox(data, name="hostile", bounds=bounds) as box,
    ):
        box.run(PIXELS)
    return caught.value


@pytest.mark.parametrize("threads", [1, 2])
def test_an_honest_model_gives_what_it_computes(threads):
    with Sandbox(DOUBLE, name="double", bounds=Bounds(threads=threads)) as box:
        for pixels in (PIXELS, PIXELS[:1], np.asfortranarray(PIXELS), PIXELS[:, :, ::2]):
            (found,) = box.run(pixels)
            np.testing.assert_array_equal(found, 2 * pixels)
        assert box.inputs == (("x", "float32", (None, 3, None, None)),)
        assert [(name, dtype) for name, dtype, _ in box.outputs] == [("y", "float32")]


def test_times_are_of_the_engine_alone():
    with Sandbox(DOUBLE, name="double") as box:
        times = box.latencies_ms(PIXELS, batch=3, rounds=20, warmup=2)
    assert (times.shape, times.dtype) == ((20,), np.float64)
    assert (times > 0).all()


def test_numbers_that_are_none_pass_through():
    nothing = helper.make_tensor("nothing", F, [], [float("nan")])
    data = file_of(node("Mul", ["x", "nothing"], ["y"]), weights=[nothing])
    with Sandbox(data, name="nan") as box:
        assert np.isnan(box.run(PIXELS)[0]).all()


@pytest.mark.slow
def test_several_outputs_of_several_types_come_in_order():
    data = file_of(
        node("Shape", ["x"], ["shape"]),
        node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        outputs=[value("shape", I64), value("half", TensorProto.FLOAT16)],
    )
    with Sandbox(data, name="types") as box:
        shape, half = box.run(PIXELS)
    assert shape.tolist() == [4, 3, 8, 8]
    np.testing.assert_array_equal(half, PIXELS.astype(np.float16))


def test_two_sandboxes_run_at_once():
    found = {}

    def work(times: float) -> None:
        scale = helper.make_tensor("scale", F, [], [times])
        data = file_of(node("Mul", ["x", "scale"], ["y"]), weights=[scale])
        with Sandbox(data, name=f"by {times}") as box:
            found[times] = [box.run(PIXELS)[0] for _ in range(5)]

    threads = [threading.Thread(target=work, args=(n,)) for n in (2.0, 3.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for times in (2.0, 3.0):
        for array in found[times]:
            np.testing.assert_array_equal(array, PIXELS * np.float32(times))


def endless(data_output: str = "y") -> bytes:
    """A Loop whose condition stays true."""
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), node("Sin", ["a"], ["b"])],
        "body",
        [value("i", I64, []), value("go", BOOL, []), value("a")],
        [value("go_on", BOOL, []), value("b")],
    )
    true = helper.make_tensor("true", BOOL, [], [True])
    return file_of(node("Loop", ["", "true", "x"], [data_output], body=body), weights=[true])


def test_a_loop_without_end_is_stopped_by_the_clock():
    start = time.monotonic()
    fault = stopped(endless(), Bounds(call_s=0.5))
    assert fault.kind == "time"
    assert str(fault) == "model hostile took longer than 0.5 s and was stopped"
    assert time.monotonic() - start < 10


@pytest.mark.slow
def test_a_loop_without_end_is_stopped_by_the_wall_clock_in_all():
    with Sandbox(endless(), name="hostile", bounds=Bounds(wall_s=1.0)) as box:
        with pytest.raises(SandboxError, match="took longer than 1 s in all and was stopped"):
            box.run(PIXELS)
        with pytest.raises(SandboxError, match="took longer than 1 s in all") as caught:
            box.run(PIXELS)
    assert caught.value.kind == "time"


@pytest.mark.slow
def test_a_loop_without_end_is_stopped_by_its_processor_time():
    fault = stopped(endless(), Bounds(cpu_s=2, call_s=60))
    assert fault.kind == "time"
    assert "used more than 2 s of processor time" in str(fault)


def filled(shape) -> bytes:
    """y is larger than any machine: a shape in the file says how large."""
    fill = node("ConstantOfShape", ["shape"], ["y"])
    return file_of(fill, weights=[integers("shape", shape)])


def tiled(times: int) -> bytes:
    return file_of(
        node("Tile", ["x", "times"], ["y"]), weights=[integers("times", [times, 1, 1, 1])]
    )


def expanded(rows: int) -> bytes:
    return file_of(
        node("Slice", ["x", "zero", "one"], ["first"]),
        node("Expand", ["first", "shape"], ["y"]),
        weights=[
            integers("zero", [0]),
            integers("one", [1]),
            integers("shape", [rows, 3, 8, 8]),
        ],
    )


TOO_MUCH = {
    "100 GB of ConstantOfShape": filled([25_000_000_000]),
    "100 GB of Expand": expanded(130_000_000),
    "3 GB of Tile": tiled(1_000_000),  # the engine itself refuses more than 4 GiB of it
}


@pytest.mark.slow
@pytest.mark.parametrize("data", TOO_MUCH.values(), ids=TOO_MUCH)
def test_memory_beyond_the_bound_is_not_given(data):
    fault = stopped(data)
    assert fault.kind == "memory"
    assert str(fault) == "model hostile asked for more than 1 GiB of memory and was stopped"


@pytest.mark.slow
def test_memory_that_is_taken_bit_by_bit_is_bounded_too():
    steps = [node("Concat", [f"y{n}", f"y{n}"], [f"y{n + 1}"], axis=0) for n in range(30)]
    data = file_of(node("Identity", ["x"], ["y0"]), *steps, outputs=[value("y30")])
    assert stopped(data).kind == "memory"


@pytest.mark.slow
def test_a_graph_that_folds_into_a_giant_hurts_only_its_own_process():
    data = file_of(
        node("ConstantOfShape", ["shape"], ["zeros"]),
        node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        node("Add", ["x", "sum"], ["y"]),
        weights=[integers("shape", [25_000_000_000])],
    )
    assert stopped(data).kind == "memory"


@pytest.mark.slow
def test_ten_gigabytes_of_outputs_are_not_received():
    small = Bounds(output_bytes=10 * MIB, memory_bytes=2048 * MIB)
    fault = stopped(tiled(20_000), small)
    assert fault.kind == "output"
    assert "gives no arrays of numbers, or more than 10485760 bytes of them" in str(fault)
    assert stopped(expanded(13_000_000), small).kind == "memory"


def test_a_model_that_was_refused_once_may_be_asked_again():
    with Sandbox(DOUBLE, name="double", bounds=Bounds(output_bytes=4 * 3 * 8 * 8 * 4)) as box:
        with pytest.raises(SandboxError, match="or more than 3072 bytes of them") as caught:
            box.run(np.tile(PIXELS, (2, 1, 1, 1)))
        assert caught.value.kind == "output"
        with pytest.raises(SandboxError, match="the engine failed on model double") as caught:
            box.run(PIXELS[:, :2])
        assert caught.value.kind == "refused"
        assert "invalid dimensions" in box.log
        np.testing.assert_array_equal(box.run(PIXELS)[0], 2 * PIXELS)


@pytest.mark.slow
def test_a_list_is_no_array():
    model = onnx.ModelProto.FromString(file_of(node("SequenceConstruct", ["x"], ["y"])))
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(F, None))
    model.graph.output[0].CopyFrom(helper.make_value_info("y", kind))
    fault = stopped(model.SerializeToString())
    assert fault.kind == "output"


def text_output() -> bytes:
    words = helper.make_tensor("words", TensorProto.STRING, [1], [b"<script>"])
    return file_of(
        node("Identity", ["words"], ["y"]),
        node("Identity", ["x"], ["z"]),
        outputs=[value("y", TensorProto.STRING, [1]), value("z")],
        weights=[words],
    )


@pytest.mark.slow
def test_a_text_is_no_array_of_numbers():
    fault = stopped(text_output())
    assert fault.kind == "output"
    assert "script" not in str(fault)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data", [b"", b"no model at all", bytes(4096), os.urandom(4096), DOUBLE[: len(DOUBLE) // 2]]
)
def test_bytes_that_are_no_model_are_refused(data):
    fault = stopped(data)
    assert fault.kind == "refused"
    assert "the engine cannot open model hostile" in str(fault)


def nested(depth: int) -> bytes:
    """If inside If inside If, down to y = x."""
    branch = helper.make_graph([node("Identity", ["x"], ["y0"])], "deepest", [], [value("y0")])
    for level in range(1, depth):
        other = helper.make_graph([node("Identity", ["x"], ["e"])], "other", [], [value("e")])
        choose = node("If", ["true"], [f"y{level}"], then_branch=branch, else_branch=other)
        branch = helper.make_graph([choose], f"level{level}", [], [value(f"y{level}")])
    true = helper.make_tensor("true", BOOL, [], [True])
    return file_of(*branch.node, outputs=list(branch.output), weights=[true])


def part(field: int, content: bytes) -> bytes:
    """A message or text as a field of a protobuf message."""
    size, length = len(content), b""
    while size >= 128:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + content


def bottomless(depth: int) -> bytes:
    """The same by hand, deeper than the protobuf library would write it."""
    graph = b""
    for _ in range(depth):
        attribute = part(1, b"then_branch") + part(6, graph)
        graph = part(1, part(4, b"If") + part(5, attribute))
    return bytes([8, 8]) + part(7, graph)


@pytest.mark.slow
def test_branches_within_branches_end_in_an_answer_or_an_error():
    with Sandbox(nested(28), name="deep") as box:
        np.testing.assert_array_equal(box.run(PIXELS)[0], PIXELS)
    assert stopped(bottomless(10_000)).kind == "refused"


@pytest.mark.slow
def test_functions_that_call_each_other_end_in_an_error():
    model = onnx.ModelProto.FromString(file_of(helper.make_node("A", ["x"], ["y"], domain="own")))
    model.opset_import.append(helper.make_opsetid("own", 1))
    for name, other in (("A", "B"), ("B", "A")):
        call = helper.make_node(other, ["a"], ["b"], domain="own")
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        model.functions.append(helper.make_function("own", name, ["a"], ["b"], [call], opsets))
    assert stopped(model.SerializeToString()).kind in ("refused", "crashed", "time", "memory")


@pytest.mark.slow
def test_weights_in_another_file_are_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(PIXELS[:1].tobytes())
    model = onnx.ModelProto.FromString(
        file_of(
            node("Add", ["x", "w"], ["y"]),
            weights=[helper.make_tensor("w", F, [1, 3, 8, 8], PIXELS[:1].tobytes(), raw=True)],
        )
    )
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=f"..{tmp_path}/secret")
    assert stopped(model.SerializeToString()).kind == "refused"


def test_what_the_engine_says_of_a_graph_is_in_the_log_and_in_no_message():
    data = file_of(
        helper.make_node("Conv", ["x", "x"], ["y"], name="<script>\x1b[31m", domain="evil.example")
    )
    with pytest.raises(SandboxError, match="the engine cannot open") as caught:
        Sandbox(data, name="a\nb\x1b[2J" + 100 * "c")
    assert str(caught.value).startswith(r"the engine cannot open model a b\x1b[2Jccc")
    assert "c" * 80 not in str(caught.value)
    assert "evil" not in str(caught.value)
    assert "evil.example" in caught.value.log
    assert "\x1b" not in caught.value.log


def test_a_closed_sandbox_says_so():
    box = Sandbox(DOUBLE, name="double")
    box.close()
    box.close()
    with pytest.raises(SandboxError, match="the sandbox of double is closed"):
        box.run(PIXELS)


@pytest.mark.parametrize(
    "pixels", [PIXELS[0], PIXELS.astype(np.float64), PIXELS[:0], PIXELS.astype(np.uint8)]
)
def test_what_are_no_pictures_is_not_sent(pixels):
    with Sandbox(DOUBLE, name="double") as box:
        with pytest.raises(BadArray, match="takes pictures as float32 of shape"):
            box.run(pixels)
        with pytest.raises(BadArray, match="takes pictures as float32 of shape"):
            box.latencies_ms(pixels, rounds=1, warmup=0)


def test_odd_orders_for_timing_are_refused():
    with Sandbox(DOUBLE, name="double") as box:
        for batch, rounds, warmup in ((0, 1, 0), (1, 0, 0), (1, 1, -1), (1, 10**7, 0)):
            with pytest.raises(BadInput, match="1 to 1000000 rounds"):
                box.latencies_ms(PIXELS, batch=batch, rounds=rounds, warmup=warmup)


def test_only_the_processor_runs_strangers():
    with pytest.raises(BadInput, match="runs models with CPUExecutionProvider; got CUDA"):
        Sandbox(DOUBLE, name="double", providers=("CUDAExecutionProvider",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threads": 0}, "threads must be 1 or more and below processes; got 0 and 64"),
        ({"threads": 64}, "threads must be 1 or more and below processes; got 64 and 64"),
        ({"call_s": 0}, "call_s must be above 0 and finite; got 0"),
        ({"cpu_s": float("inf")}, "cpu_s must be above 0 and finite; got inf"),
        ({"memory_bytes": -1}, "memory_bytes must be above 0 and finite; got -1"),
    ],
)
def test_bounds_that_bound_nothing_are_refused(given, message):
    with pytest.raises(BadInput, match=message):
        Bounds(**given)


@pytest.mark.slow
def test_too_little_memory_for_the_engine_is_told_as_ours():
    """Or, where the parent looks first, as memory."""
    words = "the sandbox did not come up|asked for more than"
    with pytest.raises(SandboxError, match=words) as caught:
        Sandbox(DOUBLE, name="double", bounds=Bounds(memory_bytes=32 * MIB))
    assert caught.value.kind in ("start", "memory")


def test_a_missing_python_is_told_as_ours(monkeypatch):
    monkeypatch.setattr(sandbox.sys, "executable", "/nowhere/python")
    with pytest.raises(SandboxError, match="cannot start /nowhere/python: No such file") as caught:
        Sandbox(DOUBLE, name="double")
    assert caught.value.kind == "start"


def test_this_machine_reports_every_bound():
    with Sandbox(DOUBLE, name="double") as box:
        assert box.enforced == sandbox.host_report()
    assert set(box.enforced) == EVERY_BOUND


EVERY_BOUND = {
    *("network", "namespaces", "filesystem", "system_calls", "user", "privileges"),
    *("processes", "threads", "memory", "cpu_time", "wall_clock", "file_size", "output_size"),
    *("open_files", "core_dumps", "environment", "parent_death"),
}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_somebody_else_ends_is_nobodys_fault_but_ours(number):
    with Sandbox(DOUBLE, name="model", bounds=QUICK) as box:
        for child in children():
            os.kill(int(child), number)
        with pytest.raises(SandboxError, match="was ended from outside") as caught:
            box.run(PIXELS)
        assert caught.value.kind == "start"

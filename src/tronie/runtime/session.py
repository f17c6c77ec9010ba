"""One model file open: engine, device, threads and precision are stated, and kept or refused.

    engine      onnxruntime (default), or openvino (an extra)
    device      cpu, or cuda where onnxruntime was installed with it; asking for a device
                that is not there is an error, never a silent CPU
    threads     cores used by one call; default: the cores this process may use
    precision   float32     8-bit operators are turned into float32 ones first
                stored      the file as it is
                bfloat16    openvino on a CPU that has it; results change in the third digit

Two ways to run. `run` gives one call all threads: the shortest time for one image.
`run_beside` uses a single thread and is meant to be called from `threads` threads at once:
the most images per second, since nothing waits for anything.

Thread safety: a Session may be used from any number of threads at once. Both engines keep
no state between calls, so the result is that of a serial run, to the bit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from tronie.errors import BadArray, BadModel, EngineUnavailable
from tronie.runtime import graph
from tronie.runtime.bounds import refuse_unbounded
from tronie.runtime.dequantization import dequantize, is_quantized
from tronie.runtime.engine import onnxruntime, session_options

ENGINES = ("onnxruntime", "openvino")
PRECISIONS = ("float32", "stored", "bfloat16")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where a Linux container finds its share of the cores: microseconds of each period."""

Run = Callable[[NDArray[np.float32]], list[NDArray[Any]]]

_FIRST_ARRAY = threading.Lock()
"""OpenVINO's bindings set themselves up when the first array is asked of them, and two threads
that are first at once wait for each other for ever. So one is asked for here, alone."""


@dataclass(frozen=True)
class TensorSpec:
    """Name, element type and shape of one input or output; None stands for a free axis."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """How models are run; the same for the detector and the recognizer of one pipeline."""

    engine: str = "onnxruntime"
    device: str = "cpu"
    threads: int | None = None
    precision: str = "float32"


class Session:
    """An open model with one input picture tensor (N, 3, H, W) float32.

    Use `open_session`. Attributes: `name`, `options`, `threads`, `input`, `outputs`,
    `batch` (None where the batch axis is free, else the fixed size), `normalizes_inside`.

    Raises:
        BadModel: no model that takes one picture tensor, or one the engine cannot open.
        EngineUnavailable: the engine fell back to another device.
    """

    def __init__(self, name: str, model: onnx.ModelProto, options: EngineOptions) -> None:
        self.name = name
        self.options = options
        self.threads = options.threads or usable_cores()
        self.input, self.outputs = _signature(name, model)
        self.batch = self.input.shape[0]
        self.normalizes_inside = graph.normalizes_inside(model)
        self._open = _opener(name, model, options)
        self._lock = threading.Lock()
        self._runs: dict[int, Run] = {}
        self._engine(self.threads)

    def run(self, pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        """One call on all threads; `pixels` (N, 3, H, W) float32; outputs in file order.

        Raises:
            BadArray: a shape that this model does not take.
            BadModel: the engine failed on the model.
        """
        return self._call(self.threads, pixels)

    def run_beside(self, pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        """One call on one thread, to be made from several threads at once; see `run`."""
        return self._call(1, pixels)

    def _call(self, threads: int, pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        asked = self.input.shape
        fits = pixels.ndim == 4 and all(
            a is None or a == f for a, f in zip(asked, pixels.shape, strict=True)
        )
        if not fits or pixels.dtype != np.float32 or pixels.size == 0:
            wanted = tuple("any" if a is None else a for a in asked)
            raise BadArray(
                f"model {self.name} takes float32 of shape {wanted}; "
                f"got {pixels.dtype} of shape {pixels.shape}"
            )
        run = self._engine(threads)
        try:
            return run(pixels)
        except Exception as fault:  # the engines' errors share no base class
            raise BadModel(
                f"model {self.name} failed on input {pixels.shape}: {_first_line(fault)}"
            ) from fault

    def _engine(self, threads: int) -> Run:
        run = self._runs.get(threads)
        if run is None:
            with self._lock:
                run = self._runs.get(threads)
                if run is None:
                    run = self._runs[threads] = self._open(threads, self.threads)
        return run


def open_session(
    path: str | Path, options: EngineOptions | None = None, *, name: str | None = None
) -> Session:
    """Open the ONNX file at `path` under `options`; `name` is what messages call it.

    Raises:
        NotFound, BadModel: no file, or no model that takes one picture tensor.
        EngineUnavailable: engine, device or precision not to be had here; says what to do.
    """
    file = Path(path)
    chosen = options or EngineOptions()
    check_options(chosen)
    return session_of(graph.load_graph(file), chosen, name=name or file.stem)


def session_of(model: onnx.ModelProto, options: EngineOptions, *, name: str) -> Session:
    """Open a graph that was read already; see `open_session`."""
    check_options(options)
    try:
        refuse_unbounded(model, name=name)
        model = _rewritten(model, options)
    except (ValueError, LookupError, TypeError, AttributeError, MemoryError) as fault:
        raise BadModel(f"model {name} is damaged: {type(fault).__name__} {fault}") from fault
    return Session(name, model, options)


def usable_cores(quota_file: Path = CPU_QUOTA) -> int:
    """Cores that this process may use: the scheduler's mask and the container's quota."""
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = mask or 1
    try:
        quota, period = quota_file.read_text().split()[:2]
        allowed = cores if quota == "max" else -(-int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return cores
    return max(1, min(cores, allowed))


def check_options(options: EngineOptions) -> None:
    """Refuse what this machine or installation does not have.

    Raises:
        EngineUnavailable: with what was asked, what is there, and what to do.
    """
    if options.engine not in ENGINES:
        raise EngineUnavailable(f"no engine {options.engine!r}; there is {', '.join(ENGINES)}")
    if options.precision not in PRECISIONS:
        raise EngineUnavailable(
            f"no precision {options.precision!r}; there is {', '.join(PRECISIONS)}"
        )
    if options.threads is not None and options.threads < 1:
        raise EngineUnavailable(f"threads must be at least 1; got {options.threads}")
    if options.engine == "onnxruntime":
        if options.precision == "bfloat16":
            raise EngineUnavailable(
                "precision bfloat16 needs the engine openvino; onnxruntime runs float32 on a CPU"
            )
        _provider(options.device)
    else:
        _openvino_device(options)


def _rewritten(model: onnx.ModelProto, options: EngineOptions) -> onnx.ModelProto:
    """The graph as its precision and engine want it."""
    model = graph.without_stale_inputs(model)
    if options.precision != "stored" and is_quantized(model):
        model = dequantize(model)
    if options.precision == "float32" and options.engine == "onnxruntime":
        model = graph.split_prelu(model)
    return model


def _provider(device: str) -> str:
    """The onnxruntime provider of a device, or a refusal."""
    known = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
    if device not in known:
        raise EngineUnavailable(f"no device {device!r} for onnxruntime; there is cpu and cuda")
    there = onnxruntime.get_available_providers()
    if known[device] not in there:
        raise EngineUnavailable(
            f"device {device} was asked for, but this onnxruntime offers only "
            f"{', '.join(there)}; install onnxruntime-gpu, or ask for device cpu"
        )
    return known[device]


def _openvino_device(options: EngineOptions) -> str:
    try:
        import openvino
    except ImportError as fault:
        raise EngineUnavailable(
            "the engine openvino is not installed; run: pip install 'tronie[openvino]'"
        ) from fault
    with _FIRST_ARRAY:
        openvino.Tensor(np.zeros(1, np.float32)).data  # noqa: B018 - see _FIRST_ARRAY
    core = openvino.Core()
    device = options.device.upper()
    if device not in core.available_devices:
        raise EngineUnavailable(
            f"device {options.device} was asked for, but openvino offers only "
            f"{', '.join(core.available_devices).lower()}"
        )
    able = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    if options.precision == "bfloat16" and "BF16" not in able:
        raise EngineUnavailable(
            f"precision bfloat16 was asked for, but this {options.device} offers only "
            f"{', '.join(able)}; ask for float32"
        )
    return device


def _opener(name: str, model: onnx.ModelProto, options: EngineOptions) -> Callable[[int, int], Run]:
    """A function (threads of one call, threads in all) -> run; engines are opened on demand."""
    data = model.SerializeToString()
    if options.engine == "onnxruntime":
        provider = _provider(options.device)
        return lambda threads, _: _open_onnxruntime(name, data, provider, threads)
    device = _openvino_device(options)
    return lambda threads, total: _open_openvino(
        data, device, options.precision, threads=total, streams=total // threads
    )


def _open_onnxruntime(name: str, data: bytes, provider: str, threads: int) -> Run:
    settings = session_options(threads)
    try:
        session = onnxruntime.InferenceSession(
            data, settings, providers=[provider], enable_fallback=0
        )
    except Exception as fault:  # the engine's errors share no base class
        raise BadModel(f"onnxruntime cannot open {name}: {_first_line(fault)}") from fault
    if session.get_providers()[0] != provider:
        raise EngineUnavailable(
            f"{provider} was asked for, but onnxruntime fell back to {session.get_providers()[0]}; "
            "its CUDA libraries do not load on this machine"
        )
    feed = session.get_inputs()[0].name
    return lambda pixels: list(session.run(None, {feed: pixels}))


def _open_openvino(data: bytes, device: str, precision: str, *, threads: int, streams: int) -> Run:
    """Compiled once for each input shape, since fixed shapes run faster; a batch is padded
    to a power of two, so that few shapes occur."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "NUM_STREAMS": str(max(1, streams)),
        "INFERENCE_NUM_THREADS": str(threads),
        # Detector and recognizer run at once: pinned, both would sit on the same core.
        "ENABLE_CPU_PINNING": "NO",
    }
    free_batch = core.read_model(data).inputs[0].partial_shape[0].is_dynamic
    compiled: dict[tuple[int, ...], Any] = {}
    lock = threading.Lock()
    local = threading.local()

    def request(shape: tuple[int, ...]) -> Any:
        mine: dict[tuple[int, ...], Any] = local.__dict__.setdefault("requests", {})
        if shape not in mine:
            with lock:
                if shape not in compiled:
                    model = core.read_model(data)
                    model.reshape({model.inputs[0]: list(shape)})
                    compiled[shape] = core.compile_model(model, device, settings)
                mine[shape] = compiled[shape].create_infer_request()
        return mine[shape]

    def run(pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        n = len(pixels)
        padded = 1 << (n - 1).bit_length() if free_batch else n
        work = request((padded, *pixels.shape[1:]))
        given = work.input_tensors[0].data
        given[:n] = pixels
        given[n:] = 0
        work.start_async()
        work.wait()
        results = [np.array(t.data) for t in work.output_tensors]
        return [r[:n] for r in results] if padded > n else results

    return run


def _signature(name: str, model: onnx.ModelProto) -> tuple[TensorSpec, tuple[TensorSpec, ...]]:
    stored = {t.name for t in model.graph.initializer}
    inputs = [_spec(v) for v in model.graph.input if v.name not in stored]
    outputs = tuple(_spec(v) for v in model.graph.output)
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].dtype != "float32":
        found = ", ".join(f"{s.name} {s.dtype} {s.shape}" for s in inputs) or "none"
        raise BadModel(
            f"model {name} must take one float32 picture tensor (N, 3, H, W); its inputs: {found}"
        )
    odd = [s.name for s in outputs if not s.dtype.startswith("float")]
    if odd:
        raise BadModel(
            f"model {name} must give arrays of floating-point numbers; these outputs are none: "
            + ", ".join(odd)
        )
    return inputs[0], outputs


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    """Name, type and shape; the type is "none" where the value is a list, a map or unknown."""
    tensor = value.type.tensor_type
    shape = tuple(
        int(d.dim_value) if d.HasField("dim_value") and d.dim_value > 0 else None
        for d in tensor.shape.dim
    )
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    except (KeyError, ValueError):
        dtype = "none"
    return TensorSpec(value.name, dtype, shape)


def _first_line(fault: BaseException) -> str:
    lines: Sequence[str] = str(fault).strip().splitlines()
    return lines[0][:300] if lines else type(fault).__name__

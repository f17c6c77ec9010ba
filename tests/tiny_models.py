"""Small face networks, honest and otherwise, written by hand with onnx.helper.

net = Net()                     pictures come in as "x"
y = net.conv("x", 4, 8)         each method adds nodes and gives the name of the answer
model = net.model(y)            a ModelProto whose output is `y`, (N, D)

honest()                        eight operators, 16 numbers, a few milliseconds
NETWORKS                        honest networks of several families, by name
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = ("N", 3, 112, 112)
DIMENSION = 16


class Net:
    """Nodes and weights in order; weights are drawn from a seed."""

    def __init__(self, *, seed: int = 0, shape=SHAPE, element: int = TensorProto.FLOAT) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs = [helper.make_tensor_value_info("x", element, shape)]

    def add(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", told=None):
        """One operator; the name of its answer, or of all where there are several."""
        names = [f"{kind.lower()}_{len(self.nodes)}_{n}" for n in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, domain=domain, **(told or {}))
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def store(self, array, dtype=np.float32) -> str:
        """Stored numbers."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def drawn(self, *shape: int) -> str:
        """Stored noise that keeps what it multiplies about as large as it is."""
        fan = np.prod(shape[1:]) if len(shape) > 2 else shape[0]
        return self.store(self.random.standard_normal(shape) / np.sqrt(fan))

    def conv(self, x: str, inner: int, outer: int, *, kernel=3, stride=1, group=1) -> str:
        told = {"strides": [stride] * 2, "pads": [kernel // 2] * 4, "group": group}
        return self.add("Conv", x, self.drawn(outer, inner // group, kernel, kernel), told=told)

    def norm(self, x: str, channels: int) -> str:
        scale = self.store(self.random.uniform(0.8, 1.2, channels))
        shift = self.store(self.random.normal(0, 0.1, channels))
        zero, one = self.store(np.zeros(channels)), self.store(np.ones(channels))
        return self.add("BatchNormalization", x, scale, shift, zero, one)

    def prelu(self, x: str, channels: int) -> str:
        return self.add("PRelu", x, self.store(self.random.uniform(0.1, 0.4, (channels, 1, 1))))

    def linear(self, x: str, inner: int, outer: int) -> str:
        return self.add("Add", self.add("MatMul", x, self.drawn(inner, outer)), self.drawn(outer))

    def stem(self, x: str = "x", *, channels: int = 4) -> str:
        """(N, channels, 14, 14)."""
        return self.prelu(
            self.norm(self.conv(x, 3, channels, kernel=7, stride=8), channels), channels
        )

    def head(self, x: str, flat: int, *, dimension: int = DIMENSION) -> str:
        """(N, dimension)."""
        flattened = self.add("Flatten", x)
        return self.add("Gemm", flattened, self.drawn(flat, dimension), self.drawn(dimension))

    def body(self, x: str = "x") -> str:
        """Two convolutions with norms and slopes: (N, 8, 7, 7)."""
        x = self.conv(self.stem(x), 4, 8, stride=2)
        return self.prelu(self.norm(x, 8), 8)

    def model(self, y: str, *, shape=("N", DIMENSION), opset=17, ir=8) -> onnx.ModelProto:
        """With `y` as the only output."""
        outputs = [helper.make_tensor_value_info(y, TensorProto.FLOAT, shape)]
        graph = helper.make_graph(self.nodes, "tiny", self.inputs, outputs, self.weights)
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def honest(*, dimension: int = DIMENSION, seed: int = 0, opset: int = 17) -> onnx.ModelProto:
    """A small network that keeps every rule."""
    net = Net(seed=seed)
    y = net.head(net.body(), 392, dimension=dimension)
    return net.model(y, shape=("N", dimension), opset=opset)


def residual() -> onnx.ModelProto:
    """Units as in an IResNet, batch norms not folded."""
    net = Net(seed=1)
    x = net.stem(channels=8)
    for _ in range(2):
        y = net.prelu(net.norm(net.conv(net.norm(x, 8), 8, 8), 8), 8)
        x = net.add("Add", net.norm(net.conv(y, 8, 8), 8), x)
    return net.model(net.norm(net.head(net.norm(x, 8), 8 * 196), DIMENSION))


def mobile() -> onnx.ModelProto:
    """Depthwise bottlenecks and a global depthwise convolution, as in a MobileFaceNet."""
    net = Net(seed=2)
    x = net.stem(channels=8)
    y = net.prelu(net.norm(net.conv(x, 8, 16, kernel=1), 16), 16)
    y = net.prelu(net.norm(net.conv(y, 16, 16, group=16), 16), 16)
    x = net.add("Add", net.norm(net.conv(y, 16, 8, kernel=1), 8), x)
    x = net.add("Conv", x, net.drawn(8, 1, 14, 14), told={"group": 8})
    x = net.conv(x, 8, DIMENSION, kernel=1)
    shape = net.store([-1, DIMENSION], np.int64)
    return net.model(net.add("Reshape", net.norm(x, DIMENSION), shape))


def gated() -> onnx.ModelProto:
    """Squeeze and excite, Swish, a channel shuffle, and mean pooling."""
    net = Net(seed=3)
    x = net.conv(net.stem(channels=8), 8, 8, group=2)
    gate = net.add("Relu", net.conv(net.add("GlobalAveragePool", x), 8, 4, kernel=1))
    x = net.add("Mul", x, net.add("Sigmoid", net.conv(gate, 4, 8, kernel=1)))
    x = net.add("Reshape", x, net.store([0, 2, 4, 14, 14], np.int64))
    x = net.add("Transpose", x, told={"perm": [0, 2, 1, 3, 4]})
    x = net.add("Reshape", x, net.store([-1, 8, 14, 14], np.int64))
    x = net.add("Mul", x, net.add("Sigmoid", x))
    x = net.add("Concat", *net.add("Split", x, outputs=2, told={"axis": 1}), x, told={"axis": 1})
    x = net.add("ReduceMean", x, told={"axes": [2, 3], "keepdims": 0})
    return net.model(net.linear(x, 16, DIMENSION))


def transformer(*, computed: bool = False) -> onnx.ModelProto:
    """A vision transformer: patches, a class token, one block with two heads.

    With `computed`, shapes are computed from the batch while it runs, as older exports do.
    """
    net = Net(seed=4)
    width, heads, patches = 24, 2, 16
    x = net.add("Conv", "x", net.drawn(width, 3, 28, 28), told={"strides": [28, 28]})

    def shaped(y: str, *sides: int) -> str:
        if not computed:
            return net.add("Reshape", y, net.store([-1, *sides], np.int64))
        zero = net.store([0], np.int64)
        batch = net.add("Gather", net.add("Shape", "x"), zero, told={"axis": 0})
        tail = net.store(sides, np.int64)
        return net.add("Reshape", y, net.add("Concat", batch, tail, told={"axis": 0}))

    x = net.add("Transpose", shaped(x, width, patches), told={"perm": [0, 2, 1]})
    batch = net.add(
        "Slice", net.add("Shape", "x"), net.store([0], np.int64), net.store([1], np.int64)
    )
    sides = net.add("Concat", batch, net.store([1, width], np.int64), told={"axis": 0})
    token = net.add("Expand", net.drawn(1, 1, width), sides)
    x = net.add("Concat", token, x, told={"axis": 1})
    x = net.add("Add", x, net.drawn(1, patches + 1, width))
    scale, shift = net.store(np.ones(width)), net.store(np.zeros(width))
    y = net.add("LayerNormalization", x, scale, shift, told={"axis": -1})
    y = shaped(net.linear(y, width, 3 * width), patches + 1, 3, heads, width // heads)
    y = net.add("Transpose", y, told={"perm": [2, 0, 3, 1, 4]})
    q, k, v = (net.add("Gather", y, net.store(n, np.int64), told={"axis": 0}) for n in range(3))
    scores = net.add("MatMul", q, net.add("Transpose", k, told={"perm": [0, 1, 3, 2]}))
    scores = net.add("Mul", scores, net.store((width // heads) ** -0.5))
    y = net.add("MatMul", net.add("Softmax", scores, told={"axis": -1}), v)
    y = shaped(net.add("Transpose", y, told={"perm": [0, 2, 1, 3]}), patches + 1, width)
    x = net.add("Add", x, net.linear(y, width, width))
    y = net.add("Erf", net.linear(x, width, 2 * width))
    x = net.add("Add", x, net.linear(y, 2 * width, width))
    x = net.add("Gather", x, net.store(0, np.int64), told={"axis": 1})
    return net.model(net.linear(x, width, DIMENSION))


def windows() -> onnx.ModelProto:
    """Attention inside windows that are moved into the batch, and a shift, as in a Swin."""
    net = Net(seed=5)
    x = net.conv("x", 3, 8, kernel=7, stride=8)
    x = net.add("Transpose", x, told={"perm": [0, 2, 3, 1]})
    starts = [(net.store([a], np.int64), net.store([b], np.int64)) for a, b in ((3, 99), (0, 3))]
    axis = net.store([1], np.int64)
    rolled = [net.add("Slice", x, start, end, axis) for start, end in starts]
    x = net.add("Concat", *rolled, told={"axis": 1})
    x = net.add("Reshape", x, net.store([-1, 2, 7, 2, 7, 8], np.int64))
    x = net.add("Transpose", x, told={"perm": [0, 1, 3, 2, 4, 5]})
    x = net.add("Reshape", x, net.store([-1, 49, 8], np.int64))
    scores = net.add("MatMul", x, net.add("Transpose", x, told={"perm": [0, 2, 1]}))
    x = net.add("MatMul", net.add("Softmax", scores, told={"axis": 2}), net.linear(x, 8, 8))
    x = net.add("Reshape", x, net.store([-1, 4 * 49 * 8], np.int64))
    return net.model(net.linear(x, 4 * 49 * 8, DIMENSION))


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "honest": honest,
    "residual": residual,
    "mobile": mobile,
    "gated": gated,
    "transformer": transformer,
    "transformer with computed shapes": lambda: transformer(computed=True),
    "windows": windows,
}

"""Does a graph keep the pictures of a batch apart? Told from its shapes, operator by operator.

A model that averages two pictures of a batch, or slips a mirrored copy of each into it, gives
other embeddings than it would give alone. So the place of the pictures is followed from the
input to the output:

    axis           along which the pictures lie; it may hold more than them:
    before, after  shape[axis] = before * N * after, as when N pictures of 64 windows are N * 64

Each operator is asked where they lie afterwards. One that works along their axis (a slice, a
concatenation, a sum, a softmax, a product over it), or that joins arrays in which they lie
differently, mixes them; so does a reshape that breaks them up. Arrays that do not depend on the
picture lie nowhere and go with all.

An operator that is not in OPERATORS cannot be followed.

Letters: N pictures, here BATCH.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import onnx

from tronie.runtime.batch_step import Mixed, Place, Step, opset_of, small_arrays, with_batch
from tronie.runtime.shapes import shapes_of

BATCH = 7
"""Pictures in the batch that is followed; a prime, so that it is nothing else's size."""


def batch_fault(model: onnx.ModelProto, *, size: tuple[int, int], name: str) -> str:
    """The first operator that mixes pictures, and how, in words; empty where none does.

    Outputs that do not depend on the picture mix none.

    Args:
        size: Height and width, used where the file leaves them free.
        name: What messages call the file.

    Raises:
        BadModel: shapes that do not fit together, as with a batch written into a Reshape.
    """
    bare = with_batch(model, BATCH)
    graph = bare.graph
    stored = small_arrays(model.graph)
    _, shapes = shapes_of(bare, size=size, name=name)
    picture = next(v.name for v in graph.input)
    places: dict[str, Place | None] = {picture: Place(0)}
    for n, node in enumerate(graph.node):
        if all(places.get(name) is None for name in node.input):
            continue
        follow = OPERATORS.get(node.op_type)
        try:
            if follow is None:
                raise Mixed("cannot be followed")
            place = follow(Step(node, shapes, stored, places, opset_of(model)))
        except (Mixed, LookupError, ValueError, ArithmeticError, StopIteration) as fault:
            why = str(fault) if isinstance(fault, Mixed) else "cannot be followed"
            return f"{node.op_type} {node.name or n!r} {why}"
        for output in node.output:
            places[output] = place
    for value in graph.output:
        place = places.get(value.name)
        if place is not None and (place != Place(0) or shapes[value.name][0] != BATCH):
            return f"the output {value.name!r} does not have one row for each picture"
    return ""


def _elementwise(step: Step) -> Place | None:
    found: set[Place] = set()
    for n, name in enumerate(step.node.input):
        place = step.place(n) if name else None
        if place is not None:
            axis = place.axis + len(step.answer) - len(step.shape(n))
            if step.answer[axis] != step.shape(n)[place.axis]:
                raise Mixed("repeats the pictures")
            found.add(place._replace(axis=axis))
    if len(found) > 1:
        raise Mixed("joins arrays in which the pictures lie differently")
    return next(iter(found))


def _picturewise(step: Step) -> Place:
    """Convolutions, poolings, norms: axis 0 is the pictures', the others are worked on."""
    place = step.first
    if place.axis != 0 or step.answer[0] != step.shape(0)[0]:
        raise Mixed("works along the axis of the pictures")
    return place


def _reshape(step: Step) -> Place:
    """Numbers keep their order; the stride of a picture and what lies before it stay."""
    place, shape, answer = step.first, step.shape(0), step.answer
    stride = place.after * math.prod(shape[place.axis + 1 :])
    before = place.before * math.prod(shape[: place.axis])
    behind = 1
    for axis in reversed(range(len(answer))):
        if behind * answer[axis] > stride:
            after = stride // behind
            found = Place(axis, answer[axis] // (BATCH * after), after)
            fits = after * behind == stride and found.before * BATCH * after == answer[axis]
            if fits and found.before * math.prod(answer[:axis]) == before:
                return found
            break
        behind *= answer[axis]
    raise Mixed("breaks up the pictures of a batch")


def _transpose(step: Step) -> Place:
    place = step.first
    order = step.list("perm", 9) or list(reversed(range(len(step.shape(0)))))
    return place._replace(axis=order.index(place.axis))


def _slice(step: Step) -> Place:
    place, shape = step.first, step.shape(0)
    if step.answer[place.axis] != shape[place.axis]:
        raise Mixed("takes some pictures out of the batch")
    steps = step.list("steps", 4)
    if steps and any(s != 1 for s in steps):
        axes = step.list("axes", 3) or list(range(len(steps)))
        turned = {a % len(shape) for a, s in zip(axes, steps, strict=True) if s != 1}
        if place.axis in turned:
            raise Mixed("turns the batch around")
    return place


def _split(step: Step) -> Place:
    place = step.first
    if step.axis("axis", 0) == place.axis and len(step.node.output) > 1:
        raise Mixed("splits the batch")
    return place


def _concat(step: Step) -> Place:
    axis = step.axis("axis", 0)
    found = {step.place(n) for n in range(len(step.node.input))} - {None}
    if len(found) > 1:
        raise Mixed("joins arrays in which the pictures lie differently")
    place = next(p for p in found if p is not None)
    if place.axis == axis and len(step.node.input) > 1:
        raise Mixed("adds pictures to the batch")
    return place


def _gather(step: Step) -> Place:
    place, axis = step.first, step.axis("axis", 0)
    if axis == place.axis:
        raise Mixed("takes some pictures out of the batch")
    moved = len(step.shape(1)) - 1 if axis < place.axis else 0
    return place._replace(axis=place.axis + moved)


def _pad(step: Step) -> Place:
    place, rank = step.first, len(step.shape(0))
    pads = step.list("pads", 1) or []
    axes = step.list("axes", 3) or list(range(rank))
    along = [axes.index(a) for a in axes if a % rank == place.axis]
    if any(pads[n] or pads[n + len(axes)] for n in along):
        raise Mixed("adds pictures to the batch")
    return place


def _repeat(step: Step) -> Place:
    """Expand and Tile: shapes are joined from the right."""
    place = step.first
    axis = place.axis + len(step.answer) - len(step.shape(0))
    if step.answer[axis] != step.shape(0)[place.axis]:
        raise Mixed("repeats the pictures")
    return place._replace(axis=axis)


def _along(step: Step, axes: Sequence[int]) -> Place:
    place = step.first
    if place.axis in {a % len(step.shape(0)) for a in axes}:
        raise Mixed("works along the axis of the pictures")
    return place


def _softmax(step: Step) -> Place:
    if step.opset >= 13:
        return _along(step, [step.axis("axis", -1)])
    return _tail(step, 1)  # before opset 13: over all that lies behind the axis


def _tail(step: Step, default: int) -> Place:
    return _along(step, range(step.axis("axis", default), len(step.shape(0))))


def _layer_norm(step: Step) -> Place:
    return _tail(step, -1)


def _one_axis(step: Step) -> Place:
    return _along(step, [step.axis("axis", -1)])


def _mean_variance(step: Step) -> Place:
    return _along(step, step.list("axes", 9) or [0, 2, 3])


def _reduce(step: Step) -> Place:
    rank = len(step.shape(0))
    axes = step.list("axes", 1)
    if not axes:
        axes = [] if step.whole("noop_with_empty_axes", 0) else list(range(rank))
    place = _along(step, axes)
    if step.whole("keepdims", 1):
        return place
    return place._replace(axis=place.axis - sum(a % rank < place.axis for a in axes))


def _matmul(step: Step) -> Place:
    found: set[Place] = set()
    ranks = (len(step.shape(0)), len(step.shape(1)))
    rank = len(step.answer)
    for n in (0, 1):
        place = step.place(n)
        if place is None:
            continue
        from_end = ranks[n] - place.axis
        if from_end == (1 if n == 0 else min(2, ranks[1])):
            raise Mixed("multiplies over the axis of the pictures")
        if from_end > 2:  # an axis of many products, aligned from the right
            matrices = (ranks[0] > 1) + (ranks[1] > 1)
            axis = rank - matrices - (from_end - 2)
            if step.answer[axis] != step.shape(n)[place.axis]:
                raise Mixed("repeats the pictures")
        else:
            axis = rank - 1 if n == 1 else rank - 1 - (ranks[1] > 1)
        found.add(place._replace(axis=axis))
        if from_end <= 2 and step.place(1 - n) is not None:
            raise Mixed("multiplies the pictures of a batch with each other")
    if len(found) > 1:
        raise Mixed("joins arrays in which the pictures lie differently")
    return next(iter(found))


def _gemm(step: Step) -> Place:
    found = set()
    for n, flag, out in ((0, "transA", 0), (1, "transB", 1)):
        place = step.place(n)
        if place is None:
            continue
        outer = out if not step.whole(flag, 0) else 1 - out
        if place.axis != outer:
            raise Mixed("multiplies over the axis of the pictures")
        found.add(place._replace(axis=out))
    added = step.place(2)
    if added is not None:
        found.add(added._replace(axis=added.axis + 2 - len(step.shape(2))))
    if len(found) > 1:
        raise Mixed("multiplies the pictures of a batch with each other")
    return next(iter(found))


def _einsum(step: Step) -> Place:
    equation = next(a.s.decode() for a in step.node.attribute if a.name == "equation")
    terms, _, answer = equation.replace(" ", "").partition("->")
    found = set()
    for n, term in enumerate(terms.split(",")):
        place = step.place(n)
        if place is not None:
            letter = term[place.axis]
            found.add((letter, place.before, place.after))
            if term.count(letter) > 1:
                raise Mixed("takes a diagonal of the batch")
    if len(found) > 1:
        raise Mixed("multiplies the pictures of a batch with each other")
    letter, before, after = next(iter(found))
    others = [t for n, t in enumerate(terms.split(",")) if step.place(n) is None]
    if "." in equation or letter not in answer or any(letter in t for t in others):
        raise Mixed("sums over the axis of the pictures")
    return Place(answer.index(letter), before, after)


_Follow = Callable[[Step], Place | None]


def _each(follow: _Follow, names: str) -> dict[str, _Follow]:
    return dict.fromkeys(names.split(), follow)


OPERATORS: Mapping[str, _Follow] = {
    **_each(_elementwise, "Add Sub Mul Div Pow Min Max Sum Mean PRelu Where Equal"),
    **_each(_elementwise, "Relu LeakyRelu Elu Selu Celu Sigmoid HardSigmoid HardSwish Tanh"),
    **_each(_elementwise, "Softplus Softsign Erf Gelu Mish Exp Log Sqrt Reciprocal Neg Abs"),
    **_each(_elementwise, "ThresholdedRelu Identity Dropout Cast Not Constant Swish"),
    **_each(_picturewise, "Conv ConvTranspose MaxPool AveragePool LpPool LRN GlobalAveragePool"),
    **_each(_picturewise, "GlobalMaxPool GlobalLpPool BatchNormalization GroupNormalization"),
    **_each(_picturewise, "InstanceNormalization DepthToSpace SpaceToDepth Resize"),
    **_each(_reshape, "Reshape Flatten Squeeze Unsqueeze"),
    **_each(_reduce, "ReduceSum ReduceMean ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceProd"),
    **_each(_reduce, "ReduceSumSquare ReduceLogSum ReduceLogSumExp"),
    **_each(_softmax, "Softmax LogSoftmax"),
    **_each(_layer_norm, "LayerNormalization RMSNormalization"),
    **_each(_repeat, "Expand Tile"),
    "Clip": lambda step: step.first,
    "LpNormalization": _one_axis,
    "MeanVarianceNormalization": _mean_variance,
    "Transpose": _transpose,
    "Slice": _slice,
    "Split": _split,
    "Concat": _concat,
    "Gather": _gather,
    "Pad": _pad,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "Shape": lambda step: None,
    "Size": lambda step: None,
    "ConstantOfShape": lambda step: None,
}
"""What a graph may be made of, each with where it leaves the pictures."""

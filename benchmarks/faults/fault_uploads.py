"""Private data of a demonstration, and small submissions to it whose ends are known beforehand.

    honest     a network of eight operators or more                                 scored
    words      no ONNX file at all                                                  refused
    loop       counts for ever, behind an operator that the track forbids           refused
    memory     asks for six gigabytes with the first batch, in the sandbox          refused
    white      NaN for a white picture, in the sandbox                              refused
    one crop   NaN for one crop that the checks do not show it: refused while it runs, which
               uses the slot of the day up

`make_data` makes seventy drawn crops; the checks look at 64 of them, evenly spread.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from tiny_models import DIMENSION, Net, honest
from toys import toy_face
from tronie.images.io import write_image
from tronie.server.challenge.demonstration import make_demonstration
from tronie.server.challenge.judging import SAMPLE

PEOPLE, SHOTS = 14, 5
ODD = 17
"""The crop that is red, and that no check is made with."""
NETWORKS = 4
"""Honest ones that differ."""
MEMORY_CHANNELS = 4000
"""Of 112 x 112 numbers: 191 MiB a crop, within the limit for one, and 6 GiB for a batch of 32."""


class Upload(NamedTuple):
    """A file and how it has to end."""

    kind: str
    data: bytes
    is_scored: bool
    uses_slot: bool
    """A refusal at the checks does not."""


def make_data(folder: Path) -> None:
    """The organizer's folder of the demonstration track."""
    with tempfile.TemporaryDirectory() as photos:
        for number in range(PEOPLE * SHOTS):
            person, shot = divmod(number, SHOTS)
            home = Path(photos) / f"person {person:02d}"
            home.mkdir(exist_ok=True)
            write_image(home / f"{shot}.png", _crop(number, person, shot))
        rows = make_demonstration(photos, folder).rows
    shown = np.unique(np.linspace(0, rows - 1, SAMPLE).round())
    assert ODD not in shown, "the checks must not see the crop that only a running model meets"


def drawn_uploads(count: int, *, seed: int) -> list[Upload]:
    """Submissions of all kinds in random order, no two files alike."""
    kinds = [
        *([Upload(f"honest {n}", _file(_honest(n)), True, True) for n in range(NETWORKS)] * 3),
        Upload("words", b"this is no network ", False, False),
        Upload("loop", _file(_loop()), False, False),
        Upload("memory", _file(_memory()), False, False),
        Upload("white", _file(_white()), False, False),
        *[Upload("one crop", _file(_one_crop()), False, True)] * 3,
    ]
    random = np.random.default_rng(seed)
    order = np.resize(np.arange(len(kinds)), count)
    random.shuffle(order)
    return [kinds[n]._replace(data=_own(kinds[n].data, number)) for number, n in enumerate(order)]


def _own(data: bytes, number: int) -> bytes:
    """The same file with a number in it: ONNX's field 6, a text that says nothing to an engine."""
    words = f"submission {number}".encode()
    return data + bytes([0x32, len(words)]) + words


def _crop(number: int, person: int, shot: int) -> NDArray[np.uint8]:
    crop = toy_face(person, shot=shot)[24:136, :112].copy()
    if number == ODD:
        crop[..., 0], crop[..., 2] = 250, 5
    return crop


def _file(model: ModelProto) -> bytes:
    return bytes(model.SerializeToString())


def _honest(number: int) -> ModelProto:
    return honest(seed=number)


def _loop() -> ModelProto:
    """An honest network, and a Loop that goes on as long as it is told to: for ever."""
    net = Net(seed=20)
    y = net.head(net.body(), 392)
    counter = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    goes_on, before, after = (
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (
            ("on", TensorProto.BOOL, []),
            ("before", TensorProto.FLOAT, ["N", DIMENSION]),
            ("after", TensorProto.FLOAT, ["N", DIMENSION]),
        )
    )
    still = helper.make_tensor_value_info("still", TensorProto.BOOL, [])
    nodes = [
        helper.make_node("Identity", ["on"], ["still"]),
        helper.make_node("Identity", ["before"], ["after"]),
    ]
    body = helper.make_graph(nodes, "body", [counter, goes_on, before], [still, after])
    true = net.store(True, np.bool_)
    return net.model(net.add("Loop", "", true, y, told={"body": body}))


def _memory() -> ModelProto:
    net = Net(seed=21)
    wide = net.conv("x", 3, MEMORY_CHANNELS, kernel=1)
    x = net.norm(net.add("GlobalAveragePool", wide), MEMORY_CHANNELS)
    x = net.prelu(net.conv(x, MEMORY_CHANNELS, 8, kernel=1), 8)
    for _ in range(2):
        x = net.prelu(net.conv(x, 8, 8, kernel=1), 8)
    return net.model(net.head(x, 8))


def _white() -> ModelProto:
    """The root of 0.99 - the mean of all colors."""
    net = Net(seed=22)
    return _times_root(net, net.store(np.full((1, 3, 1, 1), 1 / 3)), most=0.99)


def _one_crop() -> ModelProto:
    """The root of 1.8 - (mean of red - mean of blue): only for a very red crop there is none."""
    net = Net(seed=23)
    weights = np.array([1, 0, -1], np.float32).reshape(1, 3, 1, 1)
    return _times_root(net, net.store(weights), most=1.8)


def _times_root(net: Net, weights: str, *, most: float) -> ModelProto:
    """Embeddings times the root of `most` - the weighted means of the colors."""
    mean = net.add("Conv", net.add("GlobalAveragePool", "x"), weights)
    root = net.add("Sqrt", net.add("Sub", net.store(most), net.add("Flatten", mean)))
    return net.model(net.add("Mul", net.head(net.body(), 392), root))

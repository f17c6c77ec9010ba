"""How much slower this machine is than the one that a limit of time was given for.

A track names a network and its published time on that machine. The same network, with random
weights, is timed here in the same sandbox as what teams send:

    factor = time here / published time

so that a limit of 10 ms there is one of 10 ms x factor here. Times do not carry over exactly: a
network that suits one machine may suit the other less. The factor is printed beside each time.

Source: baselines of MFR21, which were timed on a Tesla V100 with onnxruntime-gpu 1.6.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tronie.runtime.iresnet_graph import iresnet_graph
from tronie.runtime.pixels import network_input
from tronie.server.challenge.behavior import INPUT
from tronie.server.challenge.timing import ROUNDS, WARM_UP, Timed
from tronie.server.challenge.track import Reference


class OpensTimed(Protocol):
    """Opens a model in a sandbox."""

    def __call__(self, model: bytes, *, name: str) -> AbstractContextManager[Timed]:
        """A model that can be timed."""


def calibration_factor(
    reference: Reference,
    crops: NDArray[np.uint8],
    *,
    open_sandbox: OpensTimed,
    build: Callable[[str], bytes] | None = None,
) -> float:
    """Time of the reference network here by its published time; above 1 where this is slower.

    Args:
        reference: The network and its time.
        crops: (M, 112, 112, 3) uint8 RGB.
        open_sandbox: As for what teams send.
        build: The network's file by its name; by default it is made, with random weights.

    Raises:
        NotFound: no such network can be made here.
        SandboxError: it could not be run.
    """
    model = (build or _built)(reference.network)
    with open_sandbox(model, name=reference.network) as opened:
        pixels = network_input(crops, INPUT)
        times = opened.latencies_ms(pixels, batch=1, rounds=ROUNDS, warmup=WARM_UP)
    return float(np.median(times)) / reference.latency_ms


def _built(network: str) -> bytes:
    return bytes(iresnet_graph(network).SerializeToString())

"""One network in several processes: averaged gradients, and an end that does not wait."""

from __future__ import annotations

import sys

import pytest

from sharded_runs import run_ranks

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402 - only where torch is

from tronie.lab.training.data_parallel import bytes_of, let_go, unsynchronized  # noqa: E402

pytestmark = pytest.mark.lab

PROGRAM = """
import torch
from torch import nn
from tronie.lab.training.data_parallel import averaged, let_go, unsynchronized
from tronie.lab.training.distributed import start
with start() as place:
    network = nn.Linear(1, 1, bias=False)
    nn.init.ones_(network.weight)
    whole = averaged(network, place.device)
    with unsynchronized(whole):
        whole(torch.full((1, 1), 10.0 * (place.rank + 1))).sum().backward()
    alone = network.weight.grad.item()
    whole(torch.full((1, 1), 1.0 + place.rank)).sum().backward()
    print(place.rank, alone, network.weight.grad.item())
    let_go(whole)
"""


@pytest.mark.slow
def test_gradients_are_exchanged_with_the_last_part_of_a_step():
    told = run_ranks([sys.executable, "-c", PROGRAM], ranks=2)
    found = sorted(out.split() for _, out, _ in told)
    # 10 and 20 each alone; then the mean of 10 + 1 and 20 + 2
    assert found == [["0", "10.0", "16.5"], ["1", "20.0", "16.5"]]


def test_one_process_has_nothing_to_let_go_of_or_to_exchange():
    network = nn.Linear(2, 3)
    with unsynchronized(network):
        network(torch.ones(1, 2)).sum().backward()
    let_go(network)
    assert network.weight.grad is not None


@pytest.mark.parametrize(("optimizer", "remembered"), [("sgd", 20), ("adamw", 40)])
def test_bytes_are_counted_by_what_they_are_for(optimizer, remembered):
    trained, fixed = nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(7), requires_grad=False)
    assert bytes_of([trained, fixed], optimizer=optimizer) == (48, 20, remembered)

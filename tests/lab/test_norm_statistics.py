"""Batch norms over all processes are those of one process on the whole batch, gradients too."""

from __future__ import annotations

import json
import sys

import pytest

from sharded_runs import run_ranks
from tronie.errors import BadInput

torch = pytest.importorskip("torch")

from tronie.lab.training.norm_statistics import (  # noqa: E402 - only where torch is
    fix_last_scale,
    with_global_statistics,
)

pytestmark = pytest.mark.lab

SHARED = """
import json, sys
import torch
from torch import nn
from tronie.lab.nn.collectives import all_sum, rank, world_size
from tronie.lab.training.distributed import start
from tronie.lab.training.norm_statistics import average_statistics, with_global_statistics
from tronie.lab.training.order import share

def network():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.BatchNorm1d(12))
    return net.double()

def came_to(net, rows):
    x = torch.randn(7, 2, 3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    target = torch.randn(7, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x = x[rows].requires_grad_()
    loss = ((net(x) - target[rows]) ** 3).sum()
    loss.backward()
    return loss, x.grad, [p.grad for p in net.parameters()], list(net.buffers())

torch.set_num_threads(1)
whole = came_to(network(), slice(0, 7))
with start() as place:
    first, end = share(7, rank=place.rank, ranks=place.ranks)
    mine = came_to(with_global_statistics(network()), slice(first, end))
    far = [float((all_sum(mine[0]) - whole[0]).abs())]
    far.append(float((mine[1] - whole[1][first:end]).abs().max()))
    far += [float((all_sum(a) - b).abs().max()) for a, b in zip(mine[2], whole[2])]
    far += [float((a - b).abs().max()) for a, b in zip(mine[3], whole[3])]
    local = nn.BatchNorm1d(2)
    local.running_mean += place.rank
    local.running_var *= 1 + 2 * place.rank
    average_statistics(nn.Sequential(local))
    averaged = [local.running_mean.tolist(), local.running_var.tolist()]
    print(json.dumps({"far": max(far), "averaged": averaged}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_processes_with_unequal_shares_come_to_what_one_comes_to(ranks):
    for _, out, _ in run_ranks([sys.executable, "-c", SHARED], ranks=ranks):
        told = json.loads(out)
        assert told["far"] < 1e-9  # float64, sums of 7 terms of size 10
        mean = (ranks - 1) / 2
        assert told["averaged"] == [[mean] * 2, [1 + 2 * mean] * 2]


def test_one_process_keeps_its_norms():
    net = torch.nn.Sequential(torch.nn.BatchNorm1d(3))
    assert type(with_global_statistics(net)[0]) is torch.nn.BatchNorm1d


def test_the_last_scale_is_held_at_one():
    net = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.BatchNorm1d(3))
    torch.nn.init.constant_(net[1].weight, 5.0)
    fix_last_scale(net)
    assert net[1].weight.tolist() == [1, 1, 1]
    assert [p.requires_grad for p in net.parameters()] == [True, True, False, True]


def test_a_network_without_norms_is_refused():
    with pytest.raises(BadInput, match="the network has none"):
        fix_last_scale(torch.nn.Linear(2, 2))

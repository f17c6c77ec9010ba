"""Memory and unseen work against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tiny_models import NETWORKS, Net
from tronie.runtime.flops import graph_cost
from tronie.runtime.graph_loads import peak_memory, unknown_shapes, unseen_work
from tronie.runtime.shapes import shapes_of

CROP = 3 * 112 * 112


def shapes_in(model):
    return shapes_of(model, size=(112, 112), name="tiny")[1]


def work(model):
    return unseen_work(model, shapes_in(model), graph_cost(model))


def test_a_chain_holds_two_arrays_at_once():
    net = Net()
    y = "x"
    for _ in range(5):
        y = net.add("Relu", y)
    model = net.model(y)
    assert peak_memory(model, shapes_in(model)) == 2 * 4 * CROP


def test_a_branch_is_held_until_it_is_read():
    net = Net()
    first = net.add("Relu", "x")
    second = net.add("Relu", net.add("Relu", first))
    model = net.model(net.add("Add", first, second))
    assert peak_memory(model, shapes_in(model)) == 3 * 4 * CROP


def test_arrays_that_nobody_reads_are_held_while_they_are_made():
    net = Net()
    net.add("Concat", *["x"] * 9, told={"axis": 1})
    model = net.model(net.add("Relu", "x"))
    assert peak_memory(model, shapes_in(model)) == 10 * 4 * CROP


def test_an_honest_convolutional_network_has_no_unseen_products():
    for name in ("honest", "residual", "mobile"):
        assert work(NETWORKS[name]()).products == 0


def test_norms_and_slopes_are_elementwise_work():
    assert work(NETWORKS["honest"]()).elementwise == 2 * 4 * 196 + 2 * 8 * 49


def test_products_of_two_computed_arrays_count_twice_their_additions():
    """One head pair: 17 x 12 x 17 for the scores, 17 x 17 x 12 for the values, two heads."""
    found = work(NETWORKS["transformer"]())
    token = 2 * 17 * 24  # the class token makes the sequence longer than what it came from
    assert found.products == 2 * (2 * 17 * 12 * 17 + 2 * 17 * 17 * 12) + token


def test_einsum_with_stored_weights_is_seen_here():
    net = Net()
    y = net.add("Flatten", "x")
    y = net.add("Einsum", y, net.drawn(CROP, 16), told={"equation": "nc,cd->nd"})
    model = net.model(y)
    assert graph_cost(model).flops_lfr == 0
    assert work(model).products == 2 * CROP * 16


def test_a_layer_written_as_products_and_a_sum_is_seen_here():
    """(N, 49, 1) * (49, 16), summed over 49: a fully connected layer that costs nothing by LFR."""
    net = Net()
    y = net.add("ReduceMean", net.stem(channels=1), told={"axes": [1], "keepdims": 0})
    y = net.add("Reshape", y, net.store([-1, 196, 1], np.int64))
    y = net.add("Mul", y, net.drawn(196, 16))
    model = net.model(net.add("ReduceSum", y, net.store([1], np.int64), told={"keepdims": 0}))
    assert work(model).products == 2 * 196 * 16


@pytest.mark.parametrize("grow", ["Expand", "Tile"])
def test_copies_are_seen_here(grow):
    net = Net()
    y = net.add("Reshape", net.stem(channels=1), net.store([-1, 196, 1], np.int64))
    y = net.add(grow, y, net.store([1, 1, 16], np.int64))
    model = net.model(net.add("ReduceMean", y, told={"axes": [1], "keepdims": 0}))
    assert work(model).products == 2 * 196 * 16


def test_shapes_that_the_file_does_not_tell_are_named():
    net = Net()
    odd = net.add("NonZero", "x")
    model = net.model(net.add("Relu", net.add("Cast", odd, told={"to": 1})))
    assert odd in unknown_shapes(model, shapes_in(model))
    assert unknown_shapes(NETWORKS["honest"](), shapes_in(NETWORKS["honest"]())) == ()

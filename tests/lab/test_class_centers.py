"""Centers by class id: taken, updated, written and read again by other ranks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput  # noqa: E402 - only where torch is
from tronie.lab.nn import class_centers  # noqa: E402
from tronie.lab.nn.class_centers import ClassCenters, shard_of  # noqa: E402
from tronie.lab.nn.keyed_draws import initial_rows  # noqa: E402

pytestmark = pytest.mark.lab

CLASSES, WIDTH = 12, 3
SGD = {"lr": 0.2, "momentum": 0.9, "weight_decay": 0.05}


def centers(classes=CLASSES, **given):
    return ClassCenters(classes=classes, width=WIDTH, seed=4, **given)


def moved(of, rows, times=1.0):
    """One step whose gradient is `times` in the rows taken."""
    (of.take(rows) * times).sum().backward()
    of.step(**SGD)


def now(of):
    with torch.no_grad():
        return of.take().clone()


def after_some_steps(**given):
    made = centers(**given).double()
    for rows in ([0, 3], [1, 2, 3], [11], [0, 5, 6, 7]):
        moved(made, torch.tensor(rows))
    return made


def in_parts(state, *edges):
    """The state as ranks would have written it that begin at these classes."""
    return [
        {**state, "first": low, "rows": {k: v[low:high] for k, v in state["rows"].items()}}
        for low, high in zip((0, *edges), (*edges, CLASSES), strict=True)
    ]


@pytest.mark.parametrize(("classes", "ranks"), [(10, 4), (3, 4), (7, 1), (8, 4)])
def test_slices_follow_each_other_and_differ_by_one_at_most(classes, ranks):
    slices = [shard_of(classes, r, ranks) for r in range(ranks)]
    ids = [i for first, count in slices for i in range(first, first + count)]
    assert ids == list(range(classes))
    assert max(count for _, count in slices) - min(count for _, count in slices) <= 1


def test_centers_begin_by_seed_and_class_and_without_momentum():
    made = centers()
    assert torch.equal(made.values, initial_rows(0, CLASSES, width=WIDTH, seed=4))
    assert not made.momenta.any()
    assert made.steps == 0


def test_labels_become_rows_of_this_rank_or_minus_1(monkeypatch):
    monkeypatch.setattr(class_centers, "rank", lambda group: 1)
    monkeypatch.setattr(class_centers, "world_size", lambda group: 3)
    made = centers()
    assert (made.first, made.count) == (4, 4)
    assert made.local(torch.tensor([3, 4, 7, 8, 0])).tolist() == [-1, 0, 3, -1, -1]


@pytest.mark.parametrize("unsampled", ["exact", "frozen"])
def test_to_take_changes_nothing_and_what_is_not_taken_is_not_touched(unsampled):
    made = after_some_steps(unsampled=unsampled)
    before, others = made.values.clone(), [i for i in range(CLASSES) if i not in (2, 9)]
    (made.take(torch.tensor([2, 9])) ** 2).sum().backward()
    assert torch.equal(made.values, before)
    made.step(**SGD)
    assert torch.equal(made.values[others], before[others])
    assert (made.values[[2, 9]] != before[[2, 9]]).all()


def test_exact_centers_are_those_of_dense_sgd_and_frozen_ones_wait():
    """Momentum and decay in between, written out for one row that is taken in steps 0 and 3."""
    given = {"lr": 0.2, "momentum": 0.9, "weight_decay": 0.05}
    for unsampled in ("exact", "frozen"):
        made = centers(unsampled=unsampled).double()
        w = made.values[5].clone()
        m = torch.zeros(WIDTH, dtype=torch.float64)
        for step in range(4):
            taken = step in (0, 3)
            moved(made, torch.tensor([1, 5] if taken else [1]), times=1.5)
            if taken or unsampled == "exact":
                m = given["momentum"] * m + given["weight_decay"] * w + (1.5 if taken else 0.0)
                w = w - given["lr"] * m
        np.testing.assert_allclose(now(made)[5], w, rtol=1e-12)


def test_what_is_taken_twice_before_a_step_adds_up():
    rows = torch.tensor([1, 4]), torch.tensor([4, 6])
    twice, once = after_some_steps(), after_some_steps()
    for some in rows:
        (twice.take(some) * 2).sum().backward()
    assert len(twice.gradients()) == 2
    twice.step(**SGD)
    both = once.take(torch.tensor([1, 4, 6]))
    (both * torch.tensor([[2.0], [4.0], [2.0]])).sum().backward()
    once.step(**SGD)
    np.testing.assert_allclose(now(twice), now(once), rtol=1e-14)


def test_all_taken_twice_is_one_matrix_that_gathers_both_gradients():
    made = centers()
    assert made.take() is made.take()


def test_some_and_all_add_up_too():
    one, other = centers().double(), centers().double()
    one.take().sum().backward()
    one.take(torch.tensor([3])).sum().backward()
    one.step(**SGD)
    weights = torch.ones(CLASSES, 1)
    weights[3] = 2
    (other.take() * weights).sum().backward()
    other.step(**SGD)
    np.testing.assert_allclose(now(one), now(other), rtol=1e-14)


@pytest.mark.parametrize("unsampled", ["exact", "frozen"])
def test_who_stood_still_is_where_it_was_and_goes_on_as_if_it_had_not(unsampled):
    """Also what waited for steps before it, and after it was written and read."""
    still, other = (after_some_steps(unsampled=unsampled) for _ in range(2))
    before = now(still)
    for _ in range(3):
        still.take(torch.tensor([1, 4])).sum().backward()
        still.stand_still()
    assert still.steps == other.steps + 3
    assert torch.equal(now(still), before)
    again = centers(unsampled=unsampled).double()
    again.load(in_parts(still.state(), 5))
    for one in (still, other, again):
        moved(one, torch.tensor([0, 5, 9]), 0.5)
    assert torch.equal(now(still), now(other))
    assert torch.equal(now(again), now(other))
    assert torch.equal(still.momenta, other.momenta)


def test_discarded_gradients_never_were():
    made, plain = after_some_steps(), after_some_steps()
    made.take(torch.tensor([1, 2])).sum().backward()
    made.discard()
    assert made.gradients() == []
    moved(made, torch.tensor([2]))
    moved(plain, torch.tensor([2]))
    assert torch.equal(made.values, plain.values)


def test_without_gradients_on_nothing_is_remembered():
    made = centers()
    with torch.no_grad():
        made.take(torch.tensor([1]))
        made.take()
    made.step(**SGD)
    assert made.steps == 1


def test_a_step_without_gradients_is_decay_and_momentum_for_all():
    made = after_some_steps()
    before = now(made)
    whole = after_some_steps()
    whole.take().backward(torch.zeros(CLASSES, WIDTH, dtype=torch.float64))
    whole.step(**SGD)
    made.step(**SGD)
    np.testing.assert_allclose(now(made), now(whole), rtol=1e-13)
    assert not torch.equal(now(made), before)


@pytest.mark.parametrize("edges", [(), (5,), (1, 6), (4, 4)])
def test_a_state_in_any_parts_goes_on_bit_for_bit(edges):
    whole, again = after_some_steps(), centers().double()
    again.load(in_parts(whole.state(), *edges)[::-1])
    assert again.steps == 4
    for one in (whole, again):
        moved(one, torch.tensor([1, 3, 8]))
    assert torch.equal(now(again), now(whole))


def test_a_rank_reads_its_slice_of_what_others_wrote(monkeypatch):
    whole = after_some_steps()
    monkeypatch.setattr(class_centers, "rank", lambda group: 1)
    monkeypatch.setattr(class_centers, "world_size", lambda group: 5)
    part = centers().double()
    part.load(in_parts(whole.state(), 4, 6))
    assert torch.equal(now(part), now(whole)[3:6])


def test_its_own_rows_already_filled_are_a_part_too():
    whole, again = after_some_steps(), centers().double()
    own = again.state()
    for name, rows in whole.state()["rows"].items():
        own["rows"][name].copy_(rows)
    again.load([{**whole.state(), "rows": own["rows"]}])
    assert torch.equal(now(again), now(whole))


def test_added_classes_begin_as_in_a_new_run_and_the_others_stay():
    whole, more = after_some_steps(), centers(CLASSES + 5).double()
    more.load([whole.state()])
    fresh = initial_rows(0, CLASSES + 5, width=WIDTH, seed=4)[CLASSES:]
    assert torch.equal(now(more)[:CLASSES], now(whole))
    assert torch.equal(now(more)[CLASSES:], fresh.double())
    assert not more.momenta[CLASSES:].any()


@pytest.mark.parametrize(("from_", "to"), [("exact", "frozen"), ("frozen", "exact")])
def test_the_other_choice_for_unsampled_begins_where_the_first_one_stood(from_, to):
    whole, other = after_some_steps(unsampled=from_), centers(unsampled=to).double()
    other.load([whole.state()])
    np.testing.assert_allclose(now(other), now(whole), rtol=1e-14)
    moved(other, torch.tensor([1, 3]))
    again = centers(unsampled=to).double()
    again.load([other.state()])
    np.testing.assert_allclose(now(again), now(other), rtol=1e-14)


def test_what_is_remembered_stays_as_long_as_the_longest_wait(monkeypatch):
    monkeypatch.setattr(class_centers, "_REMEMBERED", 4)
    made = centers()
    for step in range(200):
        moved(made, torch.tensor([step % CLASSES]))
    assert len(made.state()["missed"]) <= 3 * CLASSES + 4


def test_buffers_are_not_in_the_state_dict_whose_names_know_no_ranks():
    assert not centers().state_dict()


def test_no_classes_are_refused():
    with pytest.raises(BadInput, match=r"a head needs 1 to 2147483648 classes .* got 0 of 3"):
        centers(0)


def test_an_unknown_choice_for_unsampled_is_refused():
    with pytest.raises(BadInput, match="unsampled must be exact or frozen; got 'lazy'"):
        centers(unsampled="lazy")


def test_fewer_classes_than_were_written_are_refused():
    message = r"class centers 0..11 found, 0..8 asked for. Classes may be added, not taken away"
    with pytest.raises(BadInput, match=message):
        centers(9).load([centers().state()])


def test_centers_of_another_width_are_refused():
    other = ClassCenters(classes=CLASSES, width=5, seed=4)
    with pytest.raises(BadInput, match="class centers have 5 numbers each; 3 asked for"):
        centers().load([other.state()])


def test_parts_that_leave_a_class_out_are_refused():
    parts = in_parts(centers().state(), 4, 6)
    with pytest.raises(BadInput, match=r"centers 0\.\.11, but 4 is in none of the parts given"):
        centers().load([parts[0], parts[2]])


def test_parts_of_two_steps_are_refused():
    first = centers()
    later = after_some_steps()
    with pytest.raises(BadInput, match="got 12 classes at step 0 and 12 at step 4"):
        centers().load([in_parts(first.state(), 6)[0], in_parts(later.state(), 6)[1]])


def test_no_parts_are_refused():
    with pytest.raises(BadInput, match="need the parts of the ranks that wrote them; got none"):
        centers().load([])

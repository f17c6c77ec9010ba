"""The dense branch: where it looks, what it compares, and that it learns from pixels alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from detector_toys import drawn  # noqa: E402 - only where torch is
from tronie.lab.nn.retinaface_dense import (  # noqa: E402
    SIZE,
    DenseBranch,
    DenseOutputs,
    crops,
    evenly,
    places_of,
)

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def outputs(images, maps):
    return DenseOutputs(
        scores=torch.zeros(1),
        distances=torch.zeros(1),
        points=None,
        levels=(),
        images=images,
        maps=tuple(maps),
    )


def test_at_most_so_many_are_drawn_spread_over_all():
    cpu = torch.device("cpu")
    assert evenly(5, 16, device=cpu).tolist() == [0, 1, 2, 3, 4]
    assert evenly(32, 4, device=cpu).tolist() == [0, 8, 16, 24]
    assert evenly(0, 4, device=cpu).tolist() == []
    some = evenly(1000, 16, device=cpu)
    assert len(set(some.tolist())) == 16
    assert some.max() < 1000


def test_numbers_are_taken_from_the_place_of_the_anchor():
    maps = [torch.rand(2, 3, 4, 5), torch.rand(2, 3, 2, 3)]
    picture, place = torch.tensor([1, 0, 1, 0]), torch.tensor([0, 19, 20, 25])
    got = places_of(maps, picture, place)
    wanted = [maps[0][1, :, 0, 0], maps[0][0, :, 3, 4], maps[1][1, :, 0, 0], maps[1][0, :, 1, 2]]
    assert torch.equal(got, torch.stack(wanted))


def test_each_anchor_is_drawn_from_its_own_numbers(monkeypatch):
    torch.manual_seed(0)
    branch, seen = DenseBranch(4, per_cell=3), []
    draw = branch.draw
    monkeypatch.setattr(branch, "draw", lambda numbers: seen.append(numbers) or draw(numbers))
    maps = [torch.rand(2, 4, 2, 3), torch.rand(2, 4, 1, 1)]
    picture, anchor = torch.tensor([0, 1, 1]), torch.tensor([3 * 4 + 1, 3 * 5, 3 * 6 + 2])
    branch.loss(
        outputs(torch.rand(2, 3, 16, 16), maps),
        picture,
        anchor,
        centers=torch.full((3, 2), 8.0),
        sides=torch.full((3,), 8.0),
    )
    wanted = [
        branch.numbers(maps[0][0, :, 1, 1])[144:288],
        branch.numbers(maps[0][1, :, 1, 2])[:144],
        branch.numbers(maps[1][1, :, 0, 0])[288:],
    ]
    torch.testing.assert_close(seen[0], torch.stack(wanted))


def test_it_is_computed_in_float32_where_the_network_is_not():
    torch.manual_seed(0)
    branch = DenseBranch(4, per_cell=1)
    maps = torch.rand(1, 4, 1, 1).bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = branch.loss(
            outputs(torch.rand(1, 3, 16, 16), [maps]),
            *[torch.zeros(1, dtype=torch.int64)] * 2,
            centers=torch.full((1, 2), 8.0),
            sides=torch.full((1,), 16.0),
        )
    assert loss.dtype == torch.float32
    loss.backward()
    assert maps.grad.isfinite().all()


def test_a_crop_is_the_square_of_the_anchor():
    """Where a pixel of the crop is a pixel of the picture, it has its colors."""
    images = torch.rand(2, 3, 40, 50)
    centers, sides = torch.tensor([[24.0, 20.0], [5.0, 38.0]]), torch.tensor([32.0, 16.0])
    seen, inside = crops(images, torch.tensor([1, 0]), centers, sides, size=32)
    torch.testing.assert_close(seen[0], images[1, :, 4:36, 8:40], rtol=1e-4, atol=1e-4)
    assert inside[0].all()
    rows, columns = inside[1].any(dim=1), inside[1].any(dim=0)
    assert (int(rows.sum()), int(columns.sum())) == (20, 26)  # 10 of 16 pixels, 13 of 16


def test_a_fresh_branch_draws_a_face_in_the_middle_of_its_square():
    torch.manual_seed(0)
    with torch.no_grad():
        picture, covered = DenseBranch(4, per_cell=1).draw(torch.zeros(1, 144))
    assert 0.4 < covered.float().mean() < 0.7
    rows, columns = covered[0].any(dim=1).nonzero(), covered[0].any(dim=0).nonzero()
    assert abs(float(columns.float().mean()) - (SIZE - 1) / 2) < 1
    assert abs(float(rows.float().mean()) - (SIZE - 1) / 2) < 2
    assert 0.4 < picture[0, 0][covered[0]].mean() < 0.6


def test_without_anchors_it_costs_nothing_and_still_gives_gradients():
    branch = DenseBranch(4, per_cell=2)
    none = torch.zeros(0, dtype=torch.int64)
    loss = branch.loss(
        outputs(torch.rand(1, 3, 16, 16), [torch.rand(1, 4, 2, 2)]),
        none,
        none,
        centers=torch.zeros(0, 2),
        sides=torch.zeros(0),
    )
    loss.backward()
    assert loss == 0
    assert all(p.grad is not None for p in branch.parameters())


def test_a_pixel_that_is_drawn_as_it_is_seen_costs_nothing():
    torch.manual_seed(0)
    branch = DenseBranch(4, per_cell=1)
    for part in (branch.numbers.weight, branch.decoder.last.mix.weight):
        torch.nn.init.zeros_(part)
    with torch.no_grad():
        picture, covered = branch.draw(torch.zeros(1, 144))
    images = (2 * picture - 1).clone()
    given = outputs(images, [torch.rand(1, 4, 1, 1)])
    place = {"centers": torch.full((1, 2), SIZE / 2), "sides": torch.tensor([float(SIZE)])}
    one = torch.zeros(1, dtype=torch.int64)
    assert branch.loss(given, one, one, **place) < 1e-5
    given.images = images + 0.2  # of 2 between black and white: 0.1 for each of three colors
    wanted = 0.3 * covered.float().mean()
    torch.testing.assert_close(branch.loss(given, one, one, **place), wanted, rtol=1e-4, atol=1e-5)


def test_it_learns_a_drawn_face_from_its_pixels():
    torch.manual_seed(0)
    image, boxes, _ = drawn(0)
    x1, y1, x2, y2 = boxes[0]
    branch = DenseBranch(8, per_cell=1)
    maps = torch.randn(1, 8, 1, 1)
    one = torch.zeros(1, dtype=torch.int64)
    place = {
        "centers": torch.tensor([[(x1 + x2) / 2, (y1 + y2) / 2]]),
        "sides": torch.tensor([max(x2 - x1, y2 - y1)]),
    }
    optimizer = torch.optim.Adam(branch.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = branch.loss(outputs(image[None], [maps]), one, one, **place)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]

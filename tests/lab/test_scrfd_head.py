"""The head: where an anchor's numbers come from, what levels share, what a fresh one says."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.scrfd_head import MapNorm, ScrfdHead  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

STRIDES = (8, 16)


def head(**changes):
    settings = {
        "strides": STRIDES,
        "depth": 2,
        "groups": 2,
        "depthwise": False,
        "per_cell": 2,
        "points": True,
        "scaled": True,
    }
    torch.manual_seed(0)
    return ScrfdHead(4, 6, **{**settings, **changes})


def maps(batch=2):
    draw = torch.Generator().manual_seed(1)
    return [
        torch.rand(batch, 4, 3, 5, generator=draw),
        torch.rand(batch, 4, 2, 3, generator=draw),
    ]


def test_anchors_lie_level_by_level_row_by_row_and_twice_at_each_place():
    module, given = head(), maps()
    out = module(given)
    assert out.levels == ((8, 3, 5), (16, 2, 3))
    branch = module.branches[0]
    a = 0
    for map_ in given:
        score, distance, point = branch(map_)
        for row in range(map_.shape[2]):
            for column in range(map_.shape[3]):
                for j in range(2):
                    place = (slice(None), row, column)
                    torch.testing.assert_close(out.scores[1, a], score[1][place][j])
                    wanted = distance[1][place][4 * j : 4 * j + 4]
                    torch.testing.assert_close(out.distances[1, a], wanted)
                    wanted = point[1][place][10 * j : 10 * j + 10]
                    torch.testing.assert_close(out.points[1, a], wanted)
                    a += 1
    assert a == out.scores.shape[1]


def test_distances_of_a_level_are_multiplied_by_its_number():
    module, given = head(), maps()
    before = module(given)
    with torch.no_grad():
        module.scales.copy_(torch.tensor([2.0, 3.0]))
    after = module(given)
    torch.testing.assert_close(after.distances[:, :30], 2 * before.distances[:, :30])
    torch.testing.assert_close(after.distances[:, 30:], 3 * before.distances[:, 30:])
    torch.testing.assert_close(after.points, before.points)
    assert head(scaled=False).scales is None


def test_group_norm_is_shared_by_all_levels_and_batch_norm_by_none():
    assert len(head().branches) == 1
    own = head(groups=None)
    assert len(own.branches) == 2
    before = own.eval()(maps())
    with torch.no_grad():
        own.branches[1].scores.bias.add_(1)
    after = own(maps())
    assert torch.equal(after.scores[:, :30], before.scores[:, :30])
    assert not torch.equal(after.scores[:, 30:], before.scores[:, 30:])


@pytest.mark.parametrize("depthwise", [False, True])
def test_a_fresh_head_says_a_hundredth_everywhere(depthwise):
    scores = head(depthwise=depthwise)(maps()).scores.sigmoid()
    torch.testing.assert_close(scores, torch.full_like(scores, 0.01), rtol=0.2, atol=0)


def test_without_points_there_are_none():
    assert head(points=False)(maps()).points is None


def test_a_depthwise_tower_filters_and_mixes_in_turn():
    convs = [p for p in head(depthwise=True).branches[0].tower if isinstance(p, torch.nn.Conv2d)]
    assert [(p.groups, p.kernel_size[0], p.out_channels) for p in convs] == [
        (4, 3, 4),
        (1, 1, 6),
        (6, 3, 6),
        (1, 1, 6),
    ]


def test_group_norm_takes_a_map_of_one_place_as_published_graphs_do():
    norm = MapNorm(4, 4)
    with torch.no_grad():
        norm.bias.copy_(torch.arange(4.0))
    got = norm(torch.rand(1, 4, 1, 1))
    torch.testing.assert_close(got.flatten(), torch.arange(4.0))
    more = torch.rand(2, 4, 3, 3)
    torch.testing.assert_close(norm(more), torch.nn.functional.group_norm(more, 4, bias=norm.bias))

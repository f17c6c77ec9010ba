"""The head: what becomes of two logits, and who shares what."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.retinaface_head import RetinaFaceHead  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def made(*, shared):
    torch.manual_seed(0)
    head = RetinaFaceHead(6, strides=(8, 16), per_cell=3, shared=shared).eval()
    for part in head.parameters():
        torch.nn.init.normal_(part)
    return head


def maps_of():
    return [torch.rand(2, 6, 4, 5), torch.rand(2, 6, 2, 3)]


@pytest.mark.parametrize("shared", [False, True])
def test_the_sigmoid_of_a_score_is_the_softmax_of_its_logits(shared):
    head, maps = made(shared=shared), maps_of()
    with torch.no_grad():
        scores = head(maps).scores
        logits = head.ends[0].classes(maps[0])
    for anchor in range(3):
        pair = logits[:, 2 * anchor : 2 * anchor + 2]
        face = pair.softmax(dim=1)[:, 1].flatten(1)
        torch.testing.assert_close(scores[:, :60].sigmoid()[:, anchor::3], face)


def test_a_shared_head_says_the_same_of_the_same_map_at_any_level():
    one = torch.rand(1, 6, 2, 3)
    with torch.no_grad():
        shared, own = (made(shared=flag)([one, one]) for flag in (True, False))
    assert shared.levels == ((8, 2, 3), (16, 2, 3))
    assert torch.equal(shared.points[:, :18], shared.points[:, 18:])
    assert not torch.equal(own.points[:, :18], own.points[:, 18:])
    assert own.distances.shape == (1, 36, 4)


def test_a_fresh_head_is_undecided():
    head = RetinaFaceHead(64, strides=(8,), per_cell=2, shared=True)
    with torch.no_grad():
        assert head([torch.rand(1, 64, 9, 9)]).scores.sigmoid().sub(0.5).abs().max() < 0.1

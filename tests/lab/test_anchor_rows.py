"""Maps to rows: which number of which map lands in which row."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.anchor_rows import LevelMaps, outputs_of, rows_of  # noqa: E402 - where torch is

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def test_a_row_holds_the_numbers_of_one_anchor_at_one_place():
    maps = torch.rand(2, 3 * 4, 2, 5)
    rows = rows_of(maps, 4)
    assert rows.shape == (2, 2 * 5 * 3, 4)
    for row in range(2):
        for column in range(5):
            for anchor in range(3):
                wanted = maps[:, 4 * anchor : 4 * anchor + 4, row, column]
                assert torch.equal(rows[:, (row * 5 + column) * 3 + anchor], wanted)


@pytest.mark.parametrize("points", [False, True])
def test_levels_follow_one_another(points):
    def level(stride, rows, columns):
        five = torch.rand(1, 20, rows, columns) if points else None
        return LevelMaps(
            stride, torch.rand(1, 2, rows, columns), torch.rand(1, 8, rows, columns), five
        )

    fine, coarse = level(8, 3, 4), level(16, 2, 2)
    outputs = outputs_of([fine, coarse])
    assert outputs.levels == ((8, 3, 4), (16, 2, 2))
    assert outputs.scores.shape == (1, 24 + 8)
    assert torch.equal(outputs.scores[0, 24:], rows_of(coarse.scores, 1)[0, :, 0])
    assert torch.equal(outputs.distances[:, :24], rows_of(fine.distances, 4))
    assert (outputs.points is not None) == points

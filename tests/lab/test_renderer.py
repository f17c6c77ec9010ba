"""The renderer beside pictures worked out by hand, and its gradients beside finite differences."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.renderer import (  # noqa: E402 - only where torch is
    Camera,
    Light,
    project,
    render,
    shading,
)

pytestmark = pytest.mark.lab
torch.set_num_threads(1)

TRIANGLE = torch.tensor([[0, 2, 1]])


def numbers(*values):
    return torch.tensor([values], dtype=torch.float64)


def camera(location=(0.0, 0, 0), pose=(0.0, 0, 0), focal=1.0):
    return Camera(
        location=numbers(*location), pose=numbers(*pose), focal=torch.tensor([focal]).double()
    )


def light(location=(0.0, 0, -9), color=(0.0, 0, 0), ambient=(1.0, 1, 1)):
    return Light(location=numbers(*location), color=numbers(*color), ambient=numbers(*ambient))


def flat(*corners, depth=2.0):
    """Vertices that a camera at the origin with focal length 1 sees at these places."""
    return torch.tensor([[[x * depth, y * depth, depth] for x, y in corners]]).double()


def test_a_triangle_covers_as_many_pixels_as_its_area_says():
    corners = [(-0.8, -0.7), (0.9, -0.2), (-0.1, 0.8)]
    (ax, ay), (bx, by), (cx, cy) = corners
    area = abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) / 2
    _, covered = render(
        flat(*corners),
        torch.ones(1, 3, 3).double(),
        TRIANGLE,
        camera=camera(),
        light=light(),
        size=128,
    )
    assert covered.double().mean() * 4 == pytest.approx(area, rel=0.01)


def test_colors_are_mixed_by_their_share_of_the_triangle():
    """A color that is linear on the screen is met at each pixel, at one depth."""
    vertices = flat((-0.9, -0.9), (0.9, -0.9), (-0.9, 0.9))
    colors = torch.stack([vertices[..., 0] / 2, vertices[..., 1] / 2, vertices[..., 2]], dim=-1)
    picture, covered = render(vertices, colors, TRIANGLE, camera=camera(), light=light(), size=16)
    middle = (torch.arange(16).double() + 0.5) / 8 - 1
    wanted = torch.stack([middle.expand(16, 16), middle[:, None].expand(16, 16)])
    torch.testing.assert_close(picture[0, :2] * covered, wanted * covered)
    assert (picture[:, :, ~covered[0]] == 0).all()
    assert covered[0, 1, 1]
    assert not covered[0, 14, 14]


def test_what_is_nearer_hides_what_is_behind_and_depth_bends_the_mixture():
    near, far = flat((-1, -1), (1, -1), (-1, 1), depth=1.0), flat((-1, -1), (1, -1), (-1, 1))
    for order in ((near, far), (far, near)):
        vertices = torch.cat(order, dim=1)
        colors = (vertices[..., 2:] == 1).double().expand(-1, -1, 3)
        picture, covered = render(
            vertices,
            colors,
            torch.tensor([[0, 2, 1], [3, 5, 4]]),
            camera=camera(),
            light=light(),
            size=8,
        )
        assert covered.any()
        assert (picture[0, 0][covered[0]] == 1).all()
    tilted = torch.tensor([[[-1.0, -1, 1], [3, -3, 3], [-1, 1, 1]]]).double()
    depth = tilted[..., 2:].expand(-1, -1, 3)
    picture, covered = render(tilted, depth, TRIANGLE, camera=camera(), light=light(), size=9)
    # The plane through the three corners is x = 2 z - 3: at screen x the depth is 3 / (2 - x).
    middle = ((torch.arange(9).double() + 0.5) * 2 / 9 - 1).expand(9, 9)
    wanted = (3 / (2 - middle))[covered[0]]
    torch.testing.assert_close(picture[0, 0][covered[0]], wanted)


def test_each_pixel_shows_the_triangle_that_a_loop_over_all_of_them_finds():
    """Each triangle has a color of its own, the same at its corners; some are large, most small."""
    draw = torch.Generator().manual_seed(5)
    middle = torch.rand(30, 1, 2, generator=draw).double() * 2.4 - 1.2
    spread = torch.rand(30, 1, 1, generator=draw).double() ** 3
    corners = middle + spread * torch.randn(30, 3, 2, generator=draw).double()
    depth = 2 + torch.rand(30, 3, 1, generator=draw).double()
    vertices = torch.cat([corners * depth, depth], dim=2).reshape(1, 90, 3)
    triangles = torch.arange(90).reshape(30, 3)
    colors = (torch.arange(30).double() + 1).repeat_interleave(3)[None, :, None].expand(1, 90, 3)
    picture, _ = render(vertices, colors, triangles, camera=camera(), light=light(), size=12)
    for row in range(12):
        for column in range(12):
            x, y = (column + 0.5) / 6 - 1, (row + 0.5) / 6 - 1
            nearest, shown = 0.0, 0
            for t in range(30):
                (ax, ay), (bx, by), (cx, cy) = corners[t].tolist()
                area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
                w = [
                    ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area,
                    ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area,
                    ((ax - x) * (by - y) - (ay - y) * (bx - x)) / area,
                ]
                near = sum(share / z for share, z in zip(w, depth[t, :, 0].tolist(), strict=True))
                if min(w) >= 0 and near > nearest:
                    nearest, shown = near, t + 1
            assert picture[0, 0, row, column].item() == pytest.approx(shown)


def test_the_camera_moves_turns_and_enlarges():
    vertices = torch.tensor([[[0.0, 0, 0]]]).double()
    at = camera(location=(1.0, 0, -2), focal=3.0)
    screen, depth = project(vertices, at)
    torch.testing.assert_close(screen, numbers(-1.5, 0)[None])
    assert depth.item() == 2
    angle = math.atan2(1, 2)
    turned, _ = project(vertices, camera(location=(1.0, 0, -2), pose=(0.0, angle, 0)))
    torch.testing.assert_close(turned, numbers(0, 0)[None])
    rolled, _ = project(flat((0.3, 0)), camera(pose=(0.0, 0, math.pi / 2)))
    torch.testing.assert_close(rolled, numbers(0, 0.3)[None])


def test_light_falls_by_the_cosine_and_not_from_behind():
    vertices = torch.tensor([[[-1.0, -1, 0], [1, -1, 0], [-1, 1, 0]]]).double()
    above = light(location=(-1.0, -1, -5), color=(0.5, 0, 0), ambient=(0.2, 0.2, 0.2))
    factor = shading(vertices, TRIANGLE, above)
    torch.testing.assert_close(factor[0, 0], numbers(0.7, 0.2, 0.2)[0])
    torch.testing.assert_close(factor[0, 1], numbers(0.2 + 0.5 * 5 / math.hypot(2, 5), 0.2, 0.2)[0])
    behind = light(location=(-1.0, -1, 5), color=(0.5, 0, 0), ambient=(0.2, 0.2, 0.2))
    torch.testing.assert_close(
        shading(vertices, TRIANGLE, behind), torch.full((1, 3, 3), 0.2).double()
    )


def test_what_lies_behind_the_camera_or_has_no_area_is_not_drawn():
    for vertices in (
        flat((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), depth=-2.0),
        torch.tensor([[[-1.0, -1, 2], [1, -1, -2], [-1, 1, 2]]]).double(),
        flat((0.1, 0.1), (0.1, 0.1), (0.5, 0.5)),
    ):
        vertices = vertices.requires_grad_()
        picture, covered = render(
            vertices, torch.ones(1, 3, 3).double(), TRIANGLE, camera=camera(), light=light(), size=8
        )
        assert not covered.any()
        picture.sum().backward()
        assert vertices.grad.isfinite().all()


def test_gradients_are_those_of_finite_differences():
    """Of places, colors, camera and light; two meshes, whose triangles stay where they are."""
    draw = torch.Generator().manual_seed(3)

    def drawn(*shape, scale=0.1):
        return (scale * torch.randn(*shape, generator=draw, dtype=torch.float64)).requires_grad_()

    corners = torch.tensor(
        [[-0.93, -0.87, 0], [0.91, -0.83, 0], [-0.89, 0.97, 0.2], [0.81, 0.79, 0]]
    )
    triangles = torch.tensor([[0, 2, 1], [1, 2, 3]])

    def picture(moved, colors, location, pose, focal, lamp, color, ambient):
        seen, _ = render(
            corners.double() + moved,
            colors,
            triangles,
            camera=Camera(
                location=numbers(0, 0, -3) + location, pose=pose, focal=2.5 + focal[:, 0]
            ),
            light=Light(
                location=numbers(0.3, 0.2, -4) + lamp, color=0.5 + color, ambient=0.5 + ambient
            ),
            size=5,
        )
        return seen

    given = [drawn(2, 4, 3, scale=0.02), drawn(2, 4, 3, scale=1)]
    given += [drawn(2, n, scale=0.02) for n in (3, 3, 1, 3, 3, 3)]
    assert torch.autograd.gradcheck(picture, tuple(given), eps=1e-7, atol=1e-5)

"""The decoder: a grey face when fresh, and able to learn another."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.lab.nn.mesh_decoder import CODE, MeshDecoder  # noqa: E402 - only where torch is

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def test_a_fresh_decoder_gives_nearly_the_face_in_grey():
    torch.manual_seed(0)
    with torch.no_grad():
        vertices, colors = MeshDecoder()(torch.zeros(2, CODE))
    decoder = MeshDecoder()
    assert vertices.shape == colors.shape == (2, 33 * 33, 3)
    assert decoder.triangles.shape == (2 * 32 * 32, 3)
    torch.testing.assert_close(vertices, decoder.face.expand(2, -1, -1), rtol=0, atol=0.05)
    torch.testing.assert_close(colors, torch.full_like(colors, 0.5), rtol=0, atol=0.05)


def test_what_follows_from_the_code_is_not_saved():
    assert all("mix" in name or "first" in name for name in MeshDecoder().state_dict())


def test_it_learns_a_mesh_by_heart():
    torch.manual_seed(0)
    decoder, code = MeshDecoder(), torch.randn(1, CODE)
    x, y, z = decoder.face.unbind(dim=1)
    wanted = torch.stack([1.2 * x, y + 0.1 * x, z], dim=1)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=3e-3)
    for _ in range(30):
        vertices, _ = decoder(code)
        loss = (vertices[0] - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1 * (decoder.face - wanted).square().mean()

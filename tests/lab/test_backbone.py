"""Backbones by name: built as published or as asked, refused with the nearest name."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.errors import NotFound  # noqa: E402 - only where torch is
from tronie.lab.nn.backbone import build_backbone, names, variant_of  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


def test_a_name_is_a_file_and_one_of_its_variants():
    assert {"iresnet-18", "iresnet-124-7x7", "mobilefacenet-y2", "vit-l"} <= set(names())
    assert variant_of("mobilefacenet-y1").embedding_size == 128


def test_underscores_do_for_hyphens():
    assert variant_of("iresnet_152_se") is variant_of("iresnet-152-se")


def test_the_embedding_is_as_long_as_published_or_as_asked():
    with torch.device("meta"):
        pictures = torch.empty(2, 3, 112, 112)
        assert build_backbone("mobilefacenet-y1")(pictures).shape == (2, 128)
        assert build_backbone("mobilefacenet-y1", embedding_size=64)(pictures).shape == (2, 64)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(NotFound, match=r"no entry 'iresnet-101' .* Did you mean 'iresnet-100'\?"):
        build_backbone("iresnet-101")


def test_a_file_without_its_variant_is_no_name():
    with pytest.raises(NotFound, match="no entry 'vit' in"):
        variant_of("vit")

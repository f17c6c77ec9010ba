"""A missing torch is a sentence; any other missing module is a fault of ours."""

from __future__ import annotations

import pytest

from tronie.cli.needs_torch import torch_needed
from tronie.errors import EngineUnavailable


@pytest.mark.parametrize("name", ["torch", "torch.nn"])
def test_a_missing_torch_says_how_to_install_it(name):
    with (
        pytest.raises(EngineUnavailable, match=r"tronie train needs torch, .*tronie\[train\]"),
        torch_needed("tronie train"),
    ):
        raise ModuleNotFoundError(name=name)


def test_another_missing_module_is_not_hidden():
    with pytest.raises(ModuleNotFoundError, match="no nonsense"), torch_needed("tronie train"):
        raise ModuleNotFoundError("no nonsense", name="nonsense")

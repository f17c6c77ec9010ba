r"""What a network costs, counted while it runs on tensors without contents.

Two rules, for one picture:

    "lfr"    FLOPs of convolutions and fully connected layers, nothing else:
                 convolution      (2 Cin kh kw - [no bias]) Ho Wo Cout / groups, rounded down
                 fully connected  (2 Cin - [no bias]) Cout, for each row it is applied to
             Norms, activations, pooling, sums, and products of two activations are free.
    "macs"   multiply-adds of convolutions, fully connected layers, and products of two
             matrices (attention):
                 convolution      Cin kh kw Ho Wo Cout / groups
                 product          rows x inner x columns

The network is traced on torch's meta device, so weights need no memory and counting takes a
fraction of a second for any size. It is traced as in evaluation.

Source: `flops_counter.py` of the Lightweight Face Recognition challenge (ICCV 2019) for "lfr",
its limits being 1 and 30 GFLOPs. Differs from it: a fully connected layer may be applied to
several rows, as a transformer does; the original knows none.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

Rule = Literal["lfr", "macs"]


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One product of the network: the module it ran in, what it is, and its cost."""

    name: str
    """Path of the module, as in "stages.0.body.1"; "" for the network itself."""
    kind: Literal["convolution", "fully connected", "matrix product"]
    flops_lfr: int
    macs: int


def layer_costs(module: nn.Module, *, size: tuple[int, int] = (112, 112)) -> tuple[LayerCost, ...]:
    """Every product of `module` on one picture of (height, width) `size`, in order.

    `module` takes (N, 3, H, W) float32. It is copied, and stays as it is.
    """
    traced = on_meta(module).eval()
    tracer = _Tracer()
    with torch.no_grad(), tracer.naming(traced), tracer:
        traced(torch.empty(1, 3, *size, device="meta"))
    return tuple(tracer.found)


def count_flops(module: nn.Module, *, rule: Rule, size: tuple[int, int] = (112, 112)) -> int:
    """FLOPs by the "lfr" rule, or multiply-adds by "macs", of one picture of (height, width)."""
    layers = layer_costs(module, size=size)
    return sum(layer.flops_lfr if rule == "lfr" else layer.macs for layer in layers)


def parameters(module: nn.Module) -> int:
    """Numbers that are parameters, each counted once; statistics of batch norms are none."""
    return sum(p.numel() for p in module.parameters())


def checkpoint_bytes(module: nn.Module) -> int:
    """Bytes of all floating-point numbers that training keeps of the network alone."""
    kept = [t for t in module.state_dict().values() if t.is_floating_point()]
    return sum(t.numel() * t.element_size() for t in kept)


def on_meta(module: nn.Module) -> nn.Module:
    """A copy of `module` whose tensors have shapes but no contents."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        empty = torch.empty_like(parameter, device="meta")
        memo[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(module, memo)


class _Tracer(TorchDispatchMode):
    """Notes the products that torch is asked for, and the module that asked."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[LayerCost] = []
        self._inside: list[str] = [""]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        answer = func(*args, **(kwargs or {}))
        count = _PRODUCTS.get(func.overloadpacket)
        if count is not None:
            kind, flops_lfr, macs = count(args, answer)
            self.found.append(
                LayerCost(name=self._inside[-1], kind=kind, flops_lfr=flops_lfr, macs=macs)
            )
        return answer

    @contextmanager
    def naming(self, module: nn.Module) -> Iterator[None]:
        """Follow which part of `module` is running."""
        handles = []
        for name, part in module.named_modules():

            def enter(_: nn.Module, __: Any, name: str = name) -> None:
                self._inside.append(name)

            def leave(_: nn.Module, __: Any, ___: Any) -> None:
                self._inside.pop()

            handles += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


_Kind = Literal["convolution", "fully connected", "matrix product"]
_Counted = tuple[_Kind, int, int]


def _convolution(args: tuple[Any, ...], answer: Tensor) -> _Counted:
    picture, weight, bias = args[:3]
    transposed, groups = bool(args[6]), int(args[8])
    # A transposed convolution multiplies each place that comes in, not each that goes out.
    places = math.prod((picture if transposed else answer).shape[2:])
    inner = int(picture.shape[1])
    outer = int(answer.shape[1])
    window = math.prod(weight.shape[2:])
    macs = inner * window * places * outer // groups
    flops = (2 * inner * window - (bias is None)) * places * outer // groups
    return "convolution", flops, macs


def _biased(args: tuple[Any, ...], answer: Tensor) -> _Counted:
    macs = answer.numel() * int(args[1].shape[1])
    return "fully connected", 2 * macs, macs


def _unbiased(args: tuple[Any, ...], answer: Tensor) -> _Counted:
    macs = answer.numel() * int(args[0].shape[1])
    return "fully connected", 2 * macs - answer.numel(), macs


def _product(args: tuple[Any, ...], answer: Tensor) -> _Counted:
    return "matrix product", 0, answer.numel() * int(args[0].shape[-1])


def _product_added(args: tuple[Any, ...], answer: Tensor) -> _Counted:
    return "matrix product", 0, answer.numel() * int(args[1].shape[-1])


def _attention(args: tuple[Any, ...], answer: Any) -> _Counted:
    query, key, value = args[:3]
    pairs = math.prod(query.shape[:-1]) * int(key.shape[-2])
    return "matrix product", 0, pairs * (int(query.shape[-1]) + int(value.shape[-1]))


_aten = torch.ops.aten
_PRODUCTS: dict[Any, Callable[[tuple[Any, ...], Any], _Counted]] = {
    _aten.convolution: _convolution,
    _aten.addmm: _biased,
    _aten.mm: _unbiased,
    _aten.bmm: _product,
    _aten.baddbmm: _product_added,
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    _aten._scaled_dot_product_flash_attention: _attention,
    _aten._scaled_dot_product_efficient_attention: _attention,
    _aten._scaled_dot_product_attention_math: _attention,
    _aten._scaled_dot_product_fused_attention_overrideable: _attention,
}
"""What torch's operators multiply. The two products of an attention are counted as one."""

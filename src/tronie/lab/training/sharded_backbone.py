"""A backbone whose weights lie over the processes, put together part by part where they compute.

    kept in each process     1 / R of the weights, of their gradients and of what the optimizer has
    forward, backward        a part's weights are gathered before it computes, and let go after
    gradient                 averaged over the processes as it is cut up again (reduce-scatter)

It does what data-parallel training does, in another order of sums, and with less memory: R
processes hold one network and not R. In exchange every weight travels twice in each part of a step.

A part is what stands in a row of modules (`nn.Sequential`), such as a block of a transformer, if
it has a hundredth of all weights or more; whatever is smaller is one part together. Each matrix is
cut along its rows, as `Rows` of a checkpoint are. Gradients are exchanged in every part of an
accumulated step: to wait for the last would keep whole ones.

It is torch's FSDP2 (`fully_shard`). In bf16 and fp16 what is gathered is float32, as it is
everywhere in the lab; autocast rounds it behind that, and keeps the rounded copies until backward.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor

from tronie.lab.nn.collectives import world_size
from tronie.lab.training.checkpoint import StoredState

LEAST_SHARE = 0.01
"""Of all weights, for a part to be gathered by itself."""


def shard_backbone(backbone: nn.Module, device: torch.device) -> None:
    """Cut the weights of `backbone`, which is on `device`, over all processes, in place."""
    mesh = init_device_mesh(device.type, (world_size(),))
    for part in list(parts_of(backbone)):
        fully_shard(part, mesh=mesh)
    fully_shard(backbone, mesh=mesh)


def parts_of(backbone: nn.Module) -> Iterator[nn.Module]:
    """The modules that are gathered one by one; the rest of the network is another part."""
    least = LEAST_SHARE * weights_in(backbone)

    def below(module: nn.Module) -> Iterator[nn.Module]:
        for one in module.children():
            in_a_row = isinstance(module, nn.Sequential) and not isinstance(one, nn.Sequential)
            if not in_a_row:
                yield from below(one)
            elif weights_in(one) >= least:
                yield one

    return below(backbone)


def weights_in(module: nn.Module) -> int:
    """Numbers, over all processes."""
    return sum(parameter.numel() for parameter in module.parameters())


def gathered_plan(backbone: nn.Module) -> dict[str, int]:
    """Bytes of weights that are whole at one time, by what they are for; nothing where none is cut.

    Those of what is smaller than a part, of the part that computes, and of the one on its way.
    """
    if not isinstance(backbone, FSDPModule):
        return {}
    each = sorted((weights_in(part) for part in parts_of(backbone)), reverse=True)
    rest = weights_in(backbone) - sum(each)
    size = max(parameter.element_size() for parameter in backbone.parameters())
    return {"backbone weights gathered": size * (rest + sum(each[:2]))}


def own_part(tensor: Tensor) -> Tensor:
    """What of a tensor is in this process: all of it where it is not cut."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def total_norm(gradients: Iterable[Tensor]) -> Tensor:
    """The length of all gradients as one vector, over all processes where they are cut."""
    norm = torch.nn.utils.get_total_norm(gradients)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def stored_for(parameter: Tensor, stored: StoredState, name: str) -> Tensor:
    """What an optimizer kept of a parameter, on its device, cut as it is.

    Raises:
        BadFile: it is not there, or is damaged.
    """
    if isinstance(parameter, DTensor) and stored.shape(name) == parameter.shape:
        kept = torch.zeros_like(parameter).detach()
        stored.fill({name: kept})
        return kept
    value = stored.tensor(name)
    return value if name.endswith("/step") else value.to(parameter.device)  # torch counts on a CPU

"""Parts of tensors on disk: how torch's distributed checkpoint is told of them, and lists them.

    tensors.json    {"format": 2, "step": 1200, "note": {...}, "tensors": {NAME: {"dtype", "shape",
                    "parts": [{"offsets", "shape", "file", "at", "bytes", "crc32"}, ...]}, ...},
                    "crc32": of all that stands before it}

The sum of each part is compared when it is read, that of the list when it is opened. Format 1, of
earlier checkpoints, has no sums.

Torch plans who writes what, writes the parts, and finds which of them a process needs. What is
different here: a tensor may be some rows of a larger one (`Rows`), of any number and from any row
on; and the list is JSON, from which nothing can be called. A tensor that torch has cut along its
rows over all processes (`DTensor`) is the rows of it that are here.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    LoadPlan,
    LoadPlanner,
    SavePlan,
    SavePlanner,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list
from torch.distributed.tensor import DTensor
from torch.futures import Future

FORMAT = 2
WITHOUT_SUMS = 1
"""The format before, which is still read."""
LIST = "tensors.json"

_BLOCK_BYTES = 1 << 20

_DTYPES = {
    str(kind).removeprefix("torch."): kind
    for kind in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.uint8, torch.bool),
    )
}


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows `start` to `start + len(local) - 1` of a tensor that has `total`."""

    local: Tensor
    start: int
    total: int

    @property
    def shape(self) -> torch.Size:
        """Of the whole."""
        return torch.Size((self.total, *self.local.shape[1:]))

    @property
    def chunk(self) -> ChunkStorageMetadata:
        """Where this part lies in the whole."""
        inner = self.local.shape[1:]
        offsets = torch.Size((self.start, *(0 for _ in inner)))
        return ChunkStorageMetadata(offsets=offsets, sizes=self.local.shape)


Part = Tensor | Rows
State = Mapping[str, Part]


def part_of(one: Part) -> Part:
    """What of it is in this process; the rows share its memory.

    Torch cuts T rows over R processes in pieces of ceil(T / R), the last of them shorter or empty.
    """
    if not isinstance(one, DTensor):
        return one
    assert one.device_mesh.ndim == 1
    assert one.placements[0].is_shard(0)
    local, total = one.to_local().detach(), one.shape[0]
    each = -(-total // one.device_mesh.size())
    return Rows(local, min(total, each * one.device_mesh.get_local_rank()), total)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a part lies; the names are those that torch's reader asks for."""

    relative_path: str
    offset: int
    length: int
    crc32: int | None
    """None where it was written without."""
    transform_descriptors: None = None


class PartsWriter(FileSystemWriter):
    """Parts as torch writes them, each with its sum; the list of them as JSON."""

    def __init__(self, path: Path, *, step: int, note: Mapping[str, Any]) -> None:
        super().__init__(path, overwrite=True)
        self._place, self._step, self._note = path, step, note

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[Any]]:
        """Write the parts of this process, and sum up what is in the files then."""
        written = super().write_data(plan, planner).wait()
        summed: Future[list[Any]] = Future()
        summed.set_result([replace(one, storage_data=self._summed(one)) for one in written])
        return summed

    def _summed(self, result: Any) -> _Place:
        place = result.storage_data
        name, at, length = str(place.relative_path), place.offset, place.length
        return _Place(
            relative_path=name,
            offset=at,
            length=length,
            crc32=_sum_of(self._place / name, at=at, length=length),
        )

    def finish(self, metadata: Metadata, results: list[list[Any]]) -> None:
        places = {one.index: one.storage_data for many in results for one in many}
        tensors = {}
        for name, about in metadata.state_dict_metadata.items():
            assert isinstance(about, TensorStorageMetadata)
            parts = []
            for chunk in about.chunks:
                place = places[MetadataIndex(name, chunk.offsets)]
                parts.append(
                    {
                        "offsets": list(chunk.offsets),
                        "shape": list(chunk.sizes),
                        "file": str(place.relative_path),
                        "at": place.offset,
                        "bytes": place.length,
                        "crc32": place.crc32,
                    }
                )
            kind = str(about.properties.dtype).removeprefix("torch.")
            tensors[name] = {"dtype": kind, "shape": list(about.size), "parts": parts}
        record = {"format": FORMAT, "step": self._step, "note": self._note, "tensors": tensors}
        record["crc32"] = sum_of_list(record)
        with (self._place / LIST).open("w", encoding="utf-8") as file:
            json.dump(record, file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        flush_folder(self._place)


class PartsReader(FileSystemReader):
    """The parts that a list in JSON names, and no other file."""

    def __init__(self, path: Path, metadata: Metadata) -> None:
        super().__init__(path)
        self._known = metadata

    def read_metadata(self, rank: int | None = None) -> Metadata:
        return self._known

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Compare the sum of each part that is wanted, then read them."""
        for index in dict.fromkeys(item.storage_index for item in plan.items):
            place = self.storage_data[index]
            file = Path(self.path) / place.relative_path
            if place.crc32 is None:
                continue
            if _sum_of(file, at=place.offset, length=place.length) != place.crc32:
                raise ValueError(f"{file.name} has other bytes than were written for {index.fqn}")
        return super().read_data(plan, planner)


class PartsSavePlanner(DefaultSavePlanner):
    """Knows `Rows`, beside tensors."""

    def create_local_plan(self) -> SavePlan:
        everything = self.state_dict
        plain = {name: one for name, one in everything.items() if not isinstance(one, Rows)}
        self.state_dict = cast(Any, plain)
        plan = super().create_local_plan()
        self.state_dict = everything
        for name, one in everything.items():
            if isinstance(one, Rows) and len(one.local):
                plan.items.append(_write_item(name, one))
        return plan

    def lookup_object(self, index: MetadataIndex) -> Any:
        found: Any = self.state_dict[index.fqn]
        return found.local if isinstance(found, Rows) else found


class PartsLoadPlanner(DefaultLoadPlanner):
    """Knows `Rows`, beside tensors. What it fills is handed to it and not to torch, which would
    make nothing of `Rows`."""

    def __init__(self, state: State) -> None:
        super().__init__(flatten_state_dict=False)
        self._wanted = state

    def set_up_planner(
        self, state_dict: Any, metadata: Metadata | None = None, is_coordinator: bool = False
    ) -> None:
        super().set_up_planner({}, metadata, is_coordinator)

    def create_local_plan(self) -> LoadPlan:
        assert self.metadata is not None
        items = []
        for name, one in self._wanted.items():
            about = self.metadata.state_dict_metadata[name]
            assert isinstance(about, TensorStorageMetadata)
            whole = ChunkStorageMetadata(
                offsets=torch.Size([0] * len(about.size)), sizes=about.size
            )
            wanted = one.chunk if isinstance(one, Rows) else whole
            if math.prod(wanted.sizes):
                items += create_read_items_for_chunk_list(name, about, [wanted])
        return LoadPlan(items)

    def lookup_tensor(self, index: MetadataIndex) -> Tensor:
        found = self._wanted[index.fqn]
        return (found.local if isinstance(found, Rows) else found).detach()


def _write_item(name: str, rows: Rows) -> WriteItem:
    return WriteItem(
        index=MetadataIndex(name, rows.chunk.offsets),
        type=WriteItemType.SHARD,
        tensor_data=TensorWriteData(
            chunk=rows.chunk,
            properties=TensorProperties.create_from_tensor(rows.local),
            size=rows.shape,
        ),
    )


def sum_of_list(record: Mapping[str, Any]) -> int:
    """CRC-32 of a list, but for the sum itself, however its JSON is laid out."""
    rest = {name: value for name, value in record.items() if name != "crc32"}
    return zlib.crc32(json.dumps(rest, sort_keys=True).encode())


def metadata_of(tensors: Mapping[str, Any], *, summed: bool) -> Metadata:
    """What torch wants to know of a checkpoint, from our list of it.

    Args:
        tensors: As the list has them.
        summed: Each part has its sum; not so in the format before.
    """
    about: dict[str, Any] = {}
    places: dict[MetadataIndex, Any] = {}
    for name, one in tensors.items():
        chunks = []
        for part in one["parts"]:
            chunk = ChunkStorageMetadata(
                offsets=torch.Size(part["offsets"]), sizes=torch.Size(part["shape"])
            )
            file = part["file"]
            if Path(file).name != file:
                raise ValueError(f"the part {file!r} is not in its folder")
            chunks.append(chunk)
            places[MetadataIndex(name, chunk.offsets)] = _Place(
                relative_path=file,
                offset=int(part["at"]),
                length=int(part["bytes"]),
                crc32=part["crc32"] if summed else None,
            )
        properties = TensorProperties(dtype=_DTYPES[one["dtype"]])
        about[name] = TensorStorageMetadata(properties, torch.Size(one["shape"]), chunks)
    return Metadata(state_dict_metadata=about, storage_data=places)


def _sum_of(file: Path, *, at: int, length: int) -> int:
    """CRC-32 of some bytes of a file, or of as many of them as there are."""
    found, left = 0, length
    with file.open("rb") as opened:
        opened.seek(at)
        while left > 0 and (data := opened.read(min(left, _BLOCK_BYTES))):
            found, left = zlib.crc32(data, found), left - len(data)
    return found


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError:
        pass
    finally:
        os.close(number)

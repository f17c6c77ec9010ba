"""Aligned crops (N, 112, 112, 3) uint8 RGB to embeddings (N, D) float32.

Crops are run in full batches, and several batches side by side, one thread each. A model
whose file fixes the batch at 1 is run crop by crop behind the same function.

With `flip`, each crop is run a second time mirrored, and the two embeddings are averaged
before anything is normalized: the direction is that of the sum which the field uses, and the
norm stays on the scale of a single embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from tronie.errors import BadArray, BadModel
from tronie.runtime.contract import Contract, check_contract
from tronie.runtime.pixels import network_input
from tronie.runtime.session import Run, Session

BATCH_SIZE = 8
"""Crops a call and thread. Larger batches fall out of a core's cache and run slower."""


class Embedder:
    """A recognizer ready to run. Thread safe, as its Session is.

    Raises:
        BadModel: the open model does not keep the contract.
    """

    def __init__(
        self,
        session: Session,
        contract: Contract,
        *,
        flip: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        check_contract(session, contract)
        if batch_size < 1:
            raise BadArray(f"batch size must be at least 1; got {batch_size}")
        self.session = session
        self.contract = contract
        self.flip = flip
        self.batch_size = session.batch or batch_size
        declared = session.outputs[0].shape
        dimension = (declared[1] if declared else None) or contract.dimension
        assert dimension is not None  # check_contract refuses a model that leaves it open
        self.dimension = dimension

    def embed(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeddings (N, D) float32 of `crops` (N, H, W, 3) uint8 RGB, not normalized.

        Raises:
            BadArray: crops of another size or dtype than the contract states.
            BadModel: the model gave NaN or infinity, or the engine failed on it.
        """
        self._check(crops)
        if len(crops) == 0:
            return np.zeros((0, self.dimension), np.float32)
        batches = list(_split(crops, self.batch_size))
        if len(batches) == 1:
            return self._embed(crops, self.session.run)
        workers = min(self.session.threads, len(batches))
        with ThreadPoolExecutor(workers, thread_name_prefix="embed") as pool:
            return np.concatenate(list(pool.map(self.embed_beside, batches)))

    def embed_beside(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One batch on one thread, to be called from several threads at once; see `embed`."""
        self._check(crops)
        return self._embed(crops, self.session.run_beside)

    def _embed(self, crops: NDArray[np.uint8], run: Run) -> NDArray[np.float32]:
        n, fixed = len(crops), self.session.batch
        if fixed and n < fixed:
            crops = np.concatenate([crops, np.repeat(crops[-1:], fixed - n, axis=0)])
        embeddings = self._rows(crops, run)
        if self.flip:
            embeddings = (embeddings + self._rows(crops[:, :, ::-1], run)) / np.float32(2)
        embeddings = embeddings[:n]
        bad = int((~np.isfinite(embeddings)).any(axis=1).sum())
        if bad:
            raise BadModel(
                f"model {self.session.name} gave NaN or infinity for {bad} of {n} crops; "
                "its file is damaged, or it was not made for this precision "
                f"({self.session.options.precision})"
            )
        return embeddings

    def _rows(self, crops: NDArray[np.uint8], run: Run) -> NDArray[np.float32]:
        """One call of the model, its answer checked against what was promised."""
        answer = run(network_input(crops, self.contract))[0]
        if answer.shape != (len(crops), self.dimension):
            raise BadModel(
                f"model {self.session.name} gave {answer.shape} for {len(crops)} crops; "
                f"({len(crops)}, {self.dimension}) was promised. If its file was made for "
                "single crops, export it with a free batch axis"
            )
        return answer.astype(np.float32, copy=False)

    def _check(self, crops: NDArray[np.uint8]) -> None:
        wanted = (self.contract.height, self.contract.width, 3)
        if crops.ndim != 4 or crops.shape[1:] != wanted or crops.dtype != np.uint8:
            raise BadArray(
                f"crops must be uint8 of shape (N, {wanted[0]}, {wanted[1]}, 3); "
                f"got {crops.dtype} of shape {crops.shape}"
            )


def _split(crops: NDArray[np.uint8], size: int) -> Iterator[NDArray[np.uint8]]:
    for first in range(0, len(crops), size):
        yield crops[first : first + size]

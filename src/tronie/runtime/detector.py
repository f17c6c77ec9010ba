"""Images to Faces: letterbox, run, decode, suppress.

Every image is shrunk or enlarged to fit the canvas (640 x 640 unless another is asked), the
rest is filled with black. Coordinates come back through the exact scale of each axis.

Close-ups: a face that fills the picture is larger than any anchor, and is missed. Where no
face found has a longer side of a third of the picture's shorter side, we look once more at a
quarter of the canvas, which sees faces four times larger. Where nothing had been found, all
that this second look shows counts; else only faces of at least that third which overlap none
of the first by more than the NMS threshold. Faces of the first look stay as they were. A
second look costs a sixteenth of the first; a whole one where the file fixes the canvas.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tronie.catalog import load
from tronie.errors import BadArray, BadModel
from tronie.geometry import boxes as box
from tronie.geometry.faces import Faces, joined
from tronie.images.pixels import expect_image
from tronie.runtime import canvas
from tronie.runtime.contract import DETECTOR_FORMATS, Contract, check_contract
from tronie.runtime.session import Run, Session

CLOSE_UP = 4
"""How much smaller the canvas of the second look is."""
LARGE = 3
"""A face is large whose longer side is at least the picture's shorter side over this."""


class Detector:
    """A detector ready to run. Thread safe, as its Session is.

    Args:
        session: The open model.
        contract: What it promises.
        canvas: Side of the square canvas in pixels, a multiple of 32; default: the contract's.
        score_threshold: Least confidence, in [0, 1]; default: the contract's.
        nms_threshold: Boxes that overlap a better one by more IoU than this go.

    Raises:
        BadModel: the open model does not keep the contract, or its file fixes another canvas
            or a batch above 1.
        BadArray: a canvas or a threshold out of range.
    """

    def __init__(
        self,
        session: Session,
        contract: Contract,
        *,
        canvas: int | None = None,
        score_threshold: float | None = None,
        nms_threshold: float | None = None,
    ) -> None:
        check_contract(session, contract)
        if session.batch not in (None, 1):
            raise BadModel(
                f"detector {session.name} takes {session.batch} pictures at once; export it with "
                "a batch of 1, or a free one"
            )
        self.session = session
        self.contract = replace(
            contract,
            score_threshold=_fraction("score threshold", score_threshold, contract.score_threshold),
            nms_threshold=_fraction("nms threshold", nms_threshold, contract.nms_threshold),
        )
        self.width, self.height = _canvas(session, contract, canvas)
        self._decode = load(DETECTOR_FORMATS, contract.format, "decode")

    def detect(self, image: NDArray[np.uint8]) -> Faces:
        """The faces of one image (H, W, 3) uint8 RGB, by falling score, on all threads.

        Raises:
            BadArray: an array that is no image.
            BadModel: the model gave NaN or shapes that do not fit, or the engine failed on it.
        """
        return self._detect(image, self.session.run)

    def detect_beside(self, image: NDArray[np.uint8]) -> Faces:
        """The same on one thread, to be called from several threads at once."""
        return self._detect(image, self.session.run_beside)

    def detect_many(self, images: Sequence[NDArray[np.uint8]]) -> list[Faces]:
        """The faces of each image, in order; images are worked on side by side."""
        if len(images) < 2:
            return [self.detect(image) for image in images]
        with ThreadPoolExecutor(self.session.threads, thread_name_prefix="detect") as pool:
            return list(pool.map(self.detect_beside, images))

    def _detect(self, image: NDArray[np.uint8], run: Run) -> Faces:
        expect_image(image)
        first = self._at(image, run, self.width, self.height)
        least = min(image.shape[:2]) / LARGE
        if _large(first, least).any():
            return first
        second = self._at(image, run, _close_up(self.width), _close_up(self.height))
        if len(first) == 0:
            return second
        offset = self.contract.nms_pixel_offset
        shared = box.iou(second.boxes, first.boxes, pixel_offset=offset).max(axis=1)
        fresh = _large(second, least) & (shared <= self.contract.nms_threshold)
        if not fresh.any():
            return first
        both = joined([first, second.take(fresh)])
        return both.take(np.argsort(-both.scores, kind="stable"))

    def candidates(self, image: NDArray[np.uint8], *, size: tuple[int, int] | None = None) -> Faces:
        """All that one look finds from the score threshold on, in pixels of the image.

        Nothing is suppressed, and nothing is looked at twice; on all threads.

        Args:
            image: Shape (H, W, 3), uint8 RGB.
            size: Width and height that the image is stretched to, with black up to multiples of
                32; None: fitted into the canvas.

        Raises:
            BadArray: an array that is no image, or a size that is out of range.
            BadModel: as `detect`; or the file fixes its canvas and a size was asked for.
        """
        expect_image(image)
        if size is None:
            return self._found(self._fitted(image, self.width, self.height), self.session.run)
        self.expect_free()
        laid = canvas.resized(image, self.contract, width=size[0], height=size[1])
        return self._found(laid, self.session.run)

    def expect_free(self) -> None:
        """Refuse a file that works on one size only.

        Raises:
            BadModel: the file fixes its canvas.
        """
        height, width = self.session.input.shape[2:]
        if height or width:
            raise BadModel(
                f"detector {self.session.name} works on {width or 'any'} x {height or 'any'} "
                "pixels only; pictures of other sizes need a file whose height and width are free"
            )

    def _fitted(self, image: NDArray[np.uint8], width: int, height: int) -> canvas.Laid:
        _, _, *fixed = self.session.input.shape
        return canvas.fitted(
            image, self.contract, width=width, height=height, fixed=(fixed[0], fixed[1])
        )

    def _at(self, image: NDArray[np.uint8], run: Run, width: int, height: int) -> Faces:
        return canvas.suppressed(
            self._found(self._fitted(image, width, height), run),
            iou_threshold=self.contract.nms_threshold,
            pixel_offset=self.contract.nms_pixel_offset,
        )

    def _found(self, laid: canvas.Laid, run: Run) -> Faces:
        """Candidates in pixels of the image."""
        found = self._decoded(run(laid.pixels), width=laid.width, height=laid.height)
        return canvas.brought_back(found, laid)

    def _decoded(self, outputs: list[NDArray[Any]], *, width: int, height: int) -> Faces:
        """Candidates on the canvas, before suppression.

        Raises:
            BadModel: NaN or infinity, or outputs whose shapes do not belong together.
        """
        name, threshold = self.session.name, self.contract.score_threshold
        canvas.expect_finite(f"detector {name}", outputs)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                found: Faces = self._decode(
                    outputs, width=width, height=height, score_threshold=threshold
                )
        except (ValueError, IndexError, BadArray) as fault:
            shapes = ", ".join(str(o.shape) for o in outputs)
            raise BadModel(
                f"detector {name} gave outputs of shapes {shapes}, which do not fit the "
                f"{self.contract.format} format: {fault}"
            ) from fault
        canvas.expect_finite(f"detector {name}", [found.boxes, found.landmarks])
        return found


def _large(faces: Faces, least: float) -> NDArray[np.bool_]:
    """(N,) whether the longer side of each face has `least` pixels."""
    large: NDArray[np.bool_] = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1) >= least
    return large


def _canvas(session: Session, contract: Contract, asked: int | None) -> tuple[int, int]:
    """Width and height of the canvas: what the file fixes, what was asked, or the contract's."""
    height, width = session.input.shape[2:]
    if asked is None:
        return width or contract.width, height or contract.height
    if (width or asked, height or asked) != (asked, asked):
        raise BadModel(
            f"detector {session.name} works on {width}x{height} pixels only; {asked} was asked for"
        )
    canvas.expect_side(asked)
    return asked, asked


def _close_up(side: int) -> int:
    """The side of the second look's canvas, a multiple of the coarsest stride."""
    return max(canvas.STRIDE, side // CLOSE_UP // canvas.STRIDE * canvas.STRIDE)


def _fraction(what: str, asked: float | None, default: float) -> float:
    value = default if asked is None else asked
    if not 0.0 <= value <= 1.0:
        raise BadArray(f"the {what} must lie in [0, 1]; got {value}")
    return value

"""The cumulative curve of landmark errors, as one part of a Report.

    share n    of the faces whose error is at most  n limit / (shares - 1)

The first share is that of faces without any error, the last that of faces which did not fail. A
face that was not found is in no share.

Source: Sagonas et al., "300 Faces in-the-Wild Challenge", IVC 47, 2016 (CED).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from tronie.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class ErrorCurve:
    """Shares of the faces at errors from 0 to `limit`, in equal steps.

    Raises:
        BadInput: fewer than two shares, one outside [0, 1] or below the one before, or a limit
            that is not above 0.
    """

    of: str = ""
    """Which faces of the protocol, such as "challenging"; empty for all."""
    faces: int
    limit: float
    """The error at the last share: what is above it has failed."""
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        numbers = [self.limit, *self.shares]
        if not all(type(number) in (int, float) for number in numbers):
            return  # is refused where types are looked at, by its place
        if not self.limit > 0 or len(self.shares) < 2:
            raise BadInput(
                "a curve of errors needs a limit above 0 and two shares or more; got "
                f"{self.limit:g} and {len(self.shares)}"
            )
        rising = all(one <= other for one, other in pairwise(self.shares))
        if not (rising and self.shares[0] >= 0 and self.shares[-1] <= 1):
            raise BadInput("the shares of a curve of errors rise from 0 or more to 1 or less")

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary."""
        return {**asdict(self), "shares": list(self.shares)}

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> ErrorCurve:
        """Read what `to_dict` wrote."""
        return ErrorCurve(**{**record, "shares": tuple(record["shares"])})

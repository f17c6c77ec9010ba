"""What judging is tried with: an organizer's folder, a submission, a sandbox that is none."""

from __future__ import annotations

import numpy as np

from server.challenge.small_challenge import NOW
from tronie.data.pack import Encoded, write_shards
from tronie.images.io import encode_image
from tronie.server.challenge.checks import Check, Verdict
from tronie.server.challenge.probe_crops import drawn_crops
from tronie.server.challenge.submission import State, Submission
from tronie.server.challenge.track import open_track
from tronie.server.challenge.worker import Unwanted

TRACK = "demonstration-faces"
TOY = open_track(TRACK)
ROWS, SHOTS, ODD = 70, 5, 17
GOOD = Verdict(track=TRACK, checks=(Check(rule="limits.size", passed=True, reason="kept"),))


def make_data(folder):
    """The organizer's folder: 14 people with five drawn faces each; one crop is red."""
    faces = drawn_crops(ROWS // SHOTS, seed=3).astype(np.int64)
    noise = np.random.default_rng(0)
    crops = []
    for n in range(ROWS):
        crop = np.clip(faces[n // SHOTS] + noise.integers(-40, 41, (112, 112, 3)), 0, 255)
        crops.append(crop.astype(np.uint8))
    crops[ODD][..., 0], crops[ODD][..., 2] = 250, 5
    packed = [Encoded(f"{n // 5}", f"{n}", encode_image(c, ".png")) for n, c in enumerate(crops)]
    write_shards(packed, folder / "crops")
    lines = "\n".join(["subject", *(f"p{n // SHOTS}" for n in range(ROWS))])
    (folder / "META.csv").write_text(lines + "\n")
    return folder


def alive():
    """It is wanted."""


class FakeSandbox:
    """Sums of pieces of a crop as its embedding, in this process; counts what is asked of it."""

    enforced = {"network": "none"}  # noqa: RUF012 - never changed
    runs = 0

    def __init__(self, model, *, name, bounds=None):
        type(self).runs = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, pixels):
        type(self).runs += 1
        return [pixels.reshape(len(pixels), 3, 8, 14, 112).mean((3, 4)).reshape(len(pixels), 24)]


def write(path, model):
    path.write_bytes(model.SerializeToString())
    return path


def submission(**given):
    own = dict(
        id="a" * 32,
        organization_id="b" * 32,
        user_id="c" * 32,
        track=TRACK,
        state=State.RUNNING,
        file_name="model.onnx",
        note="",
        upload="d" * 32,
        sha256="e" * 64,
        size_bytes=1,
        received=NOW,
        changed=NOW,
        attempts=0,
        public=False,
        verdict=GOOD,
        report=None,
        protocol_version="",
        reason="",
    )
    return Submission(**(own | given))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class Killed(BaseException):
    """As by a signal; nothing catches this."""


def stops_after(calls):
    """Alive so many times."""
    left = [calls]

    def asked():
        left[0] -= 1
        if left[0] < 0:
            raise Unwanted("it is wanted no more")

    return asked

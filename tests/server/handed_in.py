"""What an organizer keeps and what teams hand in, for a trip through a challenge.

draw_people(folder)         crops of people who do not exist, with lists to train on
write_lfw(folder, zipped)   photographs of LFW, one folder a person
trained(file, faces)        a network that this package trained for six steps and exported
random_network(file)        one with random weights, where torch is not
reaches_for_a_file()        a hostile one
tar_by_hand(...)            what a network scores, from the private data and the engine alone
"""

from __future__ import annotations

import csv
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from tiny_models import honest
from tronie.cli.main import main
from tronie.runtime.iresnet_graph import iresnet_graph
from tronie.server.challenge.scoring import TrackData
from tronie.server.challenge.track import open_track
from working_tree import REPOSITORY, environment

PEOPLE, SHOTS = 40, 4
"""Of LFW: 160 photographs have 12,480 pairs of two people, enough for an FAR of 1e-4."""


def draw_people(folder: Path) -> Path:
    """The folder, with 480 crops."""
    command = [sys.executable, REPOSITORY / "examples" / "04_draw_people.py", folder]
    subprocess.run(command, env=environment(), check=True, capture_output=True)
    return folder


def write_lfw(folder: Path, zipped: Path) -> None:
    """The first people who were taken often enough, as they were taken."""
    with zipfile.ZipFile(zipped) as lfw:
        people: dict[str, list[str]] = {}
        for name in sorted(name for name in lfw.namelist() if name.endswith(".jpg")):
            people.setdefault(Path(name).parent.name, []).append(name)
        often = [name for name in people if len(people[name]) >= SHOTS]
        for name in often[:PEOPLE]:
            (folder / name).mkdir()
            for file in people[name][:SHOTS]:
                (folder / name / Path(file).name).write_bytes(lfw.read(file))


def trained(file: Path, faces: Path) -> None:
    """By the commands that a team would use."""
    run, once = file.with_suffix(".run"), ["--set", "epochs=1"]
    recipe = ["recognition/lfw_small_resnet_arcface", "--data", str(faces), "--out", str(run)]
    assert main(["train", *recipe, *once]) == 0
    assert main(["export", str(run), "--out", str(file)]) == 0


def random_network(file: Path) -> None:
    """A thin one, which takes milliseconds."""
    onnx.save(iresnet_graph("iresnet-18", channels=(8, 16, 32, 64), dimension=64), file)


def reaches_for_a_file() -> bytes:
    """An honest network, but that its first weights are to be read from the server's disk."""
    model = honest()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    made: bytes = model.SerializeToString()
    return made


def tar_by_hand(folder: Path, track: str, model: Path) -> float:
    """TAR at FAR 1e-3 over all pairs, from the private data and the engine alone."""
    data = TrackData.open(folder, open_track(track))
    assert data.crops is not None
    crops = data.crops.batch(0, data.rows).astype(np.float32)
    pixels = (crops.transpose(0, 3, 1, 2) - 127.5) / 127.5
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (rows,) = session.run(None, {session.get_inputs()[0].name: pixels})
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    with (folder / "META.csv").open() as meta:
        people = np.array([line["subject"] for line in csv.DictReader(meta)])
    i, j = np.triu_indices(len(people), 1)
    scores, same = (unit @ unit.T)[i, j], people[i] == people[j]
    impostor = np.sort(scores[~same])[::-1]
    return float(np.mean(scores[same] > impostor[len(impostor) // 1000]))

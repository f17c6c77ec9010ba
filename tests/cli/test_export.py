"""tronie export: the network of a run as a file that embeds, with its proof printed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from toy_training import crop, tiny_backbone, toy_recipe, write_crops
from tronie.cli.models_in_use import Chosen, open_embedder
from tronie.lab.training import recognition, run_folder
from tronie.lab.training.runs import load_trained

pytestmark = pytest.mark.lab


@pytest.fixture
def run(cli_here, tmp_path, monkeypatch):
    toy = run_folder.NamedRecipe(name="recognition/toy", recipe=toy_recipe())
    monkeypatch.setattr(recognition, "build_backbone", tiny_backbone)
    monkeypatch.setattr(run_folder, "find_recipe", lambda name: toy)
    words = ["toy", "--data", write_crops(tmp_path / "data"), "--out", tmp_path / "run"]
    assert cli_here("train", *words).code == 0
    return tmp_path / "run"


def test_the_file_embeds_as_the_network_does(cli_here, run, tmp_path):
    told = cli_here("export", run, "--out", tmp_path / "model.onnx")
    assert (told.code, told.err) == (0, "")
    assert "embeddings of 16 numbers" in told.out
    assert "it differs from torch by" in told.out
    crops = np.stack([crop(n, 0) for n in range(3)])
    _, backbone = load_trained(run)
    wanted = recognition.embed_crops(backbone, recognition.torch.device("cpu"))(crops)
    chosen = Chosen(detector="none", model=str(tmp_path / "model.onnx"))
    embedder, _ = open_embedder(chosen)
    np.testing.assert_allclose(embedder.embed(crops), wanted, atol=1e-4)


def test_json_holds_the_proof(cli_here, run, tmp_path):
    (told,) = cli_here("export", run, "--out", tmp_path / "model.onnx", "--json").json_lines()
    assert (told["backbone"], told["embedding_size"], told["opset"]) == ("tiny", 16, 17)
    assert told["max_difference"] <= 1e-4 * max(1.0, told["largest"])


def test_a_folder_without_a_run_is_refused(cli_here, tmp_path):
    told = cli_here("export", tmp_path, "--out", tmp_path / "model.onnx")
    assert told.code == 2
    assert "holds no run" in told.err


def test_another_ending_is_refused(cli_here, run, tmp_path):
    told = cli_here("export", run, "--out", tmp_path / "model.pt")
    assert told.code == 2
    assert "ends in .onnx" in told.err


def test_a_file_beside_it_that_is_no_contract_is_not_replaced(cli_here, run, tmp_path):
    other = tmp_path / "pyproject.toml"
    other.write_text("[project]\n")
    told = cli_here("export", run, "--out", tmp_path / "pyproject.onnx")
    assert told.code == 2
    assert "pyproject.toml, which is there and is no contract; name another model" in told.err
    assert other.read_text() == "[project]\n"
    assert not (tmp_path / "pyproject.onnx").exists()


def test_a_model_is_exported_again_over_itself(cli_here, run, tmp_path):
    for _ in range(2):
        assert cli_here("export", run, "--out", tmp_path / "model.onnx").code == 0


def test_a_contract_that_cannot_be_written_is_told_before_the_work(cli_here, run, tmp_path):
    (tmp_path / "model.toml").mkdir()
    told = cli_here("export", run, "--out", tmp_path / "model.onnx")
    assert told.code == 2
    assert "--out: its contract" in told.err
    assert "model.toml is a folder; name a file" in told.err

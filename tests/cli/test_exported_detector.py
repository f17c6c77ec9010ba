"""The issue's commands on detectors of the lab, as export writes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

torch = pytest.importorskip("torch")

from bright_detector import Bright  # noqa: E402 - only where torch is
from tronie.lab.nn.detector import build_detector  # noqa: E402
from tronie.lab.training.export_detector import export_detector  # noqa: E402
from tronie.runtime.detectors.decoded import CONTRACT  # noqa: E402

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    """Finds every white square of 8 pixels on a canvas of 640."""
    file = tmp_path_factory.mktemp("bright") / "det.onnx"
    export_detector(Bright(cell=8), file, threads=1)
    return file


@pytest.fixture(scope="module", params=["scrfd-0.5g", "scrfd-0.5g-kps"])
def fresh(request, tmp_path_factory):
    """What a run that has learned nothing exports."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("fresh") / "det.onnx"
    export_detector(build_detector(request.param), file, threads=1)
    return request.param, file


def written(path, image):
    Image.fromarray(image).save(path)
    return path


def black(width, height):
    return np.zeros((height, width, 3), np.uint8)


def detected(cli_here, photo, file, *words):
    ran = cli_here("detect", photo, "--detector", file, "--json", *words)
    assert ran.err == ("tronie: no face found in the photograph\n" if ran.code == 3 else "")
    return ran.code, ran.json_lines()[0]


def test_a_fresh_detector_detects_without_a_word_of_what_was_assumed(cli_here, fresh, tmp_path):
    """Its contract lies beside it; all scores are about 0.01."""
    name, file = fresh
    assert file.with_suffix(".toml").is_file()
    photo = written(tmp_path / "photo.png", black(200, 100))
    code, told = detected(cli_here, photo, file)
    assert (code, told["faces"]) == (3, [])
    code, told = detected(cli_here, photo, file, "--det-threshold", "0.0001", "--canvas", "96")
    assert code == 0
    assert ("landmarks" in told["faces"][0]) == name.endswith("kps")


def test_faces_are_told_by_falling_score_in_pixels_of_the_photograph(cli_here, bright, tmp_path):
    """1280 x 640 is fitted into the canvas at a half: 8 pixels are 16."""
    image = black(1280, 640)
    image[32:48, 64:80] = 255
    image[320:336, 1264:] = 204
    code, told = detected(cli_here, written(tmp_path / "two.png", image), bright)
    assert code == 0
    assert [face["box"] for face in told["faces"]] == [[64, 32, 80, 48], [1264, 320, 1280, 336]]
    assert [face["score"] for face in told["faces"]] == [1.0, 0.8]


def test_two_thousand_faces_of_one_photograph_are_all_told(cli_here, bright, tmp_path):
    cells = np.zeros(6400, np.bool_)
    cells[:2000] = True
    np.random.default_rng(0).shuffle(cells)
    grid = np.repeat(np.repeat(cells.reshape(80, 80), 8, axis=0), 8, axis=1)
    image = np.repeat(grid[..., None] * np.uint8(255), 3, axis=2)
    code, told = detected(cli_here, written(tmp_path / "crowd.png", image), bright)
    assert code == 0
    found = {tuple(face["box"]) for face in told["faces"]}
    rows, columns = np.nonzero(cells.reshape(80, 80))
    wanted = {(8 * x, 8 * y, 8 * x + 8, 8 * y + 8) for x, y in zip(columns, rows, strict=True)}
    assert found == wanted
    assert len(found) == 2000


@pytest.mark.parametrize(("level", "faces"), [(0, 0), (255, 400)])
def test_one_pixel_is_a_photograph(cli_here, bright, tmp_path, level, faces):
    photo = written(tmp_path / "dot.png", black(1, 1) + np.uint8(level))
    code, told = detected(cli_here, photo, bright, "--canvas", "160")
    assert (code, len(told["faces"])) == (0 if faces else 3, faces)


def test_the_canvas_is_that_of_the_contract_or_the_one_asked_for(cli_here, tmp_path):
    """A white square of 8 pixels on a photograph of 64 x 32 is a cell on a canvas of 64, four on
    one of 128 and 64 on one of 512; enlarging blurs its edges."""
    export_detector(
        Bright(cell=8), tmp_path / "wide.onnx", threads=1,
        contract=replace(CONTRACT, width=128, height=64),
    )  # fmt: skip
    image = black(64, 32)
    image[8:16, 8:16] = 255
    photo = written(tmp_path / "photo.png", image)
    for words, cells in (((), 4), (("--canvas", "64"), 1), (("--canvas", "512"), 64)):
        code, told = detected(cli_here, photo, tmp_path / "wide.onnx", *words)
        full = [face for face in told["faces"] if face["score"] > 0.6]
        assert (code, len(full)) == (0, cells), words


@pytest.fixture
def wider(tmp_path):
    """A photograph with two faces, of which one is ignored in the easy subset, and an empty one."""
    folder = tmp_path / "wider"
    (folder / "0--Toys").mkdir(parents=True)
    image = np.zeros((640, 1024, 3), np.uint8)
    image[64:96, 128:160] = 255
    image[320:352, 512:544] = 150
    image[:32, :32] = 30  # no face, and the least sure
    Image.fromarray(image).save(folder / "0--Toys" / "two.jpg", quality=95)
    Image.fromarray(black(1024, 640)).save(folder / "0--Toys" / "none.jpg")

    def cells(*values):
        array = np.empty((len(values), 1), object)
        for n, value in enumerate(values):
            array[n, 0] = value
        return array

    boxes = np.array([[128, 64, 32, 32], [512, 320, 32, 32]])
    names = {"event_list": cells("0--Toys"), "file_list": cells(cells("two", "none"))}
    faces = cells(cells(boxes, np.zeros((0, 4))))
    savemat(folder / "wider_face_val.mat", {**names, "face_bbx_list": faces})
    for subset, rows in (("easy", [[1]]), ("medium", [[1], [2]]), ("hard", [[1], [2]])):
        counted = cells(cells(np.array(rows), np.zeros((0, 1))))
        savemat(folder / f"wider_{subset}_val.mat", {"gt_list": counted})
    return folder


@pytest.mark.parametrize("words", [(), ("--size", "original"), ("--flip", "--voting")])
def test_an_exported_file_is_judged_by_the_official_rules(cli_here, wider, tmp_path, words):
    """Cells of 32 at the original size and with --canvas 1024 are the faces themselves."""
    export_detector(Bright(cell=32), tmp_path / "det.onnx", threads=1)
    where = () if "--size" in words else ("--canvas", "1024")
    basis = ["--detector", tmp_path / "det.onnx", "--data", wider, "--json"]
    ran = cli_here("evaluate", "widerface", *basis, *where, *words)
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert [told[subset] for subset in ("easy", "medium", "hard")] == [1.0, 1.0, 1.0]
    assert told["counts"]["hard"] == [2, 2]
    assert told["counts"]["photographs"] == [2, 2]


def test_a_fresh_detector_is_judged_too(cli_here, fresh, wider):
    _, file = fresh
    words = ["--detector", file, "--data", wider, "--canvas", "160", "--json"]
    ran = cli_here("evaluate", "widerface", *words)
    assert (ran.code, ran.err) == (0, "")
    (told,) = ran.json_lines()
    assert told["hard"] < 0.5
    assert told["counts"]["photographs"] == [2, 2]

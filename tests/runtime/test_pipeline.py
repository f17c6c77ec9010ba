"""Many images at once: full batches, kept order, bounded memory, one answer by every way."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from toys import BOX, FIVE_POINTS, toy_constants, toy_detector, toy_embedder, toy_face
from tronie.errors import BadImage, BadInput, BadModel, NotFound, TronieError
from tronie.geometry.faces import Faces
from tronie.geometry.rotation import pose_from_five_points
from tronie.images.io import encode_image
from tronie.images.warp import aligned_crops
from tronie.runtime.contract import Contract, embedding_contract_id
from tronie.runtime.embedder import Embedder
from tronie.runtime.pipeline import FaceAnalyzer, QualityGate
from tronie.runtime.session import EngineOptions, open_session

THREADS = 2
TWO = EngineOptions(threads=THREADS)
PEOPLE = [toy_face(person) for person in range(10)]


@pytest.fixture(scope="module")
def crowd_file(tmp_path_factory):
    """Finds three faces in every picture, 40 pixels apart."""
    file = tmp_path_factory.mktemp("toys") / "three-faces.onnx"
    return toy_detector(file, scores=(0.9, 0.8, 0.7), step=40.0)


@pytest.fixture
def crowd(crowd_file, embedder_file):
    return FaceAnalyzer(crowd_file, embedder_file, options=TWO, canvas=160)


@pytest.fixture
def single(detector_file, embedder_file):
    return FaceAnalyzer(detector_file, embedder_file, options=TWO, canvas=160)


def counting(run, sizes):
    """The same function, which notes how many crops it is shown."""

    def noted(pixels):
        sizes.append(len(pixels))
        return run(pixels)

    return noted


def counted(analyzer):
    """Crops of each call of the recognizer."""
    sizes = []
    session = analyzer.embedder.session
    for name in ("run", "run_beside"):
        setattr(session, name, counting(getattr(session, name), sizes))
    return sizes


def found_by_hand(analyzer, image, embedder_file):
    """Detect, align and embed a single image, one face at a time."""
    faces = analyzer.detector.detect(image)
    contract = Contract(kind="embedder", format="embedding")
    alone = Embedder(open_session(embedder_file, TWO), contract)
    crops = aligned_crops(image, faces.landmarks)
    return faces, np.concatenate([alone.embed(crop[None]) for crop in crops])


def finding(analyzer, detect):
    """Replace what the detector finds: detect(image) -> Faces."""
    analyzer.detector.detect = analyzer.detector.detect_beside = detect
    return analyzer


def made_faces(boxes, *, landmarks=None):
    n = len(boxes)
    points = np.tile(np.array(FIVE_POINTS, np.float32), (n, 1, 1))
    return Faces(
        boxes=np.array(boxes, np.float32).reshape(n, 4),
        scores=np.linspace(0.9, 0.5, n, dtype=np.float32),
        landmarks=points if landmarks is None else np.asarray(landmarks, np.float32),
    )


# --- batches ------------------------------------------------------------------------------


def test_ten_images_of_three_faces_are_four_calls(crowd):
    sizes = counted(crowd)
    results = crowd.analyze_many(PEOPLE)
    assert sorted(sizes) == [6, 8, 8, 8]
    assert [len(faces) for faces in results] == [3] * 10


@pytest.mark.parametrize("batch_size", [1, 2, 7, 64])
def test_every_face_has_the_embedding_of_its_own_crop(batch_size, crowd_file, embedder_file):
    analyzer = FaceAnalyzer(
        crowd_file, embedder_file, options=TWO, canvas=160, batch_size=batch_size
    )
    for image, faces in zip(PEOPLE, analyzer.analyze_many(PEOPLE), strict=True):
        expected, embeddings = found_by_hand(analyzer, image, embedder_file)
        np.testing.assert_array_equal(faces.boxes, expected.boxes)
        np.testing.assert_allclose(faces.embeddings, embeddings, atol=1e-5)


def test_analyze_analyze_many_and_stream_agree(crowd):
    many = crowd.analyze_many(PEOPLE)
    for image, one, streamed in zip(PEOPLE, many, crowd.stream(PEOPLE), strict=True):
        single = crowd.analyze(image)
        for other in (one, streamed):
            np.testing.assert_array_equal(single.boxes, other.boxes)
            np.testing.assert_array_equal(single.landmarks, other.landmarks)
            np.testing.assert_allclose(single.embeddings, other.embeddings, atol=1e-6)


def test_a_fixed_batch_of_1_gives_the_same_answer(crowd, crowd_file, tmp_path):
    one = toy_embedder(tmp_path / "one.onnx", batch=1)
    fixed = FaceAnalyzer(crowd_file, one, options=TWO, canvas=160)
    for a, b in zip(fixed.analyze_many(PEOPLE), crowd.analyze_many(PEOPLE), strict=True):
        np.testing.assert_allclose(a.embeddings, b.embeddings, atol=1e-5)


def test_the_embeddings_of_one_image_keep_no_other_alive(single):
    assert all(faces.embeddings.base is None for faces in single.analyze_many(PEOPLE))


def test_two_threads_share_an_analyzer_and_equal_the_serial_run(crowd):
    serial = [crowd.analyze(image) for image in PEOPLE]
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(crowd.analyze_many, PEOPLE) for _ in range(2)]
        for results in (run.result() for run in runs):
            for a, b in zip(serial, results, strict=True):
                np.testing.assert_array_equal(a.boxes, b.boxes)
                np.testing.assert_allclose(a.embeddings, b.embeddings, atol=1e-6)


def test_images_without_a_face_have_no_rows_and_keep_their_place(crowd):
    faces = crowd.detector.detect(PEOPLE[0])
    black = np.zeros((50, 50, 3), np.uint8)
    finding(crowd, lambda image: faces if image.any() else Faces.none())
    results = crowd.analyze_many([black, PEOPLE[0], black, black, PEOPLE[1], black])
    assert [len(r) for r in results] == [0, 3, 0, 0, 3, 0]
    assert all(r.embeddings.shape == (len(r), 8) for r in results)
    assert crowd.analyze(black).embeddings.shape == (0, 8)


def test_no_images_give_no_outcomes(crowd):
    assert crowd.analyze_many([]) == []
    assert list(crowd.stream(iter(()))) == []


# --- what cannot be read ------------------------------------------------------------------


def test_an_unreadable_image_gives_its_error_and_the_rest_goes_on(crowd, tmp_path):
    sources = [*PEOPLE[:3], b"no picture", tmp_path / "absent.jpg", *PEOPLE[3:6]]
    outcomes = list(crowd.stream(sources))
    assert [type(o) for o in outcomes] == [Faces] * 3 + [BadImage, NotFound] + [Faces] * 3
    readable = [o for o in outcomes if isinstance(o, Faces)]
    for one, other in zip(crowd.analyze_many(PEOPLE[:6]), readable, strict=True):
        np.testing.assert_allclose(one.embeddings, other.embeddings, atol=1e-6)


def test_analyze_and_analyze_many_raise_what_stream_gives(crowd):
    with pytest.raises(BadImage, match="image"):
        crowd.analyze(b"no picture")
    with pytest.raises(BadImage, match="image"):
        crowd.analyze_many([PEOPLE[0], b"no picture", PEOPLE[1]])


def test_paths_bytes_and_arrays_are_the_same_picture(single, tmp_path):
    data = encode_image(PEOPLE[0], ".png")
    (tmp_path / "face.png").write_bytes(data)
    sources = [PEOPLE[0], data, tmp_path / "face.png", str(tmp_path / "face.png")]
    rows = [single.analyze(source).embeddings for source in sources]
    assert all(np.array_equal(rows[0], row) for row in rows[1:])


def test_a_recognizer_that_gives_nan_stops_the_stream(detector_file, tmp_path):
    sick = toy_embedder(tmp_path / "sick.onnx", nan=True)
    analyzer = FaceAnalyzer(detector_file, sick, options=TWO, canvas=160)
    with pytest.raises(BadModel, match="model sick gave NaN or infinity"):
        list(analyzer.stream(PEOPLE))


# --- memory -------------------------------------------------------------------------------


def test_no_more_images_are_held_than_a_few_a_thread(single):
    """An image is let go as soon as its crops are cut, however slowly outcomes are taken."""
    alive: set[int] = set()
    most = 0

    def images():
        nonlocal most
        for n in range(120):
            image = toy_face(0).copy()
            alive.add(n)
            weakref.finalize(image, alive.discard, n)
            most = max(most, len(alive))
            yield image
            del image

    assert sum(1 for _ in single.stream(images())) == 120
    gc.collect()
    assert most <= 4 * THREADS + 2
    assert alive == set()


@pytest.mark.parametrize("every", [1, 1000], ids=["a face in each", "a face in the first alone"])
def test_a_stream_is_not_read_far_ahead(every, single):
    faces = single.detector.detect(PEOPLE[0])
    finding(single, lambda image: faces if image[0, 0, 0] else Faces.none())
    read = 0

    def images():
        nonlocal read
        for n in range(300):
            read += 1
            yield np.full((8, 8, 3), n % every == 0, np.uint8)

    ahead = [read - n for n, _ in enumerate(single.stream(images()))]
    assert len(ahead) == 300
    assert max(ahead) <= 4 * THREADS + 8 * (2 * THREADS + 1) + 2


def test_a_stream_that_is_given_up_stops_reading(single):
    read = []
    stream = single.stream(read.append(n) or PEOPLE[0] for n in range(1000))
    next(stream)
    stream.close()
    assert len(read) <= 4 * THREADS + 8 * (2 * THREADS + 1) + 2
    assert not [t for t in threading.enumerate() if t.name.startswith("tronie")]


# --- policies and gates -------------------------------------------------------------------

SMALL_IN_THE_MIDDLE = [75, 75, 85, 85]
LARGE_AT_THE_EDGE = [0, 0, 60, 60]
THIRD = [100, 100, 130, 150]


@pytest.mark.parametrize(
    ("policy", "kept", "word"),
    [
        ("all", [SMALL_IN_THE_MIDDLE, LARGE_AT_THE_EDGE, THIRD], None),
        ("largest", [LARGE_AT_THE_EDGE], "3 faces found, the largest used"),
        ("center", [SMALL_IN_THE_MIDDLE], "3 faces found, the most central used"),
    ],
)
def test_the_policy_chooses_and_says_so(policy, kept, word, detector_file, embedder_file):
    analyzer = FaceAnalyzer(detector_file, embedder_file, options=TWO, policy=policy)
    boxes = [SMALL_IN_THE_MIDDLE, LARGE_AT_THE_EDGE, THIRD]
    finding(analyzer, lambda _: made_faces(boxes))
    faces = analyzer.analyze(PEOPLE[0])
    np.testing.assert_array_equal(faces.boxes, kept)
    assert faces.embeddings.shape == (len(kept), 8)
    assert faces.notes == (() if word is None else (word,))


def gated(detector_file, embedder_file, faces, **gate):
    analyzer = FaceAnalyzer(detector_file, embedder_file, options=TWO, gate=QualityGate(**gate))
    return finding(analyzer, lambda _: faces).analyze(PEOPLE[0])


def test_small_faces_are_left_out_with_a_note(detector_file, embedder_file):
    faces = made_faces([SMALL_IN_THE_MIDDLE, LARGE_AT_THE_EDGE, THIRD])
    kept = gated(detector_file, embedder_file, faces, min_size_px=30)
    np.testing.assert_array_equal(kept.boxes, [LARGE_AT_THE_EDGE, THIRD])  # 30 is not under 30
    assert kept.notes == ("face at [75, 75, 85, 85] left out: 10 px is under the 30 px asked for",)


def turned_points(axis):
    """A frontal face, and one of which the nose moved along `axis` as far as it goes."""
    frontal = np.array(FIVE_POINTS, np.float32)
    moved = frontal.copy()
    moved[2, axis] += 18
    return np.stack([frontal, moved])


@pytest.mark.parametrize(
    ("axis", "gate", "word"),
    [(0, "max_yaw_rad", "turned"), (1, "max_pitch_rad", "nodding")],
)
def test_turned_and_nodding_faces_are_left_out_with_a_note(
    axis, gate, word, detector_file, embedder_file
):
    points = turned_points(axis)
    angles = np.abs(pose_from_five_points(points)[:, axis])
    assert angles[1] > angles[0]
    limit = float(angles.mean())
    faces = made_faces([[0, 0, 60, 60], [70, 0, 130, 60]], landmarks=points)
    kept = gated(detector_file, embedder_file, faces, **{gate: limit})
    np.testing.assert_array_equal(kept.boxes, [[0, 0, 60, 60]])
    assert kept.notes == (
        f"face at [70, 0, 130, 60] left out: {word} {math.degrees(angles[1]):.0f} degrees, "
        f"over the {math.degrees(limit):.0f} allowed",
    )


def test_weakly_embedded_faces_are_left_out_with_a_note(crowd_file, embedder_file):
    plain = FaceAnalyzer(crowd_file, embedder_file, options=TWO, canvas=160)
    faces = plain.analyze(PEOPLE[0])
    norms = np.linalg.norm(faces.embeddings, axis=1)
    limit = float(np.sort(norms)[1]) - 1e-3
    gate = QualityGate(min_norm=limit)
    strict = FaceAnalyzer(crowd_file, embedder_file, options=TWO, canvas=160, gate=gate)
    kept = strict.analyze(PEOPLE[0])
    np.testing.assert_array_equal(kept.boxes, faces.boxes[norms >= limit])
    np.testing.assert_array_equal(kept.embeddings, faces.embeddings[norms >= limit])
    assert len(kept.notes) == 1
    assert f"embedding norm {norms.min():.2f} is under {limit:.2f}" in kept.notes[0]


def test_the_default_gate_lets_everything_pass(detector_file, embedder_file):
    faces = made_faces([[0, 0, 1, 1], [5, 5, 5.5, 5.5]], landmarks=turned_points(0))
    assert len(gated(detector_file, embedder_file, faces)) == 2


def test_the_gate_comes_before_the_policy(detector_file, embedder_file):
    points = turned_points(0)[::-1]
    analyzer = FaceAnalyzer(
        detector_file, embedder_file, options=TWO, policy="largest",
        gate=QualityGate(max_yaw_rad=float(np.abs(pose_from_five_points(points)[:, 0]).mean())),
    )  # fmt: skip
    faces = made_faces([[0, 0, 90, 90], [100, 100, 130, 130]], landmarks=points)
    kept = finding(analyzer, lambda _: faces).analyze(PEOPLE[0])
    np.testing.assert_array_equal(kept.boxes, [[100, 100, 130, 130]])


# --- parts --------------------------------------------------------------------------------


def test_without_a_recognizer_faces_are_found_and_nothing_is_embedded(detector_file):
    analyzer = FaceAnalyzer(detector_file, None, options=TWO, canvas=160)
    for faces in (analyzer.analyze(PEOPLE[0]), *analyzer.analyze_many(PEOPLE[:2])):
        assert faces.embeddings is None
        np.testing.assert_allclose(faces.boxes, [BOX], rtol=1e-6)
    assert (analyzer.model_name, analyzer.contract_id) == ("", "")
    with pytest.raises(BadInput, match="made with model=None and embeds nothing; name a model"):
        analyzer.embedder  # noqa: B018


@pytest.mark.parametrize("size", [None, 112, 128])
def test_aligned_gives_faces_and_crops_in_order(size, crowd):
    sources = [PEOPLE[0], b"no picture", PEOPLE[1]]
    outcomes = list(crowd.aligned(sources, size=size))
    assert isinstance(outcomes[1][0], TronieError)
    assert len(outcomes[1][1]) == 0
    for (faces, crops), image in zip(outcomes[::2], PEOPLE, strict=False):
        assert faces.embeddings is None
        if size is None:
            assert len(crops) == 0
        else:
            expected = aligned_crops(image, faces.landmarks, size=size)
            np.testing.assert_array_equal(crops, expected)


def test_an_analyzer_says_what_it_is(single, detector_file, embedder_file):
    assert (single.detector_name, single.model_name) == ("one-face", "toy-embedder")
    assert single.threads == THREADS
    assert single.calibration is None
    contract = single.embedder.contract
    assert single.contract_id == embedding_contract_id(
        contract,
        single.model_sha256,
        detector=single.detector.contract,
        detector_sha256=single.detector_sha256,
        canvas=(160, 160),
        flip=False,
    )
    assert len(single.assumed) == 2  # both contracts were inferred


def test_flip_is_another_contract_and_another_embedding(single, detector_file, embedder_file):
    flip = FaceAnalyzer(detector_file, embedder_file, options=TWO, canvas=160, flip=True)
    assert flip.contract_id != single.contract_id
    one, other = flip.analyze(PEOPLE[0]).embeddings, single.analyze(PEOPLE[0]).embeddings
    assert np.abs(one - other).max() > 1e-3


# --- refusals -----------------------------------------------------------------------------


def test_a_policy_nobody_knows_is_refused(detector_file, embedder_file):
    with pytest.raises(BadInput, match="no face policy 'first'; there is all, largest, center"):
        FaceAnalyzer(detector_file, embedder_file, policy="first")


def blind(folder):
    """A detector without landmarks."""
    arrays = {"boxes": np.array([[BOX]]), "scores": np.array([[0.9]])}
    return toy_constants(folder / "no-points.onnx", arrays)


def test_faces_without_landmarks_cannot_be_embedded(embedder_file, tmp_path):
    analyzer = FaceAnalyzer(blind(tmp_path), embedder_file, options=TWO, canvas=160)
    words = "detector no-points gives no landmarks, and faces cannot be aligned without them"
    with pytest.raises(BadModel, match=words):
        analyzer.analyze(PEOPLE[0])
    assert isinstance(next(analyzer.stream(PEOPLE)), BadModel)
    alone = FaceAnalyzer(blind(tmp_path), None, options=TWO, canvas=160)
    assert len(alone.analyze(PEOPLE[0])) == 1


def test_faces_without_landmarks_cannot_be_sorted_by_angle(tmp_path):
    gate = QualityGate(max_yaw_rad=0.5)
    analyzer = FaceAnalyzer(blind(tmp_path), None, options=TWO, gate=gate)
    with pytest.raises(BadModel, match="cannot be sorted by yaw or pitch without landmarks"):
        analyzer.analyze(PEOPLE[0])


def test_a_recognizer_given_as_detector_is_refused(embedder_file, detector_file):
    with pytest.raises(
        BadModel, match="toy-embedder is a model of kind embedder; one of kind detector"
    ):
        FaceAnalyzer(embedder_file, embedder_file)
    with pytest.raises(
        BadModel, match="one-face is a model of kind detector; one of kind embedder"
    ):
        FaceAnalyzer(detector_file, detector_file)

"""Detectors by name: built as published, refused with the nearest name."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tronie.errors import BadInput, NotFound  # noqa: E402 - only where torch is
from tronie.lab.nn.cost import parameters  # noqa: E402
from tronie.lab.nn.detector import (  # noqa: E402
    Detector,
    Outputs,
    Targets,
    build_detector,
    names,
    variant_of,
)

pytestmark = pytest.mark.lab
torch.set_num_threads(1)


class Blind(Detector):
    """Sees nothing, and has no layout that anybody published."""

    def forward(self, images):
        return Outputs(
            scores=images.new_zeros(len(images), 1),
            distances=images.new_zeros(len(images), 1, 4),
            points=None,
            levels=((32, 1, 1),),
        )

    def loss(self, outputs, targets):
        return outputs.scores.sum(), {}

    def decode(self, outputs):
        return outputs.distances, outputs.scores, None


def test_a_name_is_a_file_and_one_of_its_variants():
    assert {"scrfd-0.5g", "scrfd-2.5g-kps", "scrfd-resnet-34g"} <= set(names())
    assert variant_of("scrfd-2.5g-kps").points


def test_underscores_do_for_hyphens():
    assert variant_of("scrfd_2.5g_kps") is variant_of("scrfd-2.5g-kps")


def test_a_detector_is_built_by_its_name_with_weights_of_the_generator():
    torch.manual_seed(3)
    first = build_detector("scrfd-0.5g").state_dict()
    torch.manual_seed(3)
    second = build_detector("scrfd-0.5g").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(NotFound, match=r"no entry 'scrfd-2.6g' .* Did you mean 'scrfd-2.5g'\?"):
        build_detector("scrfd-2.6g")


def test_a_file_without_its_variant_is_no_name():
    with pytest.raises(NotFound, match="no entry 'scrfd' in"):
        variant_of("scrfd")


SPELLED = "scrfd-basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16"


def test_a_layout_that_is_spelled_out_is_the_same_network_as_the_one_with_a_name():
    torch.manual_seed(3)
    named = build_detector("scrfd-2.5g").state_dict()
    torch.manual_seed(3)
    spelled = build_detector(SPELLED.replace("-", "_")).state_dict()
    assert named.keys() == spelled.keys()
    assert all(torch.equal(named[name], spelled[name]) for name in named)


def test_what_is_spelled_out_declares_what_is_counted():
    plain, points = variant_of(SPELLED), variant_of(f"{SPELLED}-kps")
    named = variant_of("scrfd-2.5g")
    assert (plain.parameters, plain.flops) == (named.parameters, named.flops)
    assert (plain.anchors, plain.points, points.points) == (named.anchors, False, True)
    assert points.parameters == parameters(build_detector(f"{SPELLED}-kps"))


def test_a_layout_that_cannot_be_built_is_refused_with_why():
    with pytest.raises(BadInput, match=r"cannot be built: there are 4 stages, .* blocks for 3"):
        build_detector("scrfd-basic-3.5.3-24.48.48.80-n24-h64x2-gn16")
    with pytest.raises(BadInput, match=r"spells out no SCRFD; the form is BLOCK-"):
        variant_of("scrfd-basic-of-my-own")


def test_a_detector_must_say_what_it_is_taught():
    class Half(Detector):
        def forward(self, images):
            return images

    with pytest.raises(TypeError, match=r"abstract methods? '?decode'?, '?loss'?"):
        Half()


def test_a_network_that_nobody_published_has_no_published_layout():
    blind = Blind()
    with pytest.raises(BadInput, match="Blind has no published layout of outputs; export it dec"):
        blind.published(blind(torch.zeros(1, 3, 8, 8)))


def test_targets_move_together():
    targets = Targets(
        boxes=torch.zeros(1, 2, 4),
        valid=torch.zeros(1, 2, dtype=torch.bool),
        ignore=torch.zeros(1, 2, dtype=torch.bool),
        points=torch.zeros(1, 2, 5, 2),
        has_points=torch.zeros(1, 2, 5, dtype=torch.bool),
    )
    moved = vars(targets.to("meta"))
    assert {name: t.device.type for name, t in moved.items()} == dict.fromkeys(
        vars(targets), "meta"
    )
    assert targets.boxes.device.type == "cpu"

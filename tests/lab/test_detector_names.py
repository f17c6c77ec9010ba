"""Names of detectors, listed and spelled out, without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tronie.errors import NotFound
from tronie.lab.nn.detector_names import detector_parts, is_detector, names
from working_tree import environment

SPELLED = "scrfd-basic-3.5.3.2-24.48.48.80-n24-h64x2-gn16"


def test_a_listed_name_is_its_file_and_its_variant():
    assert detector_parts("scrfd-2.5g-kps") == ("scrfd", "2.5g-kps")
    assert detector_parts("scrfd_2.5g_kps") == ("scrfd", "2.5g-kps")
    assert "scrfd-2.5g-kps" in names()


def test_a_spelled_name_is_its_file_and_the_rest_which_is_not_read_yet():
    assert detector_parts(SPELLED) == ("scrfd", SPELLED.removeprefix("scrfd-"))
    assert detector_parts("scrfd_depthwise_x") == ("scrfd", "depthwise-x")
    assert SPELLED not in names()


def test_what_is_a_detector_can_be_asked():
    assert is_detector(SPELLED)
    assert is_detector("scrfd-0.5g")
    assert not is_detector("scrfd-basic")
    assert not is_detector("iresnet-100")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(NotFound, match=r"no entry 'scrfd-2.6g' .* Did you mean 'scrfd-2.5g'\?"):
        detector_parts("scrfd-2.6g")


def test_it_needs_no_torch():
    code = (
        "import sys; from tronie.lab.nn.detector_names import is_detector; "
        f"assert is_detector({SPELLED!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)

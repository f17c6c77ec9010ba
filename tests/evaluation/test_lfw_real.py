"""LFW as it is: the accuracy that the README promises, by the command that it gives.

Six thousand pairs, own detection and alignment. Minutes: marked slow.
"""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.data, pytest.mark.slow, pytest.mark.timeout(1800)]


def accuracy(cli, test_data, *words: str) -> float:
    ran = cli("evaluate", "lfw", "--data", str(test_data / "lfw"), "--json", *words)
    assert ran.code == 0, ran.err
    (report,) = ran.json_lines()
    assert report["pairs"] == 6000
    return float(report["accuracy"])


@pytest.mark.network
def test_the_default_pair_decides_992_of_1000_lfw_pairs_rightly(cli, test_data):
    assert accuracy(cli, test_data) >= 0.992


def test_a_network_of_webface600k_decides_9955_of_10000_rightly(cli, test_data):
    weights = test_data / "weights"
    assert accuracy(
        cli, test_data,
        "--model", str(weights / "w600k_mbf_int8.onnx"),
        "--detector", str(weights / "scrfd_2.5g_kps_dyn.onnx"),
    ) >= 0.9955  # fmt: skip

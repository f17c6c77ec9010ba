"""What a signed result says."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from tronie.server.sites.challenge.results import result_document

pytestmark = pytest.mark.server


def test_a_result_names_whose_file_it_was_and_what_came_of_it(challenge):
    user = challenge.account("one")
    made = challenge.scored(user, 0.75)
    told = result_document(made, challenge.store.organization(user.organization_id))
    assert told["organization"] == "Institute one"
    assert told["file_sha256"] == "0" * 64
    assert told["checks"]["accepted"] is True
    assert told["report"]["values"]["accuracy"]["value"] == 0.75
    assert challenge.signer.sign(told)["document"] == told

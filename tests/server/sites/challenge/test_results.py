"""What a signed result says, and that an edited one is not signed."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from server.sites.challenge.visiting import plain_report
from tronie.server.challenge.schema import submissions
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


def test_a_result_that_is_not_what_the_log_tells_is_not_signed(challenge, caplog):
    user = challenge.account("one")
    made, other = challenge.scored(user, 0.75), challenge.scored(user, 0.75)
    page, program = challenge.browser("one@example.org"), challenge.program(user)
    forged = plain_report(0.99)
    its = submissions.c.id == made.id
    edit = submissions.update().where(its).values(report=forged)
    challenge.store._database.write(lambda run: run.execute(edit).rowcount)
    for browser, path in (
        (page, f"/submissions/{made.id}/result.json"),
        (program, f"/api/v1/submissions/{made.id}/result"),
    ):
        refused = browser.get(path)
        assert refused.status_code == 409
        assert "his result is not signed: what is stored of it is not what the" in refused.text
        assert "signature" not in refused.text
    assert caplog.text.count(f"the result of {made.id} is not what the log tells of it") == 2
    assert page.get(f"/submissions/{other.id}/result.json").status_code == 200

"""Whatever a program sends to the API, the answer is one that its description promises: never 500.

Requests are drawn from the OpenAPI description, in its bounds and beyond them, by nobody, by a
stranger who makes up a token, by a team and by one that is banned; names and ids are now and then
those that are there. An hour passes between two requests, so that rate limits do not answer in
the place of everything else.
"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks as promised

from server.sites.challenge.visiting import Challenge

pytestmark = [pytest.mark.server, pytest.mark.slow]
EXAMPLES = 12
"""Of each operation, each kind of drawing and each visitor."""
CHECKS = (
    not_a_server_error,
    promised.status_code_conformance,
    promised.content_type_conformance,
    promised.response_headers_conformance,
    promised.response_schema_conformance,
)
SUBMISSION = {
    "nobody": {401},
    "stranger": {401},
    "team": {200, 404, 422},
    "banned": {404, 422},
}
"""Answers that each visitor must have met: the requests reach what there is."""
VISITORS = tuple(SUBMISSION)


class Fuzzed:
    """A challenge with something in it, its description and its visitors' headers."""

    def __init__(self, challenge: Challenge) -> None:
        self.challenge, store = challenge, challenge.store
        team, banned = challenge.account("one"), challenge.account("two")
        self.ids = [
            challenge.scored(team, public=True).id,
            challenge.failed(team).id,
            challenge.scored(banned).id,
            challenge.submission(team).id,
        ]
        store.ban(banned.organization_id, "spam", "us", challenge.clock())
        self.headers = {
            "nobody": {},
            "stranger": {"Authorization": "Bearer " + "x" * 43},
            "team": self._token(team),
            "banned": self._token(banned),
        }
        self.schema = schemathesis.openapi.from_asgi("/openapi.json", challenge.app)

    def _token(self, user: Any) -> dict[str, str]:
        token = self.challenge.store.new_token(user.id, label="a", now=self.challenge.clock())
        return {"Authorization": f"Bearer {token}"}

    def operations(self) -> list[Any]:
        return [result.ok() for result in self.schema.get_all_operations()]


@pytest.fixture
def fuzzed(sqlite_store, tmp_path):
    return Fuzzed(Challenge(sqlite_store, tmp_path, settings={"hosts": ("*",)}))


def ask(fuzzed: Fuzzed, operation: Any, mode: Any, visitor: str) -> set[int]:
    """Statuses of the answers to some drawn requests."""
    seen: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), draw=st.data())
    def run(case: Any, draw: Any) -> None:
        known = {"id": fuzzed.ids, "name": ["small"]}
        for name, values in known.items():
            if name in (case.path_parameters or {}) and draw.draw(st.booleans()):
                case.path_parameters[name] = draw.draw(st.sampled_from(values))
        fuzzed.challenge.clock.forward(3600)
        response = case.call(headers=fuzzed.headers[visitor])
        seen.add(response.status_code)
        case.validate_response(response, checks=list(CHECKS))

    run()
    return seen


@pytest.mark.parametrize("visitor", VISITORS)
def test_every_answer_is_one_that_the_description_promises(fuzzed, visitor, subtests):
    seen: dict[str, set[int]] = {}
    for operation in fuzzed.operations():
        takes_nothing = not list(operation.iter_parameters()) and not operation.body
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        for mode in modes[:1] if takes_nothing else modes:
            with subtests.test(f"{operation.label}, {mode.value}"):
                told = ask(fuzzed, operation, mode, visitor)
                seen.setdefault(operation.label, set()).update(told)
    assert len(seen) == len(fuzzed.operations()) >= 11
    assert seen["GET /api/v1/tracks/{name}/board"] == {200, 404, 422}
    assert seen["GET /api/v1/submissions/{id}"] >= SUBMISSION[visitor]

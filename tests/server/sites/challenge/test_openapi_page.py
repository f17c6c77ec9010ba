"""The API's description as rows: written out by hand for a small schema."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the serve extra")

from tronie.server.sites.challenge.openapi_page import fields_of, operations_of, type_text

pytestmark = pytest.mark.server
SCHEMA = {
    "paths": {
        "/a/{id}": {
            "post": {
                "summary": "Do it",
                "security": [{"HTTPBearer": []}],
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/x/Wish"}}}},
                "responses": {"404": {"description": "No"}, "200": {"description": "Yes"}},
            }
        }
    },
    "components": {
        "schemas": {"Wish": {"properties": {"a": {"type": "boolean", "description": "or not"}}}}
    },
}


def test_an_operation_is_read_from_the_schema():
    (found,) = operations_of(SCHEMA)
    assert (found.method, found.path, found.summary) == ("POST", "/a/{id}", "Do it")
    assert found.needs_token
    assert found.parameters == (("id", "path", "string", True),)
    assert found.body == "application/json: Wish"
    assert [status for status, _, _ in found.answers] == ["200", "404"]
    assert fields_of(SCHEMA) == {"Wish": [("a", "boolean", "or not")]}


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"type": "array", "items": {"type": "integer"}}, "list of integer"),
        ({"type": "string", "format": "binary"}, "bytes"),
        ({"enum": ["a", "b"]}, "a or b"),
        ({}, "any"),
    ],
)
def test_types_as_a_reader_wants_them(told, text):
    assert type_text(told) == text

"""The API's description as rows of a page, from the schema that programs read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that a program can ask."""

    method: str
    path: str
    summary: str
    description: str
    needs_token: bool
    parameters: tuple[tuple[str, str, str, bool], ...]
    """Name, where it stands, its type, and whether it must be there."""
    body: str
    """What is sent; empty for nothing."""
    answers: tuple[tuple[str, str, str], ...]
    """Status, description, and the form of the JSON."""


def operations_of(schema: Mapping[str, Any]) -> tuple[Operation, ...]:
    """Every operation, in the order of the schema."""
    return tuple(_operations(schema))


def fields_of(schema: Mapping[str, Any]) -> dict[str, list[tuple[str, str, str]]]:
    """Each form of JSON by its name: field, type, description."""
    forms = schema.get("components", {}).get("schemas", {})
    return {
        name: [
            (field, type_text(told), told.get("description", ""))
            for field, told in form.get("properties", {}).items()
        ]
        for name, form in forms.items()
    }


def type_text(told: Mapping[str, Any]) -> str:
    """The type of a field as a reader wants it.

    Example:
        >>> type_text({"type": "array", "items": {"$ref": "#/components/schemas/Check"}})
        'list of Check'
    """
    if "$ref" in told:
        return str(told["$ref"]).rpartition("/")[2]
    if "anyOf" in told:
        return " or ".join(dict.fromkeys(type_text(one) for one in told["anyOf"]))
    if "enum" in told:
        return " or ".join(map(str, told["enum"]))
    kind = told.get("type", "any")
    if kind == "array":
        return f"list of {type_text(told.get('items', {}))}"
    if told.get("format") == "binary":
        return "bytes"
    return {"object": "object", "null": "null"}.get(kind, str(kind))


def _operations(schema: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in schema.get("paths", {}).items():
        for method in _METHODS:
            if method in item:
                yield _operation(path, method, item[method])


def _operation(path: str, method: str, told: Mapping[str, Any]) -> Operation:
    return Operation(
        method=method.upper(),
        path=path,
        summary=told.get("summary", ""),
        description=told.get("description", ""),
        needs_token=bool(told.get("security")),
        parameters=tuple(
            (one["name"], one["in"], type_text(one.get("schema", {})), one.get("required", False))
            for one in told.get("parameters", ())
        ),
        body=", ".join(
            f"{kind}: {type_text(content.get('schema', {}))}"
            for kind, content in told.get("requestBody", {}).get("content", {}).items()
        ),
        answers=tuple(
            (
                status,
                answer.get("description", ""),
                ", ".join(
                    type_text(content.get("schema", {}))
                    for content in answer.get("content", {}).values()
                ),
            )
            for status, answer in sorted(told.get("responses", {}).items())
        ),
    )

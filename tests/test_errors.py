"""The tree of errors that the docstring draws is the tree that the classes form."""

from __future__ import annotations

import inspect

from tronie import errors


def drawn_parents() -> dict[str, str]:
    """Class name to parent name, read from the drawing: depth is the column of the name."""
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip(" │├└─").split(" ")[0]
        if not name or not hasattr(errors, name):
            continue
        column = line.index(name)
        path = [(c, n) for c, n in path if c < column]
        if path:
            parents[name] = path[-1][1]
        path.append((column, name))
    return parents


def test_the_drawn_tree_is_the_tree_of_classes():
    classes = {
        name: cls.__bases__[0].__name__
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if cls.__module__ == errors.__name__ and cls is not errors.TronieError
    }
    assert drawn_parents() == classes


def test_misuse_exits_with_two_and_no_face_with_three():
    codes = {cls.__name__: cls.exit_code for cls in all_children(errors.TronieError)}
    assert codes.pop("NoFace") == 3
    assert codes.pop("ChallengeRefused", 1) == 1, "asked of others, and no"
    assert set(codes.values()) == {2}


def all_children(cls: type[errors.TronieError]) -> list[type[errors.TronieError]]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in all_children(child))]

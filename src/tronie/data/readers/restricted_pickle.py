"""Pickles that hold images and flags, read by a machine that can call nothing.

A pickle is a program for a machine that can be told to import and call anything. The one here
builds lists, tuples, numbers, text and bytes, and no more. Of all that a pickle may ask for by
name it knows numpy's arrays of uint8, numpy's bool, and how Python 3 writes bytes for Python 2;
these it takes as bytes, and never builds. Any other name, and any other opcode, is refused.

Bounds: every length is checked against the bytes that are there; steps, values on the stack
and values remembered are limited; what a step costs does not grow with the steps before, and
nothing recurses.

Source: the opcodes are those of Python's pickle protocols 0 to 5, as far as Python 2 and 3
need them for lists of images and flags.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

MAX_IMAGES = 1_000_000

_MAX_STACK = 2 * MAX_IMAGES
_MAX_REMEMBERED = 10 * MAX_IMAGES
_FREE_STEPS = MAX_IMAGES
_BYTES_A_STEP = 16  # even in protocol 0 an image of 700 bytes takes 44 steps
_MAX_LINE = 256  # of a number or a name
_MAX_INT_BYTES = 8
_STOP = ord(".")
_NEWEST = 5

_ESCAPED = re.compile(rb"(?:[^\\]++|\\(?:x[0-9a-fA-F]{2}|[\\'\"abfnrtv]))*+")
_ARRAY, _SCALAR = "numpy.core.multiarray._reconstruct", "numpy.core.multiarray.scalar"
_BUFFER, _DTYPE, _CLASS = "numpy.core.numeric._frombuffer", "numpy.dtype", "numpy.ndarray"
_ENCODE = "_codecs.encode"
_KNOWN = frozenset({_ARRAY, _SCALAR, _BUFFER, _DTYPE, _CLASS, _ENCODE})


def read_pickle(data: bytes) -> object:
    """What a pickle builds: lists, tuples, ints, bools, None, str, bytes.

    An array of uint8, shape (K,), (K, 1) or (1, K), comes back as an `ArrayBytes`, numpy's
    bool as a bool.

    Raises:
        ValueError: it is cut off, over the bounds, or asks for anything else; the message says
            for what, as a clause that begins with "it" or "at byte".
    """
    try:
        return _Machine(data).run()
    except (IndexError, struct.error) as error:
        raise ValueError(f"it is damaged: {error}") from error


def describe(value: object) -> str:
    """What a value is, in a few words, whatever it holds."""
    if isinstance(value, ArrayBytes) or value == b"":
        return "empty"
    if isinstance(value, _Named):
        return value.name
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


@dataclass(frozen=True)
class _Named:
    """One of the names that are known. It stands for nothing."""

    name: str


@dataclass(frozen=True)
class _Dtype:
    code: str


class ArrayBytes:
    """An array of uint8: its bytes, once they have been given."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = b""


class _Machine:
    """A stack and a memory, and opcodes that build data out of data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memory: dict[int, object] = {}
        self._made_bytes = 0

    def run(self) -> object:
        """What the file builds."""
        steps = _FREE_STEPS + len(self._data) // _BYTES_A_STEP
        for _ in range(steps):
            at = self._at
            code = self._take(1)[0]
            if code == _STOP:
                return self._result()
            step = _STEPS.get(code)
            if step is None:
                self._refuse(code, at)
            step(self)
            if len(self._stack) > _MAX_STACK or len(self._memory) > _MAX_REMEMBERED:
                raise ValueError(f"at byte {at} it holds more values than {MAX_IMAGES} images need")
        raise ValueError(f"it takes more than {steps} steps")

    def _result(self) -> object:
        if len(self._stack) != 1 or self._marks:
            raise ValueError(f"it ends with {len(self._stack)} values instead of one")
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes follow its end")
        return self._stack[0]

    def _refuse(self, code: int, at: int) -> NoReturn:
        if code == ord("i"):
            self._name_of(self._line(), self._line(), at=at)
        name = _REFUSED.get(code, f"opcode {code:#04x}")
        raise ValueError(f"at byte {at} it asks for {name}, which images and flags do not need")

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise ValueError(
                f"it is cut off: {size} bytes are announced at byte {self._at}, "
                f"{len(self._data) - self._at} follow"
            )
        found = self._data[self._at : end]
        self._at = end
        return found

    def number(self, form: str) -> int:
        size = struct.calcsize(form)
        return int(struct.unpack(form, self._take(size))[0])

    def _line(self, limit: int | None = _MAX_LINE) -> bytes:
        stop = None if limit is None else self._at + limit
        end = self._data.find(b"\n", self._at, stop)
        if end < 0:
            raise ValueError(f"at byte {self._at} a line has no end")
        return self._take(end + 1 - self._at)[:-1]

    def decimal(self) -> int:
        word = self._line()
        if re.fullmatch(rb"-?[0-9]{1,18}L?", word) is None:
            raise ValueError(f"before byte {self._at} {word[:40]!r} stands for a number")
        return int(word.rstrip(b"L"))

    def protocol(self) -> None:
        if (version := self.number("<B")) > _NEWEST:
            raise ValueError(f"it has the pickle protocol {version}; 0 to {_NEWEST} are read")

    def frame(self) -> None:
        size = self.number("<Q")
        if size > len(self._data) - self._at:
            raise ValueError(f"it is cut off: a frame of {size} bytes begins at byte {self._at}")

    def _pop(self) -> object:
        if not self._stack or (self._marks and self._marks[-1] == len(self._stack)):
            raise ValueError(f"at byte {self._at} a value is taken where there is none")
        return self._stack.pop()

    def above_mark(self) -> list[object]:
        if not self._marks:
            raise ValueError(f"at byte {self._at} a list or tuple ends that has not begun")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def mark(self) -> None:
        self._marks.append(len(self._stack))
        if len(self._marks) > _MAX_STACK:
            raise ValueError("lists and tuples are begun without end")

    def tuple_of(self, size: int) -> None:
        values = [self._pop() for _ in range(size)]
        self.push(tuple(reversed(values)))

    def append(self, *, many: bool) -> None:
        values = self.above_mark() if many else [self._pop()]
        target = self._pop()
        if not isinstance(target, list):
            raise ValueError(f"at byte {self._at} something is appended to what is no list")
        target.extend(values)
        self.push(target)

    def remember(self, key: int) -> None:
        value = self._pop()
        self._memory[key] = value
        self.push(value)

    def remember_next(self) -> None:
        self.remember(len(self._memory))

    def recall(self, key: int) -> None:
        if key not in self._memory:
            raise ValueError(f"at byte {self._at} value {key} is recalled, which was not stored")
        self.push(self._memory[key])

    def push(self, value: object) -> None:
        self._stack.append(value)

    def quoted_bytes(self) -> None:
        """A str of Python 2, written as in a program."""
        line = self._line(None)
        inner = line[1:-1]
        quoted = len(line) >= 2 and line[:1] == line[-1:] and line[:1] in (b"'", b'"')
        if not quoted or _ESCAPED.fullmatch(inner) is None:
            raise ValueError(f"before byte {self._at} a string is not written as one")
        self.push(codecs.escape_decode(inner)[0])

    def decimal_or_bool(self) -> None:
        word = self._data[self._at : self._at + 3]
        if word in (b"00\n", b"01\n"):
            self._at += 3
            self.push(word == b"01\n")
        else:
            self.push(self.decimal())

    def long(self) -> None:
        size = self.number("<B")
        if size > _MAX_INT_BYTES:
            raise ValueError(f"at byte {self._at} a number has {size} bytes")
        self.push(int.from_bytes(self._take(size), "little", signed=True))

    def push_bytes(self, form: str) -> None:
        self.push(self._take(self.number(form)))

    def push_text(self, form: str) -> None:
        self.push(self._take(self.number(form)).decode("utf-8", "surrogatepass"))

    def text_line(self) -> None:
        self.push(self._line(None).decode("raw-unicode-escape"))

    def named(self) -> None:
        at = self._at - 1
        self.push(self._name_of(self._line(), self._line(), at=at))

    def named_on_stack(self) -> None:
        name, module = self._pop(), self._pop()
        self.push(self._name_of(_word(module), _word(name), at=self._at - 1))

    def _name_of(self, module: bytes, name: bytes, *, at: int) -> _Named:
        asked = f"{module.decode('utf-8', 'replace')}.{name.decode('utf-8', 'replace')}"
        if asked.startswith("numpy._core."):  # what numpy 2 calls it
            asked = asked.replace("_core", "core", 1)
        if asked not in _KNOWN:
            raise ValueError(
                f"at byte {at} it asks for {asked[:_MAX_LINE]}, which images and flags do not "
                "need; nothing of it was run"
            )
        return _Named(asked)

    def build_from_name(self) -> None:
        arguments, named = self._pop(), self._pop()
        maker = _MAKERS.get(named.name) if isinstance(named, _Named) else None
        if maker is None or not isinstance(arguments, tuple):
            raise ValueError(f"at byte {self._at} it calls what it may not: {describe(named)}")
        made = maker(arguments)
        self._made_bytes += len(made) if isinstance(made, bytes) else 0
        if self._made_bytes > len(self._data):
            raise ValueError("it makes more bytes than it holds")
        self.push(made)

    def set_state(self) -> None:
        state, target = self._pop(), self._pop()
        if isinstance(target, ArrayBytes):
            target.data = _array_bytes(state)
        elif not (isinstance(target, _Dtype) and isinstance(state, tuple)):
            raise ValueError(f"at byte {self._at} a state is given to what has none")
        self.push(target)


def _word(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, bytes):
        return value
    raise ValueError(f"a name is expected; there is {describe(value)}")


def _empty_array(arguments: tuple[object, ...]) -> ArrayBytes:
    if len(arguments) != 3 or arguments[0] != _Named(_CLASS):
        raise ValueError("it asks for an array of an unknown kind")
    return ArrayBytes()


def _dtype(arguments: tuple[object, ...]) -> _Dtype:
    code = _word(arguments[0]).decode("ascii", "replace")
    if code not in ("u1", "|u1", "b1", "|b1"):
        raise ValueError(f"it holds numbers of type {code[:40]!r}; images are uint8, flags bool")
    return _Dtype(code[-2:])


def _array_bytes(state: object) -> bytes:
    if not isinstance(state, tuple) or len(state) != 5:
        raise ValueError("an array has an unknown state")
    return _one_dimension(state[4], state[2], state[1])


def _from_buffer(arguments: tuple[object, ...]) -> bytes:
    if len(arguments) != 4:
        raise ValueError("an array has an unknown state")
    return _one_dimension(*arguments[:3])


def _one_dimension(data: object, dtype: object, shape: object) -> bytes:
    """The bytes of a row, or of the column that older versions of OpenCV encode into."""
    size = len(data) if isinstance(data, bytes) else -1
    if dtype != _Dtype("u1") or shape not in ((size,), (size, 1), (1, size)):
        raise ValueError("an image is an array, but not one row of uint8 that hold encoded bytes")
    return data if isinstance(data, bytes) else b""


def _scalar(arguments: tuple[object, ...]) -> bool:
    if len(arguments) != 2 or arguments[0] != _Dtype("b1") or arguments[1] not in (b"\0", b"\1"):
        raise ValueError("a single number of numpy's is no true or false")
    return arguments[1] == b"\1"


def _encode(arguments: tuple[object, ...]) -> bytes:
    if len(arguments) != 2 or not isinstance(arguments[0], str) or arguments[1] != "latin1":
        raise ValueError("it asks for text in another encoding than latin1")
    return arguments[0].encode("latin-1")


_MAKERS: Mapping[str, Callable[[tuple[object, ...]], object]] = {
    _ARRAY: _empty_array,
    _SCALAR: _scalar,
    _BUFFER: _from_buffer,
    _DTYPE: _dtype,
    _ENCODE: _encode,
}
_STEPS: Mapping[int, Callable[[_Machine], object]] = {
    0x80: lambda m: m.protocol(),
    0x95: lambda m: m.frame(),
    ord("("): lambda m: m.mark(),
    ord("]"): lambda m: m.push([]),
    ord("l"): lambda m: m.push(m.above_mark()),
    ord("a"): lambda m: m.append(many=False),
    ord("e"): lambda m: m.append(many=True),
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.above_mark())),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("p"): lambda m: m.remember(m.decimal()),
    ord("q"): lambda m: m.remember(m.number("<B")),
    ord("r"): lambda m: m.remember(m.number("<I")),
    0x94: lambda m: m.remember_next(),
    ord("g"): lambda m: m.recall(m.decimal()),
    ord("h"): lambda m: m.recall(m.number("<B")),
    ord("j"): lambda m: m.recall(m.number("<I")),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("I"): lambda m: m.decimal_or_bool(),
    ord("L"): lambda m: m.push(m.decimal()),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: lambda m: m.long(),
    ord("S"): lambda m: m.quoted_bytes(),
    ord("T"): lambda m: m.push_bytes("<i"),
    ord("U"): lambda m: m.push_bytes("<B"),
    ord("B"): lambda m: m.push_bytes("<I"),
    ord("C"): lambda m: m.push_bytes("<B"),
    0x8E: lambda m: m.push_bytes("<Q"),
    0x96: lambda m: m.push_bytes("<Q"),
    ord("V"): lambda m: m.text_line(),
    ord("X"): lambda m: m.push_text("<I"),
    0x8C: lambda m: m.push_text("<B"),
    0x8D: lambda m: m.push_text("<Q"),
    ord("c"): lambda m: m.named(),
    0x93: lambda m: m.named_on_stack(),
    ord("R"): lambda m: m.build_from_name(),
    ord("b"): lambda m: m.set_state(),
}
_REFUSED = {
    ord("i"): "an instance (INST)", ord("o"): "an instance (OBJ)",
    0x81: "an instance (NEWOBJ)", 0x92: "an instance (NEWOBJ_EX)",
    ord("P"): "an outside object (PERSID)", ord("Q"): "an outside object (BINPERSID)",
    0x82: "an extension (EXT1)", 0x83: "an extension (EXT2)", 0x84: "an extension (EXT4)",
    ord("}"): "a dictionary (EMPTY_DICT)", ord("d"): "a dictionary (DICT)",
    ord("F"): "a fraction (FLOAT)", ord("G"): "a fraction (BINFLOAT)",
}  # fmt: skip

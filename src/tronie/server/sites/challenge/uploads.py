"""Take a file in: streamed to disk under the track's limit, then stored, then given its slot.

Nothing of the file is read before it is known that the team may hand one in. A page sends a
form of several parts whose fields come before the file; the API sends the bare file.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from tronie.server.challenge import intake
from tronie.server.challenge.submission import Submission, User
from tronie.server.challenge.track import Track
from tronie.server.http import Refused, allow_body, size_text
from tronie.server.sites.challenge.site import Site

if TYPE_CHECKING:  # a name that its module has for type checkers only
    from python_multipart.multipart import MultipartCallbacks

AROUND_BYTES = 64 * 1024
"""What a form has beside its file."""
MOST_FIELDS = 8
MOST_FIELD_BYTES = 4096
_PIECE = 1 << 20


@dataclass
class Sent:
    """What came in: a file on disk that vanishes with it, and the fields before it."""

    file: BinaryIO
    size_bytes: int = 0
    file_name: str = ""
    fields: dict[str, str] = field(default_factory=dict)


async def take_in(
    site: Site,
    user: User,
    name: str,
    request: Request,
    *,
    check: Callable[[Mapping[str, str]], None] | None = None,
    bare_name: str = "",
    note: str = "",
) -> Submission:
    """Take one submission from first to last byte.

    Args:
        name: Of the track.
        check: The body is a form; called with its fields before the file is read, to refuse them
            by raising. None: the body is the file.
        bare_name: Name of a file that is the body.
        note: The team's words on it; of a form, its field of that name.

    Raises:
        Refused: too often, too much at once, too large, too slow, or cut off.
        BadInput: the team may not, or what came cannot be taken.
    """
    now = site.clock()
    track = site.track(name)
    await run_in_threadpool(intake.expect_open, site.store, name, track, user, now)
    site.expect_rate("upload", user.organization_id, now)
    limit = track.limits.upload_bytes
    with site.room.one(user.organization_id), tempfile.TemporaryFile() as file:
        allow_body(request, most_bytes=limit + AROUND_BYTES, seconds=site.settings.upload_seconds)
        sent = Sent(file=file, file_name=bare_name, fields={"note": note})
        try:
            parts = _bare(request, sent) if check is None else _form_parts(request, sent, check)
            await _write(parts, sent, limit)
        except ClientDisconnect:
            raise Refused(
                400, "cut_off", "the upload stopped before its end; send it again"
            ) from None
        if not sent.size_bytes:
            raise Refused(400, "bad_input", "the upload has no file in it; choose one")
        file.seek(0)
        return await run_in_threadpool(_keep, site, user, name, track, sent)


async def _write(parts: AsyncIterator[bytes], sent: Sent, limit: int) -> None:
    waiting = bytearray()
    async for part in parts:
        sent.size_bytes += len(part)
        if sent.size_bytes > limit:
            raise Refused(
                413,
                "too_large",
                f"the file is larger than the {size_text(limit)} that this track takes; send a "
                "smaller one",
            )
        waiting += part
        if len(waiting) >= _PIECE:
            await run_in_threadpool(sent.file.write, bytes(waiting))
            waiting.clear()
    await run_in_threadpool(sent.file.write, bytes(waiting))


def _words(sent: Sent) -> tuple[str, str]:
    """The file's name and the team's note, as they are shown."""
    file_name = intake.shown_file_name(sent.file_name)
    return file_name, intake.shown_note(sent.fields.get("note", ""))


def _keep(site: Site, user: User, name: str, track: Track, sent: Sent) -> Submission:
    file_name, note = _words(sent)
    stored = site.storage.put(sent.file, limit=track.limits.upload_bytes)
    try:
        return site.store.submit(
            organization_id=user.organization_id,
            user_id=user.id,
            track=name,
            per_day=track.per_day,
            now=site.clock(),
            file_name=file_name,
            note=note,
            upload=stored.key,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
        )
    except BaseException:
        site.storage.delete(stored.key)
        raise


async def _bare(request: Request, sent: Sent) -> AsyncIterator[bytes]:
    _words(sent)
    async for part in request.stream():
        yield part


async def _form_parts(
    request: Request, sent: Sent, check: Callable[[Mapping[str, str]], None]
) -> AsyncIterator[bytes]:
    """The bytes of the one file in a form; its fields are put into `sent`."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 70:
        raise Refused(
            415, "wrong_type", "a file is sent as multipart/form-data; use the page's form"
        )
    form = _Form(sent, check)
    parser = MultipartParser(boundary, form.callbacks())
    try:
        async for piece in request.stream():
            parser.write(piece)
            for part in form.taken():
                yield part
        parser.finalize()
    except FormParserError:
        raise _broken() from None
    form.expect_whole()


class _Form:
    """Sorts the parts of a form as they come: fields, then one file."""

    def __init__(self, sent: Sent, check: Callable[[Mapping[str, str]], None]) -> None:
        self._sent, self._check = sent, check
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._field: str | None = None
        self._text = bytearray()
        self._pieces: list[bytes] = []
        self._in_file = self._had_file = self._ended = False

    def callbacks(self) -> MultipartCallbacks:
        """As the parser calls them."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def taken(self) -> list[bytes]:
        """Bytes of the file that came since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def expect_whole(self) -> None:
        """It came to its end, and there was a file in it."""
        if not self._ended:
            raise _broken()
        if not self._had_file:
            self._check(self._sent.fields)
            raise Refused(400, "bad_input", "the upload has no file in it; choose one")

    def _begin(self) -> None:
        self._disposition, self._field, self._in_file = b"", None, False

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options:
            self._field = options.get(b"name", b"").decode("utf-8", errors="replace")
            if len(self._sent.fields) >= MOST_FIELDS:
                raise Refused(400, "bad_input", f"a form has at most {MOST_FIELDS} fields")
            return
        if self._had_file:
            raise Refused(400, "bad_input", "one file is taken at a time; got a second")
        self._had_file = self._in_file = True
        self._sent.file_name = options[b"filename"].decode("utf-8", errors="replace")
        self._check(self._sent.fields)
        _words(self._sent)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._pieces.append(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MOST_FIELD_BYTES:
            raise Refused(
                413, "too_large", f"a field of a form has at most {MOST_FIELD_BYTES} bytes"
            )

    def _part_end(self) -> None:
        if self._field is not None:
            self._sent.fields[self._field] = self._text.decode("utf-8", errors="replace")
        self._text.clear()

    def _end(self) -> None:
        self._ended = True


def _broken() -> Refused:
    return Refused(400, "bad_input", "the form is broken; open its page again and send it anew")

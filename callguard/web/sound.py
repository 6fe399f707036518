"""Kept sound on its way to a browser: byte ranges of a file, and the peaks its wave is drawn from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from fastapi.responses import Response, StreamingResponse

from callguard.model.case import Segment
from callguard.model.errors import StoreFault
from callguard.store.store import Store

TYPES = {".flac": "audio/flac", ".wav": "audio/wav", ".opus": "audio/ogg", ".ogg": "audio/ogg"}
PEAKS = 1200
"""Columns of the wave; more than a screen is wide in points shows nothing new."""

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_BLOCK = 1 << 16


def file_of(store: Store, segment: Segment) -> Path:
    """Where the segment lies. Raises StoreFault "no-such-sound"."""
    root = store.segments.resolve()
    path = (root / segment.path).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise StoreFault("the sound is not there", code="no-such-sound")
    return path


def bytes_of(store: Store, segment: Segment) -> bytes | None:
    """The sound where the store must decrypt it first, None where the file is as it is."""
    opened = getattr(store, "read_sound", None)
    return opened(segment) if opened is not None else None


def ranged(store: Store, segment: Segment, wanted: str) -> Response:
    """The sound, or the part of it that the Range header asks for."""
    name = Path(segment.path).name.removesuffix(".enc")
    kind = TYPES.get(Path(name).suffix, "application/octet-stream")
    plain = bytes_of(store, segment)
    path = None if plain is not None else file_of(store, segment)
    size = len(plain) if plain is not None else path.stat().st_size if path else 0
    headers = {"accept-ranges": "bytes", "content-disposition": f'inline; filename="{segment.case}-{name}"'}
    asked = _RANGE.fullmatch(wanted.strip())
    if not asked or asked.group(0) == "bytes=-":
        headers["content-length"] = str(size)
        return StreamingResponse(_read(plain, path, 0, size), media_type=kind, headers=headers)
    first, last = _bounds(asked, size)
    if first > last or first >= size:
        return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
    headers["content-range"] = f"bytes {first}-{last}/{size}"
    headers["content-length"] = str(last - first + 1)
    return StreamingResponse(_read(plain, path, first, last + 1), status_code=206, media_type=kind, headers=headers)


def peaks_of(store: Store, segment: Segment) -> list[int]:
    """The loudest sample of each of ``PEAKS`` stretches, 0..100. Kept by the file's hash."""
    known = _known.get(segment.sha256)
    if known is None:
        known = _known[segment.sha256] = _measure(store, segment)
        while len(_known) > _MOST_KNOWN:
            _known.pop(next(iter(_known)), None)
    return known


_known: dict[str, list[int]] = {}
_MOST_KNOWN = 200


def _measure(store: Store, segment: Segment) -> list[int]:
    plain = bytes_of(store, segment)
    source = BytesIO(plain) if plain is not None else file_of(store, segment)
    try:
        with soundfile.SoundFile(source) as file:
            step = max(1, -(-file.frames // PEAKS))
            peaks: list[int] = []
            for block in file.blocks(blocksize=step * 64, dtype="int16", always_2d=True):
                loud = np.abs(block.astype(np.int32)).max(axis=1)
                for at in range(0, len(loud), step):
                    peaks.append(int(loud[at : at + step].max()) * 100 // 32768)
    except soundfile.LibsndfileError as error:
        raise StoreFault("the sound cannot be read", code="no-such-sound") from error
    return peaks


def _bounds(asked: re.Match[str], size: int) -> tuple[int, int]:
    first, last = asked.group(1), asked.group(2)
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


def _read(plain: bytes | None, path: Path | None, first: int, stop: int) -> Iterator[bytes]:
    if plain is not None:
        yield plain[first:stop]
        return
    assert path is not None
    with path.open("rb") as file:
        file.seek(first)
        left = stop - first
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            left -= len(block)
            yield block

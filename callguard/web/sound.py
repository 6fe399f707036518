"""Kept sound on its way to a browser: byte ranges of a file, and the peaks its wave is drawn from."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from fastapi.responses import Response

from callguard.model.case import Segment
from callguard.model.errors import StoreFault
from callguard.store.store import Store

TYPES = {".flac": "audio/flac", ".wav": "audio/wav", ".opus": "audio/ogg", ".ogg": "audio/ogg"}
PEAKS = 1200
"""Columns of the wave; more than a screen is wide in points shows nothing new."""

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def ranged(store: Store, segment: Segment, wanted: str) -> Response:
    """The sound, or the part of it that the Range header asks for. Raises StoreFault."""
    name = Path(segment.path).name
    kind = TYPES.get(Path(name).suffix, "application/octet-stream")
    body = store.sound(segment)
    headers = {"accept-ranges": "bytes", "content-disposition": f'inline; filename="{segment.case}-{name}"'}
    asked = _RANGE.fullmatch(wanted.strip())
    if not asked or asked.group(0) == "bytes=-":
        return Response(body, media_type=kind, headers=headers)
    first, last = _bounds(asked, len(body))
    if first > last or first >= len(body):
        return Response(status_code=416, headers={"content-range": f"bytes */{len(body)}"})
    headers["content-range"] = f"bytes {first}-{last}/{len(body)}"
    return Response(body[first : last + 1], status_code=206, media_type=kind, headers=headers)


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
    try:
        with soundfile.SoundFile(BytesIO(store.sound(segment))) as file:
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

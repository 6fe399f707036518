"""A case's contents as they may leave the house: text masked, sound beeped, the mix made anew."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import soundfile

from callguard.model.case import Segment, Track
from callguard.store.bundle import Contents, part_of
from callguard.store.finishing import Samples, encode_flac, stereo_mix
from callguard.store.masking import Stretch, Way, beeped, masked_view, voice_hidden

_OTHERS = (Track.AGENT, Track.SUPERVISOR)


def masked_contents(contents: Contents, way: Way, *, names: Iterable[str] = ()) -> Contents:
    """The same case as this way shows it. The desk's remarks stay inside; verdicts are no business of the caller's."""
    view, changed, stretches = masked_view(contents.view, way, names=names)
    sound: dict[str, bytes] = {}
    takes: dict[str, dict[Track, Samples]] = {}
    for segment in contents.view.segments:
        name = part_of(segment)
        if segment.track is Track.MIX or name not in contents.sound:
            continue
        masked = _masked_sound(contents.sound[name], segment, way, stretches)
        takes.setdefault(name.removeprefix(f"tracks/{segment.track}"), {})[segment.track] = masked
        sound[name] = _flac(masked, channels=1)
    for ending, tracks in takes.items():
        count = max(len(one) for one in tracks.values())
        sound[f"tracks/{Track.MIX}{ending}"] = _flac(stereo_mix(tracks, count), channels=2)
    trail = tuple(line for line in contents.audit if way is Way.MASKED or line.verb == "case-opened")
    return replace(
        contents,
        view=view,
        sound=sound,
        desk=(),
        audit=trail,
        masked=str(way),
        masked_records=changed,
    )


def _masked_sound(flac: bytes, segment: Segment, way: Way, stretches: Iterable[Stretch]) -> Samples:
    samples, _ = soundfile.read(io.BytesIO(flac), dtype="int16")
    sound: Samples = np.asarray(samples, dtype=np.int16)
    if way is Way.CALLER:
        return voice_hidden(sound) if segment.track in _OTHERS else sound
    mine = [one for one in stretches if one.track is segment.track]
    return beeped(sound, start_ms=segment.start_ms, stretches=mine)


def _flac(sound: Samples, *, channels: int) -> bytes:
    out = io.BytesIO()
    encode_flac([sound], channels, out)
    return out.getvalue()

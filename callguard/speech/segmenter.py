"""From frames to utterances: where speech begins, where it ends, and where a long one is cut.

Time is data here: the segmenter is fed milliseconds and booleans and answers with what changed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from callguard.model.ids import LegId, UtteranceId
from callguard.model.sound import FRAME_MS, Utterance


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Where to cut.

    open_frames of the last open_among frames must be speech to open an utterance (a click is one or two).
    before_ms: sound kept before the first speech frame: soft first consonants are not speech to a detector.
    hang_ms: so much silence closes an utterance.
    longest_ms: an utterance that long is closed wherever it is; from ``soft_ms`` on at the first pause of
        ``pause_ms``.
    """

    open_frames: int = 3
    open_among: int = 6
    before_ms: int = 240
    hang_ms: int = 500
    soft_ms: int = 8_000
    pause_ms: int = 120
    longest_ms: int = 12_000


class Segmenter:
    """One leg's. Feed frames in the order of their time; a gap in time counts as silence."""

    __slots__ = (
        "_began_ms",
        "_cut",
        "_end_ms",
        "_floor_ms",
        "_goes_on",
        "_leg",
        "_number",
        "_recent",
        "_spoke_ms",
        "_start_ms",
    )

    def __init__(self, leg: LegId, cut: Cut | None = None) -> None:
        self._leg = leg
        self._cut = cut or Cut()
        self._number = 0
        self._recent: deque[tuple[int, bool]] = deque(maxlen=self._cut.open_among)
        self._floor_ms = 0
        self._goes_on = False
        self._start_ms: int | None = None
        self._began_ms = 0
        self._spoke_ms = 0
        self._end_ms = 0

    @property
    def open(self) -> Utterance | None:
        """The utterance that is growing now."""
        return None if self._start_ms is None else self._utterance(self._end_ms, closed=False)

    @property
    def began_ms(self) -> int:
        """Where the first speech frame of the open (or last) utterance was; its start is ``before_ms`` earlier."""
        return self._began_ms

    @property
    def spoke_ms(self) -> int:
        """End of the newest speech frame."""
        return self._spoke_ms

    def feed(self, at_ms: int, is_speech: bool) -> list[Utterance]:
        """One frame. Returns utterances that closed or opened with it, in that order; mostly none."""
        changed: list[Utterance] = []
        if self._start_ms is not None and at_ms - self._spoke_ms >= self._cut.hang_ms:
            changed += self.flush()
        if self._start_ms is None:
            return changed + self._wait(at_ms, is_speech=is_speech)
        self._end_ms = at_ms + FRAME_MS
        if is_speech:
            self._spoke_ms = self._end_ms
        length_ms, pause_ms = self._end_ms - self._start_ms, self._end_ms - self._spoke_ms
        if pause_ms >= self._cut.hang_ms:
            changed += self.flush()
        elif length_ms >= self._cut.longest_ms or (length_ms >= self._cut.soft_ms and pause_ms >= self._cut.pause_ms):
            changed += self._split()
        return changed

    def flush(self) -> list[Utterance]:
        """Close what is open: the leg is gone, or nothing more will come."""
        if self._start_ms is None:
            return []
        closed = self._utterance(self._end_ms, closed=True)
        self._start_ms = None
        self._floor_ms = self._end_ms
        self._recent.clear()
        return [closed]

    def _wait(self, at_ms: int, *, is_speech: bool) -> list[Utterance]:
        recent = self._recent
        if recent and at_ms - recent[-1][0] > self._cut.open_among * FRAME_MS:
            recent.clear()
        recent.append((at_ms, is_speech))
        spoken = [at for at, speech in recent if speech]
        goes_on, self._goes_on = self._goes_on and is_speech, False
        if len(spoken) < self._cut.open_frames and not goes_on:
            return []
        self._number += 1
        self._began_ms = spoken[0]
        self._start_ms = self._floor_ms if goes_on else max(self._floor_ms, self._began_ms - self._cut.before_ms, 0)
        self._spoke_ms = spoken[-1] + FRAME_MS
        self._end_ms = at_ms + FRAME_MS
        return [self._utterance(self._end_ms, closed=False)]

    def _split(self) -> list[Utterance]:
        """Close in the middle of speech. Without a pause the very next frame goes on with the next number."""
        self._goes_on = self._end_ms == self._spoke_ms
        return self.flush()

    def _utterance(self, end_ms: int, *, closed: bool) -> Utterance:
        assert self._start_ms is not None
        return Utterance(
            id=UtteranceId(f"{self._leg}/{self._number}"),
            leg=self._leg,
            start_ms=self._start_ms,
            end_ms=end_ms,
            closed=closed,
        )

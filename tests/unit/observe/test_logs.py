"""What may stand in the log, and what never does."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.model.ids import LegId, Role, UtteranceId
from callguard.model.words import Transcript, Word
from callguard.observe.logs import COVERED, cover, set_up
from callguard.web.doors import log_refused

log = logging.getLogger("callguard.test")


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("callguard")
    before = (list(root.handlers), root.level, ours.level)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])
    logging.captureWarnings(False)


def written(*, format: str = "text", level: str = "info", personal: bool = False) -> io.StringIO:
    out = io.StringIO()
    set_up(level, format=format, personal=personal, stream=out)
    return out


@pytest.mark.parametrize(
    "number",
    ["0312345678", "03-1234-5678", "090-1234-5678", "+81 3 1234 5678", "(555) 123-4567", "+15551234567", "1234567"],
)
def test_numbers_are_covered(number: str) -> None:
    assert cover(f"from {number} now") == f"from {COVERED} now"
    assert cover(f"PJSIP/{number}") == f"PJSIP/{COVERED}"


@pytest.mark.parametrize(
    "text",
    [
        "1732537200.12",
        "2026-11-25T17:38:15Z",
        "2026-11-25 17:38:15",
        "port 5038, 123456 bytes",
        "9f86d081884c7d659a2feaa0c55ad015",
        "192.168.100.200:45678",
        "2001:db8:1234:5678:1234:5678:1234:5678",
    ],
)
def test_what_is_no_number_stays(text: str) -> None:
    assert cover(text) == text


@given(st.ip_addresses())
def test_addresses_stay(address: object) -> None:
    assert cover(f"rhost={address} reason=x") == f"rhost={address} reason=x"


@given(st.text(alphabet="0123456789", min_size=7, max_size=15), st.sampled_from(["", " ", "-", ") "]))
def test_no_long_number_survives(digits: str, between: str) -> None:
    grouped = between.join([digits[:3], digits[3:]])
    assert not re.search(r"\d{4}", cover(f"x {grouped} y"))


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::17", "-"])
def test_the_desk_line_comes_through_unchanged(format: str, host: str) -> None:
    out = written(format=format)
    log_refused("" if host == "-" else host, "sign-in-wrong")
    assert f"desk sign-in refused rhost={host} reason=sign-in-wrong" in out.getvalue()
    assert out.getvalue().count("\n") == 1


def test_json_where_nobody_watches() -> None:
    out = written(format="")
    log.info("a thing happened", extra={"code": "bus-away", "segments": 3})
    line = json.loads(out.getvalue())
    assert (line["message"], line["code"], line["segments"], line["level"]) == (
        "a thing happened",
        "bus-away",
        3,
        "info",
    )
    assert line["time"].endswith("Z")


def test_text_where_somebody_does() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    set_up("info", stream=out)
    log.warning("a thing happened", extra={"code": "bus-away", "why": "two words"})
    assert re.fullmatch(
        r'\d{4}-\d\d-\d\dT[\d:.]{12}Z WARNING callguard.test: a thing happened code=bus-away why="two words"\n',
        out.getvalue(),
    )


@pytest.mark.parametrize("level", ["info", "debug"])
@pytest.mark.parametrize("format", ["text", "json"])
def test_nothing_personal(level: str, format: str) -> None:
    out = written(level=level, format=format)
    said = (Word(text="secret more", start_ms=0, end_ms=9, probability=1.0),)
    heard = Transcript(
        utterance=UtteranceId("u"), leg=LegId("1.1"), role=Role.CALLER, start_ms=0, end_ms=9, committed=said
    )
    log.info("heard %s", heard, extra={"pii.name": "Yamada", "caller_number": "0312345678", "transcript": "bad words"})
    log.info("heard", extra={"said": heard, "all": [heard], "last": {"it": heard}})
    log.info("a call of %s", "0312345678")
    try:
        raise ValueError("number 0312345678")
    except ValueError:
        log.exception("failed")
    for personal in ("secret", "more", "Yamada", "0312345678", "bad words"):
        assert personal not in out.getvalue()
    assert "ValueError" in out.getvalue()


def test_a_test_bench_may_see_all() -> None:
    out = written(personal=True)
    log.info("a call of %s", "0312345678", extra={"pii.name": "Yamada"})
    assert "0312345678" in out.getvalue() and "Yamada" in out.getvalue()


def test_other_packages_only_warn() -> None:
    out = written(level="debug")
    logging.getLogger("faster_whisper").debug("what was said")
    logging.getLogger("panoramisk").info("Secret: x")
    logging.getLogger("uvicorn").warning("odd request")
    log.debug("ours")
    assert "what was said" not in out.getvalue() and "Secret" not in out.getvalue()
    assert "odd request" in out.getvalue() and "ours" in out.getvalue()


def test_nobody_writes_a_second_line() -> None:
    out = written()
    log.warning("refused rhost=%s", "1.2.3.4\n2026 desk sign-in refused rhost=9.9.9.9 reason=x")
    assert out.getvalue().count("\n") == 1


def test_doing_it_again_writes_once() -> None:
    first = written()
    second = written()
    log.info("once")
    assert first.getvalue() == "" and second.getvalue().count("once") == 1

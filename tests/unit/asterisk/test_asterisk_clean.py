"""No text, whatever it is, gets out of its place on the way to Asterisk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.asterisk import clean
from callguard.model.errors import Refused

TEXT = st.text(max_size=200) | st.sampled_from(
    [
        "a\r\nAction: Originate",
        "x\n",
        "\r",
        "\0",
        "${SHELL(id)}",
        '"',
        "a,b",
        "/.*/",
        "500&PJSIP/itsp/1416",
        "José",
        "怒鳴る",
    ]
)


def tried(sink: Callable[[str], str], value: str) -> str | None:
    with contextlib.suppress(Refused):
        return sink(value)
    return None


@given(TEXT)
def test_a_manager_value_is_one_line_and_itself(value: str) -> None:
    got = tried(clean.ami_value, value)
    if got is not None:
        assert got == value and len(got.splitlines()) <= 1 and "\0" not in got and len(got.encode()) <= 1000


@given(TEXT)
def test_an_agi_argument_is_one_quoted_word(value: str) -> None:
    got = tried(clean.agi_argument, value)
    if got is None:
        return
    assert got[0] == got[-1] == '"' and len(got.splitlines()) == 1
    inside, i = got[1:-1], 0
    plain = ""
    while i < len(inside):
        assert inside[i] != '"'
        i += inside[i] == "\\"
        plain += inside[i]
        i += 1
    assert plain == value


@given(TEXT)
def test_variables_files_channels_and_digits_hold_only_plain_characters(value: str) -> None:
    for sink in (
        clean.variable_value,
        clean.file_part,
        clean.channel,
        clean.digits,
        clean.variable_name,
        clean.ami_name,
    ):
        got = tried(sink, value)
        if got is not None:
            assert got == value
            assert not set(got) & set("\r\n\0$`\"'&|^,{}[]()\\ ")
            assert not got.startswith("/") or sink is clean.variable_value


@given(TEXT)
def test_an_event_value_holds_no_dialplan_syntax(value: str) -> None:
    got = tried(clean.user_event_value, value)
    if got is not None:
        assert "${" not in got and "$[" not in got and not set(got) & set(",|^")


@pytest.mark.parametrize(
    "bad", ["", "1", "1234567", "+81", "12a", "500&PJSIP/itsp/1416", "12 ", "１２", "${X}", "12\n"]
)
def test_a_caller_is_sent_to_short_internal_numbers_only(bad: str) -> None:
    with pytest.raises(Refused):
        clean.destination(bad)
    assert clean.destination("2002") == "2002"


@given(st.binary(max_size=100))
def test_any_bytes_from_outside_become_text(raw: bytes) -> None:
    assert isinstance(clean.shown_text(clean.unescaped(clean.from_outside(raw))), str)


def test_names_from_outside_are_kept_as_people_wrote_them() -> None:
    assert clean.from_outside(b"Jos\xe9") == "José"
    assert clean.from_outside("Müller 😀".encode()) == "Müller 😀"
    assert clean.unescaped('a\\"b\\\\c') == 'a"b\\c'
    assert clean.shown_text("a\u202eb\r\nc: d") == "ab c: d"
    assert len(clean.shown_text("x" * 5000)) == 300

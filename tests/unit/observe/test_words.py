"""Every code of the source has its words in both languages, and no words are left over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import callguard
from callguard.access.may import Answer
from callguard.asterisk.versions import TROUBLES
from callguard.model import errors
from callguard.model.action import Effect, Refusal
from callguard.observe.words import WORDS, words_for

ROOM = Path(callguard.__file__).parent
TABLE, CHECKS = ROOM / "observe" / "words.py", ROOM / "observe" / "check_words.py"
SOURCES = sorted(ROOM.rglob("*.py"))
KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TELLS = {"_failed", "trouble", "end"}
"""Functions whose first argument is a code."""

NOT_CODES = {"en", "ja", "ami-events", "ami-link", "no-answer", "no-speech", "no-store"}
"""Languages, names of tasks, of channel states, of headers."""

LIKE_A_CODE = re.compile(r"(ami|agi|bus|tap|store|model|settings|sandbox|whisper|presence)-[a-z-]+[a-z]")


def texts(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from texts(value)


def named(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def codes_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="code" | "refusal", value=value):
                yield from texts(value)
            case ast.Assign(targets=[target], value=value) if named(target) == "code":
                yield from texts(value)
            case ast.Call(func=func, args=[first, *_]) if named(func) in TELLS:
                yield from texts(first)
            case ast.Constant(value=str(value)) if LIKE_A_CODE.fullmatch(value):
                yield value
            case _:
                pass


def source_codes() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in SOURCES:
        if not {"benchmarks", "checks"} & {*file.parts} and file not in (TABLE, CHECKS):
            for code in codes_of(ast.parse(file.read_text(encoding="utf-8"))):
                found.setdefault(code, file.name)
    for one in (*Refusal, *(e for e in Effect if e is not Effect.DONE), *(a for a in Answer if a is not Answer.YES)):
        found[one.value] = type(one).__name__
    found |= {one.code: "versions.py" for one in TROUBLES}
    return {code: where for code, where in found.items() if code and code not in NOT_CODES}


def test_codes_are_found_in_every_shape() -> None:
    source = 'code = "a-a"\nf(code="b-b" if x else "c-c")\n_failed("d-d")\nreason = "ami-ee"\ng(code=x or "h-h")'
    assert set(codes_of(ast.parse(source))) == {"a-a", "b-b", "c-c", "d-d", "ami-ee", "h-h"}
    assert len(source_codes()) > 130


def test_every_code_has_words() -> None:
    missing = {code: where for code, where in source_codes().items() if code not in WORDS}
    assert not missing


def test_no_words_without_a_code() -> None:
    spoken = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES if file != TABLE)
    unused = {code for code in WORDS if f'"{code}"' not in spoken}
    assert not unused


def test_every_error_class_has_a_code_with_words() -> None:
    def below(one: type) -> Iterator[type]:
        yield one
        for sub in one.__subclasses__():
            yield from below(sub)

    tree = [one for one in below(errors.CallguardError) if one.__module__.startswith("callguard.")]
    assert len(tree) >= 11
    assert all(one.code in WORDS for one in tree)


@pytest.mark.parametrize("code", sorted(WORDS))
def test_words_are_sentences(code: str) -> None:
    english, japanese = WORDS[code]
    assert KEBAB.fullmatch(code)
    assert english.isascii() or "“" in english
    assert english.endswith(".")
    assert re.search(r"[ぁ-んァ-ヶ一-龠]", japanese) and japanese.endswith("。")


def test_an_unknown_code_stays_itself() -> None:
    assert words_for("nobody-knows") == "nobody-knows"
    assert words_for("bus-away", "ja") == WORDS["bus-away"][1]

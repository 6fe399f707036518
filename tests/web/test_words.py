"""Every sentence of the desk is there in English and Japanese, with the same places to fill in."""

import ast
import re
from pathlib import Path

import pytest

import callguard.web
from callguard.web import words
from callguard.web.japanese import JAPANESE
from callguard.web.language import choose, words_in

ROOM = Path(callguard.web.__file__).parent
SAID = re.compile(r"""\b_\(\s*(?P<quote>["'])(?P<text>(?:(?!(?P=quote)).)*)(?P=quote)""")


def sentences():
    found = {}
    for page in sorted((ROOM / "templates").glob("*.html")):
        for one in SAID.finditer(page.read_text(encoding="utf-8")):
            found[one.group("text")] = page.name
    for table in (words.KINDS, words.STATES, words.ROLES, words.OTHERS, words.SAID):
        found |= dict.fromkeys(table.values(), "words.py")
    tree = ast.parse((ROOM / "report_pages.py").read_text(encoding="utf-8"))
    made = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "csv_of")
    for node in ast.walk(made):
        if isinstance(node, ast.Tuple) and all(isinstance(one, ast.Constant) for one in node.elts):
            found |= {one.value: "report_pages.py" for one in node.elts}
    return found


def test_every_sentence_has_its_japanese():
    missing = {text: where for text, where in sentences().items() if text not in JAPANESE}
    assert not missing


def test_no_japanese_is_left_over():
    unused = set(JAPANESE) - set(sentences())
    assert unused <= {"all", "week", "kind", "queue", "hour", "rule", "flagged by"}


def test_the_same_places_are_filled_in():
    place = re.compile(r"%\(\w+\)s")
    for english, japanese in JAPANESE.items():
        assert sorted(place.findall(english)) == sorted(place.findall(japanese)), english
        assert english.count("%%") == japanese.count("%%"), english


@pytest.mark.parametrize(
    ("wanted", "accepted", "found"),
    [
        ("", "ja,en;q=0.8", "ja"),
        ("", "en-GB,en;q=0.9,ja;q=0.1", "en"),
        ("", "fr,de;q=0.9", "en"),
        ("", "fr;q=1.0,ja-JP;q=0.5,en;q=0.4", "ja"),
        ("ja", "en", "ja"),
        ("xx", "", "en"),
        ("", "ja;q=x", "ja"),
    ],
)
def test_which_language(wanted, accepted, found):
    assert choose(wanted, accepted, default="en") == found


def test_hostile_values_are_not_formats():
    assert words_in("ja")("Calls: %(n)s", n="%(x)s %s").endswith("%(x)s %s")

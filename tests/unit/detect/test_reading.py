"""What a recognizer wrote with other characters than were meant is found by its reading; known words are believed."""

from __future__ import annotations

import pytest

from callguard.detect.reading import Piece, Readings, key
from callguard.detect.rules import RuleSet
from callguard.detect.verdict import Judgement, judge_text
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(load_policy(shipped("policies/ja.toml")))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("むのう", "むの"),
        ("おおかぶぬし", "おかぶぬし"),
        ("かれしいる", "かれしーる"),
        ("おってやる", "をってやる"),
        ("じゅうしょ", "じゅしょ"),
    ],
)
def test_one_key_whatever_the_length_of_vowels(one: str, other: str) -> None:
    assert key(one)[0] == key(other)[0]


@pytest.mark.parametrize(("one", "other"), [("かう", "か"), ("おい", "お"), ("きった", "きた"), ("ばか", "はか")])
def test_other_sounds_are_other_keys(one: str, other: str) -> None:
    assert key(one)[0] != key(other)[0]


def _piece(said: str, start: int, text: str, *, misheard: bool = False, sure: bool = False) -> Piece:
    return Piece(said, start, start + len(text), text, misheard, sure)


def test_a_listed_text_is_found_across_words_where_a_word_begins() -> None:
    readings = Readings([("折ってやる", "おってやる", ("break",))])
    pieces = [_piece("ほん", 0, "本"), _piece("を", 1, "を"), _piece("って", 2, "って"), _piece("やる", 4, "やる")]
    assert list(readings.arcs(pieces)) == [(1, "break", 6)]
    assert not list(readings.arcs([_piece("ほんおってやる", 0, "本追って遣る", sure=False)]))


def test_a_word_that_the_dictionary_knows_is_believed_unless_the_listed_text_holds_it() -> None:
    readings = Readings([("欲情", "よくじょう", ("desire",)), ("浴場で見た", "よくじょうでみた", ("seen",))])
    bath = _piece("よくじょう", 0, "浴場", sure=True)
    assert not list(readings.arcs([bath]))
    rest = [_piece("で", 2, "で"), _piece("み", 3, "見"), _piece("た", 4, "た")]
    assert list(readings.arcs([bath, *rest])) == [(0, "seen", 5)]


def test_a_short_text_counts_as_whole_words_and_only_where_something_looks_misheard() -> None:
    readings = Readings([("顔", "かお", ("face",))])
    assert not list(readings.arcs([_piece("か", 0, "か"), _piece("お", 1, "お")]))
    assert list(readings.arcs([_piece("かお", 0, "蚊緒", misheard=True)])) == [(0, "face", 2)]


def test_nothing_is_found_in_nothing() -> None:
    assert not list(Readings([("顔", "かお", ("face",))]).arcs([]))


@pytest.mark.parametrize(
    "heard",
    [
        "いなかものは電話に出ないでくれる",
        "その女の子をきょうじゅうにやめさせて、しょうこを送れ",
        "半ごろしにされたくなかったら今すぐ電気を通しにこい",
        "こむすめに保健の何がわかる、さっさとよめにでもいけ",
    ],
)
def test_what_the_recognizer_spelled_otherwise_is_found(heard: str, rules: RuleSet) -> None:
    assert judge_text(heard, "ja", rules).verdict is Judgement.HARASSMENT


@pytest.mark.parametrize(
    "said",
    [
        "温泉大浴場のある宿を希望します",
        "お菓子の缶は捨てずに取っておきました",
        "歴史を一通り学んでから行くのが一番楽しいですよ",
        "入り口を開けていただけますか",
        "その周辺にいくつかお宿がございます",
        "化粧品も見たいし本屋さんにも行きたいです",
    ],
)
def test_homophones_of_everyday_words_are_what_they_are(said: str, rules: RuleSet) -> None:
    assert judge_text(said, "ja", rules).verdict is Judgement.NONE

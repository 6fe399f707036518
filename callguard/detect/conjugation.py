"""Forms of Japanese verbs, made from the dictionary form: a tokenizer may read 死ね as a condition."""

from __future__ import annotations

from collections.abc import Iterator

_ROWS = {
    "う": "わいうえおっ", "く": "かきくけこい", "ぐ": "がぎぐげごい", "す": "さしすせそし", "つ": "たちつてとっ",
    "ぬ": "なにぬねのん", "ぶ": "ばびぶべぼん", "む": "まみむめもん", "る": "らりるれろっ",
}  # fmt: skip
_VOICED = frozenset("ぐぬぶむ")


def verb_forms(verb: str, *, one_row: bool) -> Iterator[tuple[str, str]]:
    """(form, text) of a verb: dic 殺す, masu 殺し, te 殺し (before て た), nai 殺さ, imp 殺せ, vol 殺そう, pass 殺され.

    one_row: True for verbs that drop る (食べる), False for those that change their last kana.
    """
    stem, last = verb[:-1], verb[-1:]
    if verb.endswith("する"):
        stem = verb[:-2]
        table = {"dic": "する", "masu": "し", "te": "し", "nai": "し", "imp": "しろ", "vol": "しよう", "pass": "され"}
        yield from ((form, stem + tail) for form, tail in table.items())
        yield "imp", stem + "せえ"
        yield "imp", stem + "せよ"
    elif verb.endswith(("来る", "くる")):
        stem = verb[:-2]
        kana = verb.endswith("くる")
        for form, full in {
            "dic": "くる",
            "masu": "き",
            "te": "き",
            "nai": "こ",
            "imp": "こい",
            "vol": "こよう",
        }.items():
            yield form, stem + (full if kana else "来" + full[1:])
    elif one_row:
        for form, tail in {
            "dic": "る",
            "masu": "",
            "te": "",
            "nai": "",
            "imp": "ろ",
            "vol": "よう",
            "pass": "られ",
        }.items():
            yield form, stem + tail
        yield "imp", stem + "え" if not stem.endswith("え") else stem + "ろ"
    elif last in _ROWS:
        a, i, u, e, o, te = tuple(_ROWS[last])
        te = "っ" if verb.endswith(("行く", "いく")) else te
        table = {"dic": u, "masu": i, "te": te, "nai": a, "imp": e, "vol": o + "う", "pass": a + "れ"}
        yield from ((form, stem + tail) for form, tail in table.items())

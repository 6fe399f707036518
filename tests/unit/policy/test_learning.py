"""``callguard policy learn``: what comes of labelled sentences, and that the shipped weights came of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callguard.cli import app
from callguard.commands.policies.learning import _digest, samples_of
from callguard.commands.policies.sentences import read_sentences
from callguard.detect.learned import read_learned
from callguard.detect.verdict import Judgement, judge_text
from callguard.model.errors import SettingsError
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped

SENTENCES = Path(__file__).parents[2] / "replay" / "sentences"
HELD_OUT = {"en": ("i", "s", "cc", "dd", "ee", "gg"), "ja": ("f", "u", "z", "aa", "bb", "dd")}
"""Files nobody learned from: they tell how we do on sentences not seen."""

ROWS = [
    ("harassment", "verbal_abuse", 2, "you blithering {} you snorple"),
    ("harassment", "threat", 2, "snorple your {} tonight and you know it"),
    ("neutral", "-", 0, "i would like to ask about my {} please"),
    ("grievance", "-", 0, "my {} is broken and i want a refund"),
    ("care", "life_at_risk", 0, "help my {} fell and does not breathe"),
]
THINGS = ("router", "kettle", "parcel", "ticket", "boiler", "mother", "lamp", "card")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = []
    for part in (THINGS[:4], THINGS[4:]):
        rows = [
            f"{thing}-{number}\ten\t{label}\t{kind}\t{severity}\t{text.format(thing)}"
            for thing in part
            for number, (label, kind, severity, text) in enumerate(ROWS)
        ]
        made.append(tmp_path / f"{part[0]}.tsv")
        made[-1].write_text("\n".join(["id\tlang\tlabel\tcategory\tseverity\ttext", *rows]) + "\n")
    return made


def learn(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["policy", "learn", *map(str, arguments)])
    return done.exit_code, done.stdout


def test_a_centre_learns_from_its_own_sentences_and_judges_by_them(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "rules" / "own.weights"
    out.parent.mkdir()
    code, told = learn(*files, "--out", out, "--json")
    assert code == 0, told
    assert json.loads(told.splitlines()[-1])["found"] == {"hit": 16, "of": 16}
    policy = tmp_path / "own.toml"
    base = shipped("policies/en.toml")
    policy.write_text(
        f'extends = "{base}"\nname = "own"\n[rules]\nfiles = ["rules/en/10-words.toml", "rules/own.weights"]\n'
    )
    rules = load_rules(load_policy(policy))
    found = judge_text("snorple your carpet tonight and you know it", "en", rules)
    assert found.verdict is Judgement.HARASSMENT and found.rules[0].startswith("en.learned.")
    assert judge_text("i would like to ask about my carpet please", "en", rules).verdict is Judgement.NONE
    other = load_policy(policy).hash
    out.write_text(out.read_text().replace("# alone ", "# alone 1"))
    assert load_policy(policy).hash != other, "weights decide, so they are in the hash"


def test_the_same_sentences_teach_the_same(files: list[Path], tmp_path: Path) -> None:
    first, second = tmp_path / "1.weights", tmp_path / "2.weights"
    assert learn(*files, "--out", first)[0] == learn(*files, "--out", second)[0] == 0
    assert first.read_text() == second.read_text()


def test_what_cannot_be_learned_from_is_told(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "x.weights"
    assert learn(files[0], "--out", out)[0] != 0
    japanese = tmp_path / "ja.tsv"
    japanese.write_text("id\tlang\tlabel\tcategory\tseverity\ttext\n1\tja\tneutral\t-\t0\tはい\n")
    assert learn(*files, japanese, "--out", out)[0] != 0
    harmless = tmp_path / "harmless.tsv"
    harmless.write_text("id\tlang\tlabel\tcategory\tseverity\ttext\n1\ten\tneutral\t-\t0\tyes\n")
    assert learn(harmless, harmless.rename(tmp_path / "h.tsv"), "--out", out)[0] != 0
    assert not out.exists()


@pytest.mark.parametrize(
    ("written", "where", "what"),
    [
        ('["rules/en", "own.weights"]', "own.weights", "second file of weights for 'en'"),
        ('["rules/ja", "own.weights"]', "rules.files", "the policy has no rules for"),
        ('["rules/en/10-words.toml", "gone.weights"]', "rules", "gone.weights"),
    ],
)
def test_weights_that_could_not_serve_are_told(tmp_path: Path, written: str, where: str, what: str) -> None:
    (tmp_path / "own.weights").write_text(Path(shipped("policies/rules/en/95-learned.weights")).read_text())
    policy = tmp_path / "own.toml"
    policy.write_text(f'extends = "{shipped("policies/en.toml")}"\nname = "own"\n[rules]\nfiles = {written}\n')
    with pytest.raises(SettingsError) as told:
        load_rules(load_policy(policy))
    assert what in str(told.value) and where in told.value.where, str(told.value)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_shipped_weights_came_of_our_sentences_without_those_held_out(language: str) -> None:
    file = shipped(f"policies/rules/{language}/95-learned.weights")
    text = file.read_text(encoding="utf-8")
    spoken = load_rules(load_policy(shipped(f"policies/{language}.toml"))).languages[language]
    samples = [
        one
        for sentences in sorted((SENTENCES / language).glob("*.tsv"))
        if sentences.stem not in HELD_OUT[language]
        for one in samples_of(sentences.stem, read_sentences(sentences), spoken)
    ]
    assert f"# sentences {len(samples)}\n# sha256 {_digest(samples)}\n" in text
    assert read_learned(text, where=str(file)).language == language

"""``callguard policy``: sentences judged and counted, faults with their places, pages, and two policies compared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from callguard.commands.policies.checking import check_policy
from callguard.commands.policies.comparing import compare, scenarios
from callguard.commands.policies.explaining import as_html, as_text, page_of
from callguard.commands.policies.sentences import Share, read_sentences
from callguard.model.errors import SettingsError
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped

ROWS = """id\tlang\tlabel\tcategory\tseverity\ttext
1\ten\tharassment\tthreat\t3\tI will kill you
2\ten\tcomplaint\t\t\tI want my money back, this is a disgrace
3\ten\tneutral\t\t\tthe battery is dead
4\ten\tcare\tlife_at_risk\t\tI want to end my life
5\tja\tharassment\tverbal_abuse\t2\tお前はバカか
6\tja\tgrievance\t\t\t返金してください
"""


def policy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from callguard.cli import main; main()", "policy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_sentences_are_judged_each_by_its_language(tmp_path: Path) -> None:
    file = tmp_path / "rows.tsv"
    file.write_text(ROWS, encoding="utf-8")
    done = policy("test", "--utterances", str(file), "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [line["verdict"] for line in lines[:-1]] == ["harassment", "none", "none", "care", "harassment", "none"]
    assert lines[0]["kinds"] == ["threat"] and lines[0]["severity"] == 3 and lines[0]["words"] and lines[0]["rule"]
    assert lines[-1]["summary"]["en"] == {
        "recall": 1.0,
        "precision": 1.0,
        "false_alarm_complaint": 0.0,
        "false_alarm_neutral": 0.0,
        "care_found": 1.0,
    }
    assert lines[-1]["summary"]["ja"]["care_found"] is None


def test_the_table_for_people_has_intervals_and_marks_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "rows.tsv"
    file.write_text(ROWS.replace("3\ten\tneutral", "3\ten\tharassment"), encoding="utf-8")
    done = policy("test", "--utterances", str(file))
    assert "! 3" in done.stdout and "95 % interval" in done.stdout and "50.0%" in done.stdout


def test_a_policy_without_rules_for_a_language_says_so(tmp_path: Path) -> None:
    file = tmp_path / "rows.tsv"
    file.write_text(ROWS, encoding="utf-8")
    done = policy("test", "--utterances", str(file), "--policy", str(shipped("policies/en.toml")), "--json")
    assert done.returncode == 0 and done.stderr.count("no rules for 'ja'") == 1


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("id\tlang\ttext\n", ":1"),
        ("id\tlang\tlabel\ttext\n1\ten\tangry\thello\n", ":2"),
        ("id\tlang\tlabel\ttext\n1\tfr\tneutral\tallo\n", ":2"),
        ("id\tlang\tlabel\ttext\n", "rows.tsv"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, text: str, where: str) -> None:
    file = tmp_path / "rows.tsv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read_sentences(file)
    assert caught.value.where.endswith(where)


def test_the_interval_is_wilsons() -> None:
    low, high = Share(hit=9, of=10).bounds() or (0, 0)
    assert (round(low, 3), round(high, 3)) == (0.596, 0.982)
    assert Share(hit=0, of=0).bounds() is None


def test_every_shipped_policy_is_good_and_profiles_name_their_source() -> None:
    files = sorted(shipped("policies/base.toml").parent.glob("*.toml"))
    assert len(files) == 9
    for file in files:
        assert check_policy(file, ())["good"], file
        if file.stem not in ("base", "en", "ja"):
            assert load_policy(file).source
    assert load_policy(shipped("policies/tokyo.toml"), queue="quick").limits[0].after_s == 900


def test_faults_are_named_by_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(f'extends = "{shipped("policies/base.toml")}"\nname = "x"\nmode = "attack"\n[keys]\nflag = "7"\n')
    found = check_policy(file, ())
    assert not found["good"]
    assert any("policy.toml:3" in one["where"] for one in found["faults"])


@pytest.mark.parametrize(("language", "word"), [("en", "Warnings"), ("ja", "警告")])
def test_a_policy_reads_as_a_page(language: str, word: str) -> None:
    known = load_policy(shipped("policies/base.toml"))
    page = page_of(known, load_rules(known), language)
    assert word in as_text(page) and known.hash in as_text(page) and "*7" in as_text(page)
    assert as_html(page).startswith("<!doctype html>") and "<script" not in as_html(page)


def test_a_switched_off_rule_changes_the_outcome_of_a_scene(tmp_path: Path) -> None:
    base = shipped("policies/en.toml")
    rules = load_rules(load_policy(base)).languages["en"]
    threats = [one.rule.id for one in rules.rules if one.rule.category.value == "threat"]
    threats += [one.id for kind, one in rules.learned.rules.items() if kind.value == "threat"]
    file = tmp_path / "milder.toml"
    file.write_text(f'extends = "{base}"\nname = "milder"\n[rules]\noff = {json.dumps(threats)}\n')
    calls = list(scenarios())
    assert compare(base, base, calls) == []
    changed = compare(base, file, calls)
    assert [one.name for one in changed] == ["scene en"]
    assert any("threat" in line for line in changed[0].before) and not any(
        "threat" in line for line in changed[0].after
    )

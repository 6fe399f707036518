"""``callguard policy``: check a policy file, read it as a page, test it on sentences, compare two."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from callguard.commands.policies.sentences import FIGURES, Count, Judged, count, figures, languages_of, read_sentences
from callguard.commands.policies.testing import Guards, judge_sounds, judge_texts

app = typer.Typer(no_args_is_help=True, help="Check, explain, test and compare policy files.")

PolicyFile = Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]


@app.command()
def check(
    file: PolicyFile,
    queue: Annotated[list[str] | None, typer.Option(help="Also with this queue's overrides.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a policy and its rules; name file, line and key of what is wrong."""
    from callguard.commands.policies.checking import check_policy

    found = check_policy(file, tuple(queue or ()))
    _out(json.dumps(found, ensure_ascii=False) if as_json else _checked(found))
    raise typer.Exit(0 if found["good"] else 1)


def _checked(found: dict[str, Any]) -> str:
    if not found["good"]:
        return "\n".join(
            f"{one['where']}: {one['text']}" + (f"  (try: {one['hint']})" if one["hint"] else "")
            for one in found["faults"]
        )
    rules = ", ".join(f"{number} in {language}" for language, number in found["rules"].items())
    return f"good: {found['name']}, mode {found['mode']}, rules: {rules}, hash {found['hash'][:12]}"


@app.command()
def explain(
    file: PolicyFile,
    lang: Annotated[str, typer.Option(help="en or ja; default: the policy's first language.")] = "",
    queue: Annotated[str, typer.Option(help="With this queue's overrides.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page there instead of text.")] = None,
) -> None:
    """Print a policy as a page that an admin can read."""
    from callguard.commands.policies.explaining import as_html, as_text, page_of
    from callguard.policyfile import load_policy, load_rules

    policy = load_policy(file, queue=queue)
    page = page_of(policy, load_rules(policy), lang or policy.languages[0])
    if html is None:
        _out(as_text(page))
    else:
        html.write_text(as_html(page), encoding="utf-8")
        print(f"written: {html}", file=sys.stderr)  # noqa: T201 - talk of a command


@app.command("test")
def judge_sentences(
    utterances: Annotated[Path, typer.Option(help="Tab-separated: id lang label category severity text.")],
    policy: Annotated[Path | None, typer.Option(help="Policy file; default: the shipped one of each language.")] = None,
    speech: Annotated[Path | None, typer.Option(help="Judge DIR/<id>.wav through the whole pipeline.")] = None,
    model: Annotated[str, typer.Option(help="With --speech: recognizer model.")] = "",
    settings: Annotated[Path | None, typer.Option("--settings", help="Settings file, for the model.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge labelled sentences; print each verdict, then recall, precision and false alarms with 95 % intervals."""
    sentences = read_sentences(utterances)
    guards = Guards(policy, warn=_talk)
    if speech is None:
        rows = judge_texts(sentences, guards)
    else:
        from callguard.config import load_settings

        heard_by = load_settings(settings).speech.with_model(model)
        rows = judge_sounds(sentences, guards, sounds=speech, speech=heard_by, missing=_missing)
    judged: list[Judged] = []
    for row in rows:
        judged.append(row)
        _out(json.dumps(_row(row), ensure_ascii=False) if as_json else _shown(row))
    counts = {code: count(one for one in judged if one.sentence.language == code) for code in languages_of(judged)}
    if as_json:
        _out(json.dumps({"summary": {code: figures(found) for code, found in counts.items()}}))
    else:
        _out(_table(counts))


def _row(one: Judged) -> dict[str, Any]:
    verdict = one.verdict
    row: dict[str, Any] = {
        "id": one.sentence.id,
        "verdict": verdict.verdict.value,
        "kinds": [kind.value for kind in verdict.kinds],
        "severity": verdict.severity,
        "rule": verdict.rules[0] if verdict.rules else "",
        "words": verdict.words[0] if verdict.words else "",
        "label": one.sentence.label,
    }
    return row if one.heard is None else {**row, "heard": one.heard}


def _shown(one: Judged) -> str:
    verdict = one.verdict
    mark = " " if verdict.verdict.value == one.sentence.wanted else "!"
    kinds = ",".join(kind.value for kind in verdict.kinds)
    why = f'  {kinds} {verdict.severity}  {verdict.rules[0]}  "{verdict.words[0]}"' if verdict.rules else ""
    heard = f"  heard: {one.heard}" if one.heard is not None else ""
    return f"{mark} {one.sentence.id:<8} {one.sentence.label:<10} {verdict.verdict.value:<10}{why}{heard}"


def _table(counts: dict[str, Count]) -> str:
    lines = ["", f"{'':<4}{'':<24}{'share':>8}  {'95 % interval':>16}  of"]
    for code, found in counts.items():
        shares = [(name, getattr(found, name)) for name in FIGURES]
        shares += [(f"found: {kind}", share) for kind, share in found.by_kind.items()]
        for name, share in shares:
            bounds = share.bounds()
            if bounds is None:
                lines.append(f"{code:<4}{name:<24}{'-':>8}  {'':>16}  0")
            else:
                interval = f"{bounds[0]:>7.1%} {bounds[1]:>7.1%}"
                lines.append(f"{code:<4}{name:<24}{share.value:>8.1%}  {interval}   {share.hit}/{share.of}")
    return "\n".join(lines)


@app.command()
def learn(
    utterances: Annotated[list[Path], typer.Argument(help="Files of labelled sentences, one language, two or more.")],
    out: Annotated[Path, typer.Option(help="Where the weights go, e.g. rules/en/95-learned.weights.")],
    policy: Annotated[Path | None, typer.Option(help="Policy whose rules read the words; default: shipped.")] = None,
    false_alarms: Annotated[float, typer.Option(min=0.0, max=0.2, help="Share of harmless ones flagged.")] = 0.015,
    as_json: AsJson = False,
) -> None:
    """Learn from labelled sentences what no rule was written for; prints how it does on files it did not learn from."""
    from callguard.commands.policies.learning import learn_from

    found = learn_from(utterances, Guards(policy, warn=_talk), false_alarms=false_alarms, say=_talk)
    out.write_text(found.text, encoding="utf-8")
    shares = found.figures._asdict()
    if as_json:
        _out(json.dumps({name: {"hit": share.hit, "of": share.of} for name, share in shares.items()}))
        return
    for name, share in shares.items():
        _out(f"{name.replace('_', ' '):<14}{share.value or 0.0:>7.1%}   {share.hit}/{share.of}")
    _talk(f"written: {out}, {found.pieces} pieces")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The policy in force.")],
    new: Annotated[Path, typer.Argument(help="The policy to come.")],
    cases: Annotated[bool, typer.Option("--cases", help="Also replay the stored cases.")] = False,
    settings: Annotated[Path | None, typer.Option("--settings", help="Settings file, for the store.")] = None,
    as_json: AsJson = False,
) -> None:
    """Replay recorded scenarios (and stored cases) under both policies; list whose outcome changes."""
    from callguard.commands.policies.comparing import compare, scenarios, stored_calls

    calls = list(scenarios())
    if cases:
        from callguard.config import load_settings

        calls += stored_calls(load_settings(settings))
    found = compare(old, new, calls)
    if as_json:
        for one in found:
            _out(json.dumps(one.as_json(), ensure_ascii=False))
        _out(json.dumps({"summary": {"calls": len(calls), "changed": len(found)}}))
        return
    for one in found:
        _out(one.shown())
    _out(f"{len(found)} of {len(calls)} calls end otherwise")


def _missing(sentence: str) -> None:
    _talk(f"no sound for {sentence}; left out")


def _talk(text: str) -> None:
    print(f"callguard: {text}", file=sys.stderr)  # noqa: T201 - talk of a command


def _out(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

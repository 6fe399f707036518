"""A policy as a page for people: what is shown, warned, kept, who agrees, who may; in English or Japanese."""

from __future__ import annotations

import html
import unicodedata
from collections import Counter
from dataclasses import dataclass

from callguard.commands.policies.explaining_words import said
from callguard.detect.rules import RuleSet
from callguard.model.policy import Consent, Policy

Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Title, and sections of (what, how)."""

    language: str
    title: str
    sections: tuple[tuple[str, Rows], ...]


def page_of(policy: Policy, rules: RuleSet, language: str) -> Page:
    """The page. language: "ja", else English."""
    code = "ja" if language == "ja" else "en"
    sections = [
        ("General", _general(policy, code)),
        ("Keys of the agent", _keys(policy, code)),
        ("Warnings", _ladder(policy, code)),
        ("Enough evidence", _evidence(policy, code)),
        ("Limits of time and repeated calls", _limits(policy, code)),
        ("Ending and handing over", _ending(policy, code)),
        ("Where no measure is taken", _exceptions(policy, code)),
        ("Keeping", _keeping(policy, code)),
        ("Rest", _rest(policy, code)),
        ("Who may", _rights(policy, code)),
        ("Rules", _rules(policy, rules, code)),
    ]
    return Page(
        language=code,
        title=policy.title or policy.name,
        sections=tuple((said(name, code), rows) for name, rows in sections),
    )


def _general(policy: Policy, code: str) -> Rows:
    rows = [
        (said("name", code), policy.name),
        (said("mode", code), f"{policy.mode.value}: {said('mode ' + policy.mode.value, code)}"),
        (said("languages", code), ", ".join(policy.languages)),
        (said("version (hash)", code), policy.hash),
    ]
    if policy.queue:
        rows.append((said("queue", code), policy.queue))
    if policy.source:
        rows.append((said("source", code), policy.source))
    return tuple(rows)


def _keys(policy: Policy, code: str) -> Rows:
    return tuple((digits, said("key " + key.value, code)) for key, digits in policy.keys.digits)


def _ladder(policy: Policy, code: str) -> Rows:
    rows: list[tuple[str, str]] = []
    for rung in policy.ladder:
        announcement = policy.announcement(rung.announcement)
        texts = announcement.texts if announcement else ()
        how = [_consent(rung.consent, code), said("after at least", code).format(seconds=rung.gap_s)]
        if rung.automatic:
            how.append(said("may play by itself in mode act", code))
        rows.append((f"{rung.number}. {rung.announcement}", "; ".join(how)))
        rows += [(f"   {language}", f"“{text}”") for language, text in texts]
    return tuple(rows)


def _consent(consent: Consent | None, code: str) -> str:
    if consent is None:
        return said("the agent's key is enough", code)
    return said("must approve", code).format(who=" → ".join(consent.approvers), seconds=consent.wait_s)


def _evidence(policy: Policy, code: str) -> Rows:
    return tuple(
        (
            one.name,
            said("evidence", code).format(
                measure=said("measure " + one.measure.value, code),
                kinds=", ".join(sorted(kind.value for kind in one.kinds)) or said("any kind", code),
                severity=one.severity,
                count=one.count,
                seconds=one.within_s,
                score=one.score,
            ),
        )
        for one in policy.evidence
    )


def _limits(policy: Policy, code: str) -> Rows:
    rows = [
        (
            one.name,
            said("limit", code).format(
                minutes=one.after_s // 60,
                before=one.notice_before_s // 60,
                announcement=one.announcement,
                ends=said("then the end key is allowed" if one.ends else "the call goes on", code),
            ),
        )
        for one in policy.limits
    ]
    repeat = policy.repeat
    route = repeat.route or said("the usual queue", code)
    text = said("repeat", code).format(count=repeat.count, days=repeat.window_days, route=route, rung=repeat.carry_rung)
    rows.append((said("repeated calls", code), text))
    return tuple(rows)


def _ending(policy: Policy, code: str) -> Rows:
    ending, goals = policy.ending, policy.destinations
    allowed = ", ".join(f"{name} = {extension}" for name, extension in goals.allowed) or said("nowhere", code)
    return (
        (said("closing message", code), ending.announcement),
        (
            said("the end key before the last warning", code),
            said("end at severity", code).format(severity=ending.severity),
        ),
        (said("ends by itself", code), said("yes" if ending.automatic else "no", code)),
        (said("approval", code), _consent(ending.consent, code)),
        (said("hand-over goes to", code), goals.extension(goals.handover) or said("nowhere", code)),
        (said("allowed destinations", code), allowed),
        (said("approval of a hand-over", code), _consent(policy.handover_consent, code)),
    )


def _exceptions(policy: Policy, code: str) -> Rows:
    known = policy.exceptions
    return (
        (said("life at risk, disability, relay", code), said("always: a human is called at once", code)),
        (said("protected numbers", code), _number(known.protected_numbers)),
        (said("protected queues", code), ", ".join(sorted(known.protected_queues)) or "-"),
        (said("relay numbers", code), _number(known.relay_numbers)),
    )


def _number(numbers: frozenset[str]) -> str:
    return str(len(numbers)) if numbers else "-"


def _keeping(policy: Policy, code: str) -> Rows:
    keeping = policy.keeping
    before = said("the whole call", code) if keeping.whole_call else f"{keeping.pre_roll_s} s"
    after = said("to the end of the call", code) if keeping.post_roll_s is None else f"{keeping.post_roll_s} s"
    days = [(kind.value, f"{number} {said('days', code)}") for kind, number in keeping.days]
    return (
        (said("sound before the flag", code), before),
        (said("sound after the flag", code), after),
        (said("recording notice", code), said("yes" if keeping.notice else "no", code)),
        (said("kept for", code), f"{keeping.days_default} {said('days', code)}"),
        (said("kept if dismissed", code), f"{keeping.days_dismissed} {said('days', code)}"),
        *days,
    )


def _rest(policy: Policy, code: str) -> Rows:
    rest = policy.rest
    if not rest.after_flag or not rest.max_s:
        return ((said("after a flag", code), said("no", code)),)
    return ((said("after a flag", code), said("rest", code).format(least=rest.min_s, most=rest.max_s)),)


def _rights(policy: Policy, code: str) -> Rows:
    names = ("listen", "whisper", "barge", "decide", "export", "hold")
    return tuple((said("may " + name, code), ", ".join(getattr(policy.rights, name)) or "-") for name in names)


def _rules(policy: Policy, rules: RuleSet, code: str) -> Rows:
    kinds = Counter(one.rule.category.value for found in rules.languages.values() for one in found.rules)
    rows = [(kind, said("rules", code).format(count=number)) for kind, number in sorted(kinds.items())]
    taught = [found.learned for found in rules.languages.values() if found.learned is not None]
    rows += [(f"{one.language}.learned", said("learned", code).format(count=len(one.pieces))) for one in taught]
    if policy.rules.off:
        rows.append((said("switched off", code), ", ".join(policy.rules.off)))
    return tuple(rows)


def as_text(page: Page) -> str:
    """The page for a terminal."""
    lines = [page.title, "=" * _width(page.title)]
    for name, rows in page.sections:
        lines += ["", name, "-" * _width(name)]
        wide = min(34, max((_width(what) for what, _ in rows), default=0))
        lines += [f"  {what}{' ' * max(0, wide - _width(what))}  {how}" for what, how in rows]
    return "\n".join(lines)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def as_html(page: Page) -> str:
    """The page as one file without script."""
    body = [f"<h1>{html.escape(page.title)}</h1>"]
    for name, rows in page.sections:
        cells = "".join(f"<tr><th>{html.escape(what)}</th><td>{html.escape(how)}</td></tr>" for what, how in rows)
        body.append(f"<h2>{html.escape(name)}</h2><table>{cells}</table>")
    style = (
        "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "th{text-align:left;font-weight:600;padding:.2rem 1.5rem .2rem 0;vertical-align:top;white-space:pre}"
        "td{padding:.2rem 0}h2{margin-top:2rem;border-bottom:1px solid #8888}"
    )
    return (
        f'<!doctype html><html lang="{page.language}"><meta charset="utf-8">'
        f"<title>{html.escape(page.title)}</title><style>{style}</style>{''.join(body)}</html>\n"
    )

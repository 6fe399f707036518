"""A call centre for the desk's tests: cases with words, sound, warnings and verdicts, and live calls for the board.

Everything is made up. Written through the store's own doors, so that pages meet what a daemon would leave them.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from pydantic import SecretStr

from callguard.bus.messages import BoardRequest, BoardWarning, CallRow, FindingMade, HealthTold, TranscriptSaid
from callguard.model.case import CaseOpened, Record, RecordKind, Track
from callguard.model.ids import CallId
from callguard.store.reviews import Judgement, Opinion, Verdict

RATE = 8000
PASSWORD = "six plain words make one door"


def settings(tmp: Path, *, oidc=None, **web):
    """What the desk reads of the settings."""
    part = {
        "host": "127.0.0.1",
        "port": 0,
        "public_url": "",
        "session_hours": 12.0,
        "language": "en",
        "trusted_proxies": (),
        "address": "http://127.0.0.1",
    } | web
    provider = {"issuer": "", "client_id": "", "secret": SecretStr(""), "claim": "preferred_username", "label": ""}
    return SimpleNamespace(
        web=SimpleNamespace(**part),
        store=SimpleNamespace(segments=tmp / "segments"),
        oidc=SimpleNamespace(**(provider | (oidc or {}))),
    )


PEOPLE = (
    {"name": "mori", "display": "Mori Aya", "roles": ["reviewer", "supervisor"], "phone": "PJSIP/900"},
    {"name": "lee", "display": "Dana Lee", "roles": ["reviewer"]},
    {"name": "sato", "display": "Sato Ken", "roles": ["supervisor"], "queues": ["billing"], "phone": "PJSIP/901"},
    {"name": "kato", "display": "Kato Yui", "roles": ["agent"], "agent": "PJSIP/101"},
    {"name": "hayashi", "display": "Hayashi Jun", "roles": ["care"]},
    {"name": "otto", "display": "Otto Brandt", "roles": ["data-protection"]},
    {"name": "root", "display": "Admin", "roles": ["admin", "supervisor", "reviewer"], "phone": "PJSIP/902"},
)


def add_people(accounts):
    for one in PEOPLE:
        facts = {"queues": None, "teams": None} | one
        accounts.add(facts.pop("name"), PASSWORD, **facts)


@dataclass(frozen=True)
class Line:
    at: float
    role: str
    text: str
    finding: tuple = ()


ENGLISH = (
    Line(2.0, "agent", "Thank you for calling billing, this is Kato. How can I help?"),
    Line(6.2, "caller", "You people charged me twice. Twice! I have been waiting for forty minutes."),
    Line(12.8, "agent", "I am sorry about the wait. May I have your account number?"),
    Line(
        17.0,
        "caller",
        "I gave it to the machine already. Are you stupid or what?",
        ("en.abuse.insult", "verbal_abuse", 1, "Are you stupid"),
    ),
    Line(22.4, "agent", "I see two payments on the third. I will have one of them returned."),
    Line(
        28.1,
        "caller",
        "Returned. You are a useless idiot, all of you are useless idiots.",
        ("en.abuse.targeted", "verbal_abuse", 2, "You are a useless idiot"),
    ),
    Line(35.0, "agent", "I can return it today, and I will stay on the line until it is done."),
    Line(
        46.0,
        "caller",
        "I know where your office is. I will come and break your face.",
        ("en.threat.harm-you", "threat", 3, "I will come and break your face"),
    ),
    Line(54.5, "agent", "I have to ask you not to say that. I want to help you."),
    Line(60.0, "caller", "Get me your boss. Now."),
)

JAPANESE = (
    Line(1.8, "agent", "お電話ありがとうございます。サポート窓口の加藤でございます。"),
    Line(6.5, "caller", "昨日届いた商品が壊れてたんだけど、どうなってるの。"),
    Line(12.0, "agent", "ご迷惑をおかけしております。ご注文番号をお伺いできますでしょうか。"),
    Line(
        18.2,
        "caller",
        "番号なんか知るか。お前じゃ話にならん、上司を出せ。",
        ("ja.authority.boss", "authority", 1, "上司を出せ"),
    ),
    Line(25.0, "agent", "かしこまりました。まず状況を確認させてください。"),
    Line(30.6, "caller", "この役立たずが。土下座して謝れ。", ("ja.authority.kneel", "authority", 2, "土下座して謝れ")),
    Line(37.5, "agent", "交換品を本日中に発送いたします。"),
    Line(
        44.0,
        "caller",
        "ネットに名前を晒してやるからな。",
        ("ja.sns.expose", "sns_threat", 2, "ネットに名前を晒してやる"),
    ),
    Line(52.0, "agent", "お客様、そのようなご発言はお控えくださいますようお願いいたします。"),
)

WARNINGS = {
    "en": "We would like to help you. Please stop speaking to us in this way, or we cannot go on with this call.",
    "ja": "お力になりたいと考えております。そのようなご発言が続く場合は、対応を続けることができません。",
}


def voice(length_s, spans, pitch, seed):
    """Something that looks and sounds like speech from far away: syllables of a buzzing tone."""
    draw = np.random.default_rng(seed)
    out = draw.normal(0, 25, int(length_s * RATE))
    for start, end in spans:
        at = start
        while at < end:
            size = draw.uniform(0.09, 0.22)
            count = int(size * RATE)
            t = np.arange(count) / RATE
            tone = sum(np.sin(2 * np.pi * pitch * k * (1 + 0.03 * np.sin(9 * t)) * t) / k for k in range(1, 7))
            first = int(at * RATE)
            piece = tone * np.hanning(count) * draw.uniform(2500, 7500)
            room = len(out) - first
            if room > 0:
                out[first : first + count] += piece[:room]
            at += size + draw.uniform(0.02, 0.09)
    return np.clip(out, -32000, 32000).astype("<i2").tobytes()


def add_case(
    store,
    number,
    *,
    lines=ENGLISH,
    language="en",
    queue="billing",
    agent="PJSIP/101",
    at,
    name="",
    phone="+441632960123",
    warned=True,
    sound=False,
    by="agent",
):
    """One finished case, as a daemon leaves it. Returns its id."""
    opened = CaseOpened(
        call=CallId(f"1764000000.{number}"),
        opened_at=at + timedelta(seconds=48),
        call_started_at=at,
        queue=queue,
        language=language,
        caller_number=phone,
        caller_name=name,
        agent=agent,
        policy_name="house",
        policy_hash="4f1c9a7be0d2" + "0" * 52,
        flag_reason="*7" if by == "agent" else "threat",
        flagged_by=by,
        flagged_ms=48_000,
    )
    case = store.open_case(opened)
    records = [
        Record(kind=RecordKind.FLAG, at_ms=48_000, data={"what": "raised", "by": by, "reason": "*7", "at_ms": 48_000})
    ]
    for place, line in enumerate(lines):
        start = int(line.at * 1000)
        end = start + 300 + 65 * len(line.text) * (2 if language == "ja" else 1)
        leg = f"1764000000.{number}" + ("" if line.role == "caller" else "1")
        records.append(
            Record(
                kind=RecordKind.TRANSCRIPT,
                at_ms=start,
                data={
                    "utterance": f"{leg}/{place}",
                    "leg": leg,
                    "role": line.role,
                    "language": language,
                    "start_ms": start,
                    "end_ms": end,
                    "text": line.text,
                    "words": [],
                },
            )
        )
        if line.finding:
            rule, category, severity, words = line.finding
            records.append(
                Record(
                    kind=RecordKind.FINDING,
                    at_ms=end,
                    data={
                        "rule": rule,
                        "category": category,
                        "severity": severity,
                        "leg": leg,
                        "role": line.role,
                        "start_ms": start,
                        "end_ms": end,
                        "words": words,
                        "stage": "committed",
                        "score": 0.91,
                        "utterance": f"{leg}/{place}",
                        "why": f"{category} by the caller: rule {rule} matched.",
                    },
                )
            )
    if warned:
        records.append(
            Record(
                kind=RecordKind.DECISION,
                at_ms=49_000,
                data={
                    "because": [
                        "The agent pressed warn (*8).",
                        "Rung 1 of 3 had not been played.",
                        "The caller is not protected.",
                    ],
                    "actions": [{"name": "PlayWarning", "rung": 1, "announcement": "warn-1"}],
                    "policy": "house",
                    "policy_hash": "4f1c9a7be0d2" + "0" * 52,
                    "rung": 1,
                    "level": 3,
                    "refusal": "",
                },
            )
        )
        records.append(
            Record(
                kind=RecordKind.ANNOUNCEMENT,
                at_ms=49_400,
                data={
                    "announcement": "warn-1",
                    "language": language,
                    "text": WARNINGS[language],
                    "rung": 1,
                    "effect": "done",
                    "whole": True,
                    "started_ms": 49_400,
                    "ended_ms": 56_000,
                    "detail": "",
                },
            )
        )
        records.append(
            Record(
                kind=RecordKind.PRESENCE,
                at_ms=52_000,
                data={"who": "sato", "mode": "listen", "what": "began", "detail": ""},
            )
        )
    store.append(case, sorted(records, key=lambda one: one.at_ms))
    if sound:
        tracks, seconds = store.tracks(), 70
        for track, role, pitch in ((Track.CALLER, "caller", 128), (Track.AGENT, "agent", 205)):
            spans = [
                (one.at, one.at + 0.3 + 0.06 * len(one.text) * (2 if language == "ja" else 1))
                for one in lines
                if one.role == role
            ]
            tracks.begin(case, track, start_ms=0)
            tracks.write(case, track, at_ms=0, pcm=voice(seconds, spans, pitch, number))
        tracks.begin(case, Track.ANNOUNCEMENTS, start_ms=49_400)
        tracks.write(case, Track.ANNOUNCEMENTS, at_ms=49_400, pcm=voice(7, [(0.1, 6.5)], 180, number + 1))
        tracks.finish(case)
    store.close_call(case, ended_at=at + timedelta(seconds=72), ended_ms=72_000)
    return case


def add_cases(store, reviews, *, now=None):
    """Some weeks of work. Returns the two cases with sound, English and Japanese."""
    now = now or datetime.now(UTC)
    first = add_case(store, 1, at=now - timedelta(minutes=38), name="R. Field", sound=True)
    second = add_case(
        store,
        2,
        lines=JAPANESE,
        language="ja",
        queue="support",
        agent="PJSIP/102",
        at=now - timedelta(hours=2),
        name="山田 太郎",
        phone="+81312345678",
        sound=True,
    )
    draw = np.random.default_rng(7)
    for number in range(3, 64):
        japanese = bool(draw.random() < 0.5)
        lines = JAPANESE if japanese else ENGLISH
        keep = tuple(one for one in lines if not one.finding or draw.random() < 0.7)
        at = now - timedelta(hours=float(draw.uniform(5, 24 * 80)))
        case = add_case(
            store,
            number,
            lines=keep,
            language="ja" if japanese else "en",
            queue=str(draw.choice(["billing", "support", "returns"])),
            agent=f"PJSIP/{int(draw.integers(101, 107))}",
            at=at,
            name="<b>Bobby</b> & Söhne" if number == 5 else "",
            phone="+441632960123" if number in (4, 9) else f"+4416329602{number:02}",
            warned=bool(draw.random() < 0.5),
            by=str(draw.choice(["agent", "agent", "policy", "supervisor"])),
        )
        if draw.random() < 0.75:
            good = draw.random() < 0.66
            fair = not good and draw.random() < 0.7
            reviews.judge(
                case,
                Judgement(
                    verdict=Verdict.CONFIRMED if good else Verdict.DISMISSED,
                    justified=Opinion.YES if fair else Opinion.PARTLY if draw.random() < 0.5 else Opinion.NO,
                    acceptable=Opinion.YES if fair else Opinion.NO if good else Opinion.PARTLY,
                    category=str(draw.choice(["verbal_abuse", "threat", "authority", "sns_threat"])) if good else "",
                    severity=int(draw.integers(1, 4)) if good else 0,
                    words="",
                    remark="",
                ),
                by="lee",
            )
    return first, second


def row(number, *, now=None, **more):
    """One live call."""
    now = now or datetime.now(UTC)
    seconds = more.pop("seconds", 60 + number * 7)
    facts = {
        "call": f"1764500000.{number}",
        "at_ms": seconds * 1000,
        "started_at": now - timedelta(seconds=seconds),
        "sent_at": now,
        "queue": "billing" if number % 3 else "support",
        "language": "en",
        "caller_number": f"+44163296{number:04}",
        "agent": f"PJSIP/{100 + number}",
        "agent_name": "",
        "limit_s": 1800,
        "rungs": 3,
        "policy": "house",
        "mode": "assist",
        "last_words": "I would like to know when my order will arrive.",
        "last_role": "caller",
    } | more
    return CallRow(**facts)


def board_rows(now=None):
    """A board worth looking at."""
    now = now or datetime.now(UTC)
    return [
        row(
            1,
            now=now,
            agent_name="Kato Yui",
            level=3,
            flagged=True,
            seconds=754,
            rung=1,
            last_words="I will come and break your face.",
            why="threat to life or limb: rule en.threat.harm-you",
            caller_name="R. Field",
            case="20261125-0A1B2C",
            warnings=(BoardWarning(announcement="warn-1", rung=1, at_ms=700_000, effect="done"),),
            presence=("listen:sato",),
            requests=(BoardRequest(request="r1", of="warn", rung=2, approver="supervisor"),),
        ),
        row(
            2,
            now=now,
            agent_name="Abe Mai",
            care=True,
            level=3,
            seconds=341,
            last_words="I do not want to live any more.",
            why="life at risk: a human is called, no measures",
            queue="support",
        ),
        row(
            3,
            now=now,
            agent_name="田中 美咲",
            level=2,
            seconds=1321,
            language="ja",
            caller_name="山田 太郎",
            caller_number="+81312345678",
            last_words="お前じゃ話にならん、上司を出せ。土下座して謝れ。",
            why="two utterances of severity 2 within 120 s",
            flagged=True,
            rung=0,
        ),
        row(
            4,
            now=now,
            agent_name="Dana Novak",
            level=1,
            seconds=1795,
            last_words="I have been waiting for forty minutes and nobody tells me anything.",
            why="close to the time limit of 30 minutes",
        ),
        row(
            6,
            now=now,
            agent_name="鈴木 健",
            seconds=92,
            language="ja",
            last_words="明日の配達を午後に変更したいのですが。",
            queue="support",
        ),
        row(7, now=now, agent_name="Ivo Petrov", seconds=210, hearing="caller-only", protected=True),
        row(8, now=now, agent_name="Mia Chen", seconds=45, partial=True, last_words=""),
        row(9, now=now, agent_name="Lars Holm", seconds=631, held=True),
    ]


def live_words(call):
    """Some words and a finding of one live call."""
    said = [
        ("caller", "You people charged me twice."),
        ("agent", "I am sorry. I will have it returned today."),
        ("caller", "I will come and break your face."),
    ]
    events = [
        TranscriptSaid(
            call=call,
            at_ms=700_000 + n * 9000,
            leg=f"{call}{role[0]}",
            role=role,
            utterance=f"{call}/{n}",
            start_ms=700_000 + n * 9000,
            end_ms=706_000 + n * 9000,
            text=text,
            closed=True,
        )
        for n, (role, text) in enumerate(said)
    ]
    return [
        *events,
        FindingMade(
            call=call,
            at_ms=724_000,
            rule="en.threat.harm-you",
            category="threat",
            severity=3,
            stage="committed",
            role="caller",
            words="I will come and break your face",
            start_ms=718_000,
            end_ms=724_000,
            score=0.93,
            why="A threat to harm the agent.",
        ),
    ]


def health(now=None):
    return HealthTold(sent_at=now or datetime.now(UTC), parts={"asterisk": "ok", "bus": "ok"}, calls=8)


def as_json(event):
    return json.loads(event.model_dump_json())

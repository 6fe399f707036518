"""The doctor's checks against a PBX made of answers: what it says, and that it never breaks."""

from __future__ import annotations

import ast
import contextlib
import string
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pytest
from typer.testing import CliRunner

import callguard.commands.checks
from callguard.commands.checks import features, telephone
from callguard.commands.checks.examine import examine
from callguard.commands.checks.eyes import Line, Live
from callguard.commands.checks.result import Check, State
from callguard.commands.doctor import app
from callguard.config import Settings
from callguard.model.errors import AmiFault
from callguard.model.key import Key
from callguard.model.policy import KeyMap, Policy
from callguard.observe.check_words import OTHERS, SEEN, STATES, TITLES, sentence
from callguard.policy.keys import features_conf
from callguard.policyfile import load_policy
from callguard.shipped import shipped

T = TypeVar("T")
HOOKS = (
    Line(context="in", extension="600", application="Gosub", data="callguard-guard,s,1(support)"),
    Line(context="in", extension="600", application="Queue", data="support,tb(callguard-agent^s^1),,,60"),
)


def shipped_policy() -> Policy:
    return load_policy(shipped("policies/en.toml"))


def well(policy: Policy) -> dict[str, str]:
    """What a PBX says where all is well."""
    said = {f"IFMODULE({name}.so)": "1" for name in (*telephone.MODULES, telephone.TIMERS[0])}
    said |= {f"DIALPLAN_EXISTS({name},s,1)": "1" for name in telephone.CONTEXTS}
    said |= {f"DIALPLAN_EXISTS(callguard-transfer,{ext},1)": "1" for _, ext in policy.destinations.allowed}
    said["AST_CONFIG(manager.conf,callguard,read)"] = "call,agent,user,dtmf,reporting"
    rows = (line.split(" => ", 1) for line in features_conf(policy).splitlines() if " => " in line)
    said |= {f"AST_CONFIG(features.conf,applicationmap,{name})": value for name, value in rows}
    return said


@dataclass
class Fake:
    """Eyes that have seen it all before."""

    said: dict[str, str]
    is_version: str = "22.10.1~dfsg"
    may: frozenset[str] = frozenset(telephone.NEEDED_ACTIONS)
    lines: tuple[Line, ...] | None = HOOKS
    channels: tuple[Live, ...] = ()
    reaches: bool = True
    breaks: set[str] = field(default_factory=set)

    async def value(self, variable: str) -> str | None:
        return self._or_break("value", self.said.get(variable, "0" if variable.startswith("IFMODULE") else ""))

    async def version(self) -> str:
        return self._or_break("version", self.is_version)

    async def actions(self) -> frozenset[str]:
        return self._or_break("actions", self.may)

    async def dialplan(self) -> tuple[Line, ...] | None:
        return self._or_break("dialplan", self.lines)

    async def live(self) -> tuple[Live, ...]:
        return self._or_break("live", self.channels)

    async def connects(self, address: str) -> bool:
        return self._or_break("connects", self.reaches)

    def _or_break(self, name: str, answer: T) -> T:
        if name in self.breaks:
            raise AmiFault("the manager did not answer", code="ami-timeout")
        return answer


@pytest.fixture
def fake() -> Fake:
    return Fake(said=well(shipped_policy()))


async def by_code(file: Path | None, fake: Fake) -> dict[str, Check]:
    @contextlib.asynccontextmanager
    async def look(settings: Settings, username: str) -> AsyncIterator[Fake]:
        yield fake

    return {check.code: check async for check in examine(file, look=look)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Settings of a small installation that is well but for what needs an installed system."""
    toml = tmp_path / "callguard.toml"
    toml.write_text(
        f'[taps]\nport = 0\n[bus]\nsocket_dir = "{tmp_path}"\n[speech]\nenabled = false\n'
        f'[store]\nurl = "sqlite:///{tmp_path}/c.db"\nsegments = "{tmp_path}/segments"\nmin_free_mb = 0\n'
        f'[keys]\nspool_dir = "{tmp_path}"\n[prompts]\nsounds_dir = "{tmp_path}/sounds"\n'
    )
    return toml


async def test_well(file: Path, fake: Fake) -> None:
    found = await by_code(file, fake)
    assert {code for code, one in found.items() if one.state is State.FAIL} == {"sound-missing"}
    assert {"rights-ok", "events-ok", "modules-ok", "contexts-ok", "hooks-ok", "keys-ok", "caller-ok"} <= set(found)


@pytest.mark.parametrize(
    ("change", "code", "state"),
    [
        ({"is_version": "18.26.0"}, "version-old", State.FAIL),
        ({"is_version": "20.5.0"}, "version-trouble", State.WARN),
        ({"is_version": "GIT-master"}, "version-unseen", State.SKIP),
        ({"may": frozenset({"Ping"})}, "rights-missing", State.FAIL),
        ({"may": frozenset({*telephone.NEEDED_ACTIONS, "Command"})}, "rights-broad", State.WARN),
        ({"may": frozenset()}, "rights-unseen", State.SKIP),
        ({"lines": None}, "hooks-unseen", State.SKIP),
        ({"lines": HOOKS[:1]}, "hook-agent-missing", State.FAIL),
        ({"lines": HOOKS[1:]}, "hook-guard-missing", State.WARN),
        (
            {"channels": (Live(name="PJSIP/trunk-1", application="Queue", features="callguard-flag"),)},
            "caller-live",
            State.FAIL,
        ),
        (
            {"channels": (Live(name="Local/101@m-1;2", application="Queue", features="callguard-flag"),)},
            "caller-ok",
            State.OK,
        ),
        ({"breaks": {"dialplan", "live"}}, "check-broke", State.FAIL),
    ],
)
async def test_what_is_wrong(file: Path, fake: Fake, change: dict[str, object], code: str, state: State) -> None:
    found = await by_code(file, replace(fake, **change))  # type: ignore[arg-type]
    assert found[code].state is state


@pytest.mark.parametrize("breaks", ["value", "version", "actions", "dialplan", "live"])
async def test_a_silent_asterisk_is_a_finding(file: Path, fake: Fake, breaks: str) -> None:
    fake.breaks = {breaks}
    found = await by_code(file, fake)
    assert found["check-broke"].state is State.FAIL
    assert "the manager did not answer" in found["check-broke"].words("en")
    assert "disk-ok" in found


@pytest.mark.parametrize("thing", ["app_chanspy.so", "res_timing_timerfd.so"])
async def test_modules(fake: Fake, thing: str) -> None:
    fake.said[f"IFMODULE({thing})"] = "0"
    found = await telephone.modules(fake)
    assert found.code == "module-missing" and found.paste is not None
    assert f"asterisk -rx 'module load {thing}'" in found.paste.lines


def with_keys(**digits: str) -> Policy:
    keys = tuple((Key(name), value) for name, value in digits.items())
    return Policy(name="test", hash="", keys=KeyMap(digits=keys, play=""))


async def test_one_key_begins_another() -> None:
    policy = with_keys(flag="*7", warn="*71")
    found = await features.keys(Fake(said=well(policy)), policy, HOOKS)
    assert [(one.code, one.state) for one in found] == [("key-unreachable", State.FAIL), ("keys-ok", State.OK)]
    assert "*71" in found[0].words("en") and "*71" in found[0].words("ja")


@pytest.mark.parametrize(
    ("built_in", "digits", "code"),
    [("atxfer", "*7", "key-taken"), ("blindxfer", "*77", "key-taken")],
)
async def test_a_key_meets_a_built_in(built_in: str, digits: str, code: str) -> None:
    policy = with_keys(flag="*7")
    found = await features.keys(Fake(said=well(policy) | {f"FEATUREMAP({built_in})": digits}), policy, HOOKS)
    assert {one.code for one in found} == {"keys-ok", code}


@pytest.mark.parametrize(
    ("application", "data", "code"),
    [
        ("Dial", "PJSIP/101,20,tH", "key-hangs-up"),
        ("Queue", "support,hb(callguard-agent^s^1)", "key-hangs-up"),
        ("Dial", "PJSIP/101,20,${DIAL_OPTIONS}b(callguard-agent^s^1)", "key-may-hang-up"),
        ("Dial", "PJSIP/house,20,tb(hook(h)^s^1)", ""),
        ("Queue", "hotline", ""),
        ("Playback", "a,b,h", ""),
    ],
)
async def test_hanging_up_by_star(application: str, data: str, code: str) -> None:
    policy = with_keys(flag="*7", warn="*8")
    line = Line(context="in", extension="600", application=application, data=data)
    found = await features.keys(Fake(said=well(policy) | {"FEATUREMAP(disconnect)": "*"}), policy, (line,))
    assert {one.code for one in found} == {"keys-ok", code} - {""}
    unseen = await features.keys(Fake(said=well(policy) | {"FEATUREMAP(disconnect)": "*"}), policy, None)
    assert {one.code for one in unseen} == {"keys-ok", "key-may-hang-up"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('*7,self/both,Gosub,"callguard-key,s,1(flag)"', "keys-ok"),
        ("*7, self, Gosub(callguard-key,s,1(flag))", "keys-ok"),
        ('*7,peer/both,Gosub,"callguard-key,s,1(flag)"', "feature-differs"),
        ('*9,self/both,Gosub,"callguard-key,s,1(flag)"', "feature-differs"),
        ('*7,self/both,Gosub,"callguard-key,s,1(warn)"', "feature-differs"),
        ("", "feature-missing"),
    ],
)
async def test_the_line_in_features_conf(line: str, code: str) -> None:
    policy = with_keys(flag="*7")
    said = {"AST_CONFIG(features.conf,applicationmap,callguard-flag)": line}
    found = await features.keys(Fake(said=said), policy, HOOKS)
    assert [one.code for one in found] == [code]


async def test_the_account_beside_the_daemon_reads_its_line(fake: Fake) -> None:
    fake.said["AST_CONFIG(manager.conf,callguard,write)"] = "call,reporting"
    assert (await telephone.rights(fake, "callguard", itself=False)).code == "rights-missing"
    fake.said["AST_CONFIG(manager.conf,callguard,write)"] = "call,originate,agent,reporting"
    assert (await telephone.rights(fake, "callguard", itself=False)).code == "rights-ok"
    assert (await telephone.rights(fake, "call,guard", itself=False)).code == "rights-unseen"


@pytest.fixture
def two_queues(file: Path, tmp_path: Path) -> Path:
    for name, more in (("same", 'title = "x"'), ("other", '[keys]\nflag = "*71"')):
        (tmp_path / f"{name}.toml").write_text(f'extends = "{shipped("policies/en.toml")}"\n{more}\n')
    file.write_text(file.read_text() + '[policy.queues]\nsales = "same.toml"\nsupport = "other.toml"\n')
    return file


async def test_a_queue_with_keys_of_its_own(two_queues: Path, fake: Fake) -> None:
    found = (await by_code(two_queues, fake))["policy-other-keys"]
    assert found.state is State.WARN and found.facts["queues"] == "support"


def told() -> dict[str, set[str]]:
    """Every code that a check tells, and the checks that tell it."""
    found: dict[str, set[str]] = {}
    for file in sorted(Path(callguard.commands.checks.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="ok" | "warn" | "fail" | "skip"), args=[name, code, *_]):
                    for value in ast.walk(code):
                        if isinstance(value, ast.Constant) and isinstance(value.value, str):
                            found.setdefault(value.value, set()).update(
                                one.value for one in ast.walk(name) if isinstance(one, ast.Constant)
                            )
                case ast.Call(func=ast.Name(id="_writable"), args=[ast.Constant(), _, good, bad]):
                    found |= {good.value: set(), bad.value: set()}  # type: ignore[attr-defined]
                case _:
                    pass
    return found


def test_every_code_has_words_and_every_check_a_title() -> None:
    codes = told()
    assert set(codes) <= set(SEEN) and len(codes) > 60
    assert {name for names in codes.values() for name in names} <= set(TITLES)
    source = "".join(f.read_text() for f in Path(callguard.commands.checks.__file__).parent.glob("*.py"))
    assert [code for code in SEEN if f'"{code}"' not in source] == []


def test_both_languages_fill_the_same_places() -> None:
    for table in (TITLES, STATES, OTHERS, SEEN):
        for code, (english, japanese) in table.items():
            places = [
                {name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (english, japanese)
            ]
            if code not in ("key-unreachable",):
                assert places[0] == places[1], code
    assert sentence("bus-down", "ja", {"address": "x"}) == SEEN["bus-down"][1].replace("{address}", "x")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_command_without_anything(tmp_path: Path, file: Path, language: str) -> None:
    text = file.read_text() + "[asterisk]\nport = 1\n"
    file.write_text(text)
    done = CliRunner().invoke(app, ["--settings", str(file), "--lang", language])
    assert done.exit_code == 1
    assert ("WRONG" in done.stdout) == (language == "en") and ("異常" in done.stdout) == (language == "ja")
    assert "manager.conf [general]" in done.stdout
    missing = CliRunner().invoke(app, ["--settings", str(tmp_path / "none.toml"), "--json"])
    assert missing.exit_code == 1 and '"settings-bad"' in missing.stdout

"""SIGHUP in a call: all rules of both languages are read and compiled, which takes seconds; the call is guarded."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from stage import Daemons, Playhouse

from callguard.policyfile import load_policy
from callguard.sandbox.guarding import Guarding
from callguard.sandbox.world import World
from callguard.shipped import shipped

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

READ = "policies were read anew"
KEPT = "the policies were not reloaded"


async def said(one: Guarding, words: str) -> None:
    while words not in one.log.read_text(encoding="utf-8"):  # noqa: ASYNC110 - the log tells nobody
        await asyncio.sleep(0.1)


async def test_a_key_is_answered_while_all_rules_are_read_anew(there: World, daemons: Daemons, tmp_path: Path) -> None:
    async with daemons(there, home=tmp_path) as one:
        talk = await Playhouse(there=there, one=one).call()
        file = tmp_path / "policy.toml"
        before = load_policy(file)
        rules = [str(shipped(f"policies/rules/{name}")) for name in ("en", "ja", "measures.toml")]
        file.write_text(file.read_text().replace('["rules.toml"]', str(rules)))
        os.kill(one.process.pid, signal.SIGHUP)
        flag = await talk.key("*7", "flag")
        assert READ not in one.log.read_text(), "the key was pressed too late to tell anything"
        async with asyncio.timeout(60):
            await said(one, READ)
        await talk.over()
        assert flag.tone == "accepted"
        assert load_policy(file).hash != before.hash
        assert load_policy(file).hash[:12] in one.log.read_text()


async def test_a_broken_policy_changes_nothing(there: World, daemons: Daemons, tmp_path: Path) -> None:
    """The keys of the old policy hold on, and the fault is said with its place."""
    async with daemons(there, home=tmp_path) as one:
        talk = await Playhouse(there=there, one=one).call()
        file = tmp_path / "policy.toml"
        file.write_text(file.read_text() + '\n[keys]\nflag = "not a key"\n')
        os.kill(one.process.pid, signal.SIGHUP)
        async with asyncio.timeout(60):
            await said(one, KEPT)
        flag = await talk.key("*7", "flag")
        await talk.over()
        assert flag.tone == "accepted"
        assert "policy.toml" in one.log.read_text()

"""The shipped dialplan says what the shipped policy says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from callguard.model.key import Key
from callguard.model.policy import KeyMap, Policy
from callguard.policy.keys import dynamic_features, features_conf
from callguard.shipped import shipped

DIALPLAN = Path(__file__).resolve().parents[2] / "dialplan"


def base() -> Policy:
    keys = tomllib.loads(shipped("policies/base.toml").read_text())["keys"]
    digits = tuple((key, keys[key.value]) for key in Key if key.value in keys)
    return Policy(name="base", hash="", keys=KeyMap(digits=digits, play=keys["play"]))


def test_features_are_those_of_the_policy() -> None:
    assert (DIALPLAN / "features_callguard.conf").read_text() == features_conf(base())


def test_the_agent_is_given_every_key() -> None:
    text = (DIALPLAN / "extensions_callguard.conf").read_text()
    found = re.search(r"LOCAL\(cg_keys\)=(\S+)\)", text)
    assert found and sorted(found[1].split("#")) == sorted(dynamic_features(base()).split("#"))


def test_the_account_has_the_least_rights() -> None:
    lines = dict(
        line.split(" = ", 1) for line in (DIALPLAN / "manager_callguard.conf").read_text().splitlines() if " = " in line
    )
    assert set(lines["read"].split(",")) == {"call", "agent", "user", "dtmf", "reporting"}
    assert set(lines["write"].split(",")) == {"call", "originate", "agent", "reporting"}


def test_every_context_is_ours_by_name() -> None:
    text = "".join(
        (DIALPLAN / name).read_text() for name in ("extensions_callguard.conf", "destinations_callguard.conf")
    )
    names = re.findall(r"^\[(.+)\]", text, re.MULTILINE)
    assert names and all(name.startswith("callguard-") for name in names)

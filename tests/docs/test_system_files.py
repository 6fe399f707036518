"""The files for other programs: systemd, fail2ban, Prometheus and Grafana speak of things that are there."""

from __future__ import annotations

import configparser
import io
import json
import logging
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from callguard.config import Settings, every_key
from callguard.observe.logs import set_up
from callguard.observe.metrics import Metrics
from callguard.shipped import shipped
from callguard.web.doors import log_refused

HOSTS = r"(?P<host>[0-9a-fA-F:.]+)"
"""As fail2ban reads <HOST>, but for names."""

FILTER = shipped("fail2ban/filter.d/callguard-desk.conf")


def patterns() -> list[str]:
    """The filter's expressions, its own names filled in as fail2ban fills them in."""
    read = configparser.ConfigParser(interpolation=configparser.BasicInterpolation())
    read.read(FILTER, encoding="utf-8")
    lines = read["Definition"]["failregex"].splitlines()
    return [line.strip().replace("<HOST>", HOSTS) for line in lines if line.strip()]


def refused(line: str) -> str:
    """The address that would be shut out for this line, "" for none. fail2ban takes the date out first."""
    for text in (line, re.sub(r"\d{4}-\d\d-\d\dT[\d:]+\.\d+Z", "", line, count=1)):
        for one in patterns():
            if found := re.search(one, text):
                return str(found["host"])
    return ""


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield io.StringIO()
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::17"])
@pytest.mark.parametrize("reason", ["sign-in-wrong", "sign-in-locked", "token-wrong"])
def test_the_real_line_shuts_its_address_out(out: io.StringIO, format: str, host: str, reason: str) -> None:
    set_up("warning", format=format, stream=out)
    log_refused(host, reason)
    line = out.getvalue().rstrip("\n")
    assert refused(line) == host
    assert refused(f"pbx callguard[812]: {line}") == host


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T09:30:00.000Z WARNING callguard.app: desk sign-in refused rhost=9.9.9.9 reason=x",
        "2026-11-25T09:30:00.000Z WARNING callguard.desk: a caller said: WARNING callguard.desk: desk sign-in refused"
        " rhost=9.9.9.9 reason=x",
        "2026-11-25T09:30:00.000Z WARNING callguard.desk: desk sign-in refused rhost=- reason=x",
    ],
)
def test_no_other_line_does(text: str) -> None:
    assert refused(text) == ""


def test_fail2ban_itself_agrees(tmp_path: Path, out: io.StringIO) -> None:
    if shutil.which("fail2ban-regex") is None:
        pytest.skip("fail2ban is not installed")
    set_up("warning", format="text", stream=out)
    log_refused("203.0.113.7", "sign-in-wrong")
    (tmp_path / "log").write_text(out.getvalue())
    done = subprocess.run(["fail2ban-regex", str(tmp_path / "log"), str(FILTER)], capture_output=True, text=True)
    assert "1 matched" in done.stdout


def metric_names() -> set[str]:
    made = Metrics()
    return {sample for family in made.registry.collect() for sample in _samples(family.name, family.type)}


def _samples(name: str, kind: str) -> set[str]:
    return {
        "counter": {f"{name}_total"},
        "histogram": {f"{name}_bucket", f"{name}_sum", f"{name}_count"},
    }.get(kind, {name})


@pytest.mark.parametrize("file", ["prometheus/callguard.rules.yml", "grafana/callguard.json"])
def test_every_metric_named_exists(file: str) -> None:
    named = set(re.findall(r"\bcallguard_[a-z_]+", shipped(file).read_text(encoding="utf-8")))
    assert len(named) > 5
    assert named <= metric_names()


def test_labels_in_rules_are_those_of_the_metrics() -> None:
    text = shipped("prometheus/callguard.rules.yml").read_text(encoding="utf-8")
    made = Metrics()
    for name, label, value in re.findall(r'(callguard_[a-z]+)\{([a-z]+)="([a-z-]+)"\}', text):
        assert made.registry.get_sample_value(name, {label: value}) is not None, (name, value)


def test_the_dashboard_holds_together() -> None:
    board = json.loads(shipped("grafana/callguard.json").read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids) > 8
    for panel in board["panels"]:
        assert panel["targets"] and panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert all(target["expr"].count("(") == target["expr"].count(")") for target in panel["targets"])


def test_rules_are_whole() -> None:
    text = shipped("prometheus/callguard.rules.yml").read_text(encoding="utf-8")
    alerts = re.findall(r"- alert: (\w+)", text)
    assert len(set(alerts)) == len(alerts) == text.count("severity:") == text.count("summary:") == text.count("expr:")
    assert f":{Settings().metrics.port}/metrics" in text


UNITS = sorted(shipped("systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda one: one.name)
def test_units(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    assert "Requires=" not in text and "Restart=always" in text and "NoNewPrivileges=yes" in text
    for credential in re.findall(r"LoadCredential=([\w.]+):", text):
        assert credential in every_key()
    words = re.findall(r"^ExecStart=/opt/callguard/bin/callguard (\w+)", text, re.MULTILINE)
    assert words in (["run"], ["worker"])
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not here")
    for other in UNITS:
        bare = re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/true", other.read_text(encoding="utf-8"))
        (tmp_path / other.name).write_text(re.sub(r"(?m)^(User|Group)=.*", r"\1=root", bare))
    name = unit.name.replace("@", "@1")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True
    )
    assert done.returncode == 0 and "callguard" not in done.stderr, done.stderr


def test_the_units_folders_are_the_defaults() -> None:
    text = shipped("systemd/callguard.service").read_text(encoding="utf-8")
    settings = Settings()
    assert f"RuntimeDirectory={settings.bus.socket_dir.name}\n" in text and settings.bus.socket_dir.parent == Path(
        "/run"
    )
    assert f"StateDirectory={settings.store.segments.parent.name}\n" in text
    assert str(settings.keys.spool_dir) in text
    assert str(settings.bus.data_dir / "valkey.log") in shipped("logrotate/callguard").read_text(encoding="utf-8")

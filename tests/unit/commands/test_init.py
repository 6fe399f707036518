"""``callguard init``: everything once, nothing of the admin's lost, no secret shown."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from callguard.commands.init import app
from callguard.commands.installing import known_secret
from callguard.config import load_settings
from callguard.policy.keys import dynamic_features, features_conf
from callguard.policyfile import load_policy
from callguard.shipped import shipped

FILES = {
    "callguard/callguard.toml",
    "callguard/agi.conf",
    "asterisk/extensions_callguard.conf",
    "asterisk/features_callguard.conf",
    "asterisk/destinations_callguard.conf",
    "asterisk/manager_callguard.conf",
}


def init(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["--dir", str(folder), *more])


def files(folder: Path) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}


def secret_of(folder: Path) -> str:
    return load_settings(folder / "callguard" / "callguard.toml").asterisk.secret.get_secret_value()


def test_a_fresh_installation(tmp_path: Path) -> None:
    done = init(tmp_path)
    assert done.exit_code == 0 and files(tmp_path) == FILES
    secret = secret_of(tmp_path)
    manager = tmp_path / "asterisk" / "manager_callguard.conf"
    assert len(secret) >= 32 and f"secret = {secret}\n" in manager.read_text()
    assert "[callguard-doctor](callguard)" in manager.read_text()
    assert secret not in done.output
    for file in (manager, tmp_path / "callguard" / "callguard.toml"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
    policy = load_policy(shipped("policies/en.toml"))
    assert (tmp_path / "asterisk" / "features_callguard.conf").read_text() == features_conf(policy)
    assert "#include manager_callguard.conf" in done.output and "callguard doctor" in done.output


def test_two_installations_have_two_secrets(tmp_path: Path) -> None:
    init(tmp_path / "a")
    init(tmp_path / "b")
    assert secret_of(tmp_path / "a") != secret_of(tmp_path / "b")


def test_again_changes_nothing(tmp_path: Path) -> None:
    init(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    done = init(tmp_path)
    assert done.exit_code == 0 and "differs" not in done.output
    assert before == {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}


def test_what_differs_is_shown_and_left(tmp_path: Path) -> None:
    init(tmp_path)
    mine = tmp_path / "asterisk" / "features_callguard.conf"
    mine.write_text(mine.read_text().replace("*7", "*77"))
    manager = tmp_path / "asterisk" / "manager_callguard.conf"
    manager.write_text(manager.read_text().replace(secret_of(tmp_path), "old-and-secret"))
    done = init(tmp_path)
    assert done.exit_code == 1
    assert "-callguard-flag => *77," in done.stdout and "+callguard-flag => *7," in done.stdout
    assert "*77" in mine.read_text()
    assert "old-and-secret" not in done.output and secret_of(tmp_path) not in done.output


def test_force_keeps_the_old_file(tmp_path: Path) -> None:
    init(tmp_path)
    mine = tmp_path / "asterisk" / "features_callguard.conf"
    mine.write_text("; mine\n")
    assert init(tmp_path, "--force").exit_code == 0
    assert "callguard-flag" in mine.read_text()
    assert (mine.with_name("features_callguard.conf.old")).read_text() == "; mine\n"


@pytest.mark.parametrize(
    "name", ["callguard/callguard.toml", "callguard/agi.conf", "asterisk/destinations_callguard.conf"]
)
def test_what_is_the_admins_is_never_replaced(tmp_path: Path, name: str) -> None:
    init(tmp_path)
    mine = tmp_path / name
    mine.write_text(mine.read_text() + ("; mine\n" if name.endswith(".conf") else "# mine\n"))
    for more in ((), ("--force",)):
        assert init(tmp_path, *more).exit_code == 0
        assert "mine" in mine.read_text()


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = init(tmp_path, "--dry-run")
    assert done.exit_code == 0 and files(tmp_path) == set() and "would be" in done.output


def test_keys_and_destinations_of_the_policy(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'extends = "{shipped("policies/en.toml")}"\nname = "mine"\n[keys]\nflag = "*71"\nend = ""\n'
        '[destinations]\nhandover = "lawyers"\n[destinations.allowed]\nlawyers = "750"\n'
    )
    done = init(tmp_path, "--policy", str(policy))
    assert done.exit_code == 0, done.output
    features = (tmp_path / "asterisk" / "features_callguard.conf").read_text()
    assert "callguard-flag => *71," in features and "callguard-end" not in features
    extensions = (tmp_path / "asterisk" / "extensions_callguard.conf").read_text()
    assert f"LOCAL(cg_keys)={dynamic_features(load_policy(policy))})" in extensions
    assert "exten => 750,1," in (tmp_path / "asterisk" / "destinations_callguard.conf").read_text()
    assert load_settings(tmp_path / "callguard" / "callguard.toml").policy.file == policy


def test_another_policy_later_is_said(tmp_path: Path) -> None:
    init(tmp_path)
    policy = tmp_path / "policy.toml"
    policy.write_text(f'extends = "{shipped("policies/en.toml")}"\n')
    done = init(tmp_path, "--policy", str(policy), "--force")
    assert f'file = "{policy}"' in done.output


def test_what_is_included_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "asterisk").mkdir()
    (tmp_path / "asterisk" / "features.conf").write_text('[applicationmap]\n#include "features_callguard.conf"\n')
    (tmp_path / "asterisk" / "manager.conf").write_text("; #include manager_callguard.conf\n")
    done = init(tmp_path)
    assert "features.conf:" not in done.output and "manager.conf:" in done.output


def test_an_account_that_was_there_keeps_its_secret(tmp_path: Path) -> None:
    (tmp_path / "asterisk").mkdir()
    (tmp_path / "asterisk" / "manager_callguard.conf").write_text('[callguard]\nsecret = a\\;b"c\n')
    assert init(tmp_path).exit_code == 1
    assert secret_of(tmp_path) == 'a;b"c'
    assert known_secret(tmp_path / "callguard" / "callguard.toml", tmp_path / "none") == 'a;b"c'


def test_bad_input(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('mode = "shout"\n')
    done = init(tmp_path / "etc", "--policy", str(tmp_path / "policy.toml"))
    assert done.exit_code != 0 and getattr(done.exception, "code", "") == "policy-wrong"
    assert not (tmp_path / "etc").exists()
    (tmp_path / "file").write_text("")
    done = init(tmp_path / "file" / "below")
    assert getattr(done.exception, "code", "") == "file-not-writable"

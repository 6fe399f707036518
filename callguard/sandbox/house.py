"""Where the private Asterisk comes from: the system's own where it is new enough, else a root beside the checkout.

Nothing here touches a PBX of the system: neither its files nor its service. The mirror is the machine's own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from callguard.model.errors import SettingsError
from callguard.shipped import shipped_root

OLDEST = 20
PACKAGES = ("asterisk", "asterisk-core-sounds-en-wav", "python3", "python3-venv")
SCRIPT_PACKAGES = ("pyst2", "six")
"""What the AGI scripts import, with what it needs itself."""

SCRIPTS_ENV = Path("opt/callguard")
MADE = ".callguard-made"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """An Asterisk that can be started.

    root: folder it is started in by chroot, None for the system's own.
    runs: folder on this machine under which worlds are made.
    """

    root: Path | None
    runs: Path

    def inside(self, path: Path) -> str:
        """How Asterisk itself calls this path."""
        return str(path) if self.root is None else f"/{path.relative_to(self.root)}"

    def command(self, *words: str) -> list[str]:
        """The words that start a program there; it ends with its parent."""
        enter = [] if self.root is None else ["chroot", str(self.root)]
        return [*_as_root(), "setpriv", "--pdeathsig", "TERM", *enter, *words]

    @property
    def documentation(self) -> str:
        """Asterisk's own descriptions of its settings, which it needs to read any."""
        return "/usr/share/asterisk/documentation"


def sandbox_dir() -> Path:
    """``.sandbox`` in the checkout, or the folder that CALLGUARD_SANDBOX names."""
    named = os.environ.get("CALLGUARD_SANDBOX")
    return Path(named).resolve() if named else shipped_root().parent.resolve() / ".sandbox"


def house(tell: Tell) -> House:
    """The house, made where it is missing. Raises SettingsError with what to try."""
    place = sandbox_dir()
    place.mkdir(parents=True, exist_ok=True)
    if system_version() >= OLDEST:
        runs = place / "run"
        runs.mkdir(exist_ok=True)
        return House(root=None, runs=runs)
    root = place / "root"
    if not (root / MADE).is_file():
        _make(root, tell)
    runs = root / "cg"
    runs.mkdir(exist_ok=True)
    return House(root=root, runs=runs)


def system_version() -> int:
    """Major version of the system's own Asterisk, 0 where there is none."""
    program = shutil.which("asterisk", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        return 0
    said = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Asterisk (\d+)\.", said)
    return int(found.group(1)) if found else 0


def _as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        return ["sudo", "-n"]
    raise SettingsError(
        "the private Asterisk needs root", code="sandbox-needs-root", hint="run as root, or install sudo"
    )


def _make(root: Path, tell: Tell) -> None:
    if not shutil.which("mmdebstrap"):
        raise SettingsError(
            "mmdebstrap is missing", code="sandbox-no-mmdebstrap", hint="apt-get install mmdebstrap, or: make setup"
        )
    suite, mirror, components = _archive()
    tell(f"making a private root with Asterisk ({suite}); this takes about a minute")
    half = root.with_name("root.new")
    _run([*_as_root(), "rm", "-rf", "--one-file-system", str(half), str(root)])
    _run(
        [
            *_as_root(),
            "mmdebstrap",
            "--variant=apt",
            f"--include={','.join(PACKAGES)}",
            f"--components={','.join(components)}",
            '--aptopt=APT::Install-Recommends "false"',
            '--aptopt=Acquire::Check-Valid-Until "false"',
            suite,
            str(half),
            mirror,
        ]
    )
    tell("giving it the AGI scripts' own environment")
    _script_environment(half)
    (half / MADE).write_text(f"{suite}\n")
    _run([*_as_root(), "mv", str(half), str(root)])


def _script_environment(root: Path) -> None:
    """The scripts' packages come by this machine's own pip settings; they are pure Python."""
    _run([*_as_root(), "chroot", str(root), "python3", "-m", "venv", "--without-pip", f"/{SCRIPTS_ENV}"])
    site = next((root / SCRIPTS_ENV / "lib").glob("python3.*/site-packages"))
    _run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), *SCRIPT_PACKAGES])


def _run(words: list[str]) -> None:
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.startswith(("E:", "W:", "ERROR"))] or [done.stdout]
        raise SettingsError(
            f"{Path(words[0]).name} failed: {' '.join(lines[-2:])[-300:]}",
            code="sandbox-not-made",
            hint="check the network and apt's own settings, then try again",
        )


def _archive() -> tuple[str, str, tuple[str, ...]]:
    """Suite, mirror and components: this machine's own suite where its Asterisk will do, else Debian's newest."""
    sources = [s for s in _sources() if "security" not in s[1] and not s[0].endswith(("-updates", "-backports"))]
    known = _release()
    mains = [s for s in sources if s[0] == known.get("VERSION_CODENAME")] or sources
    if not mains:
        raise SettingsError("apt has no archive", code="sandbox-no-archive", hint="look into /etc/apt/sources.list.d")
    suite, mirror, components = mains[0]
    if _candidate() >= OLDEST:
        return suite, mirror, components
    if known.get("ID") == "debian":
        return "sid", mirror, ("main",)
    raise SettingsError(
        "no Asterisk 20 or newer can be had here", code="sandbox-no-archive", hint="use Debian 12, or Ubuntu 24.04"
    )


def _candidate() -> int:
    said = subprocess.run(["apt-cache", "policy", "asterisk"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"Candidate: (?:\d+:)?(\d+)\.", said)
    return int(found.group(1)) if found else 0


def _release() -> dict[str, str]:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {k: v.strip('"') for k, _, v in (line.partition("=") for line in lines) if k}


def _sources(apt: Path = Path("/etc/apt")) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Suite, mirror and components of every binary archive of this machine, one-line and deb822 style."""
    for file in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".list":
            yield from _one_line(text)
        elif file.suffix == ".sources":
            yield from _deb822(text)


def _one_line(text: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for line in text.splitlines():
        found = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", line.split("#")[0].strip())
        if found:
            yield found.group(2), found.group(1), tuple(found.group(3).split())


def _deb822(text: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = {k.strip().lower(): v.split() for k, _, v in (line.partition(":") for line in stanza.splitlines())}
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"]) != ["no"]:
            for suite in fields.get("suites", []):
                for mirror in fields.get("uris", []):
                    yield suite, mirror, tuple(fields.get("components", []))

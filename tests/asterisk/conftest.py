"""A private world for the whole session, and a daemon beside it. Needs root (or sudo) and ``make setup``."""

from __future__ import annotations

import contextlib
import shutil
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from callguard.sandbox.guarding import Guarding, guarding, settings_text
from callguard.sandbox.house import house, sandbox_dir
from callguard.sandbox.world import World, world
from callguard.shipped import shipped

sys.path.insert(0, str(Path(__file__).parent))
from telephone import PROMPTS, Daemon

RULES = """
language = "en"
[[rule]]
id = "en.test.kill"
category = "threat"
severity = 3
any = ["kill you"]
"""


def policy(folder: Path, *, mode: str = "observe") -> Path:
    """A policy of the shipped base with one rule of its own."""
    (folder / "rules.toml").write_text(RULES)
    file = folder / "policy.toml"
    base = shipped("policies/base.toml")
    file.write_text(
        f'extends = "{base}"\nname = "test"\nlanguages = ["en"]\nmode = "{mode}"\n[rules]\nfiles = ["rules.toml"]\n'
        "[rest]\nafter_flag = false\n"
    )
    return file


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def there() -> AsyncIterator[World]:
    async with world(house(print)) as one:
        yield one


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def daemon(there: World, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """Starts a daemon of one's own beside the world; the bus lives as long as it does."""

    @contextlib.asynccontextmanager
    async def start(
        *, hearing: bool = False, wait: bool = True, secret: str = "", home: Path | None = None, mode: str = "observe"
    ) -> AsyncIterator[Guarding]:
        home = home or tmp_path_factory.mktemp("home")
        settings = home / "callguard.toml"
        settings.write_text(
            settings_text(
                there,
                home=home,
                bus=home / "bus",
                policy=policy(home, mode=mode),
                models=sandbox_dir() / "models",
                hearing=hearing,
                secret=secret,
            )
        )
        async with guarding(there, settings, hearing=hearing, wait=wait) as one:
            yield one

    return start


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Something to say that is no announcement of the ladder: the time notice."""
    copy = tmp_path / f"{uuid.uuid4().hex}.wav"
    shutil.copyfile(PROMPTS / "time-notice.wav", copy)
    return copy

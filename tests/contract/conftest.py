"""Every kind of store the contract is kept by."""

from __future__ import annotations

import importlib.util
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from callguard.store import Store, open_store

_spec = importlib.util.spec_from_file_location("cg_postgres", Path(__file__).with_name("postgres.py"))
assert _spec and _spec.loader
postgres = sys.modules["cg_postgres"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(postgres)


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    with ExitStack() as stack:
        yield stack.enter_context(postgres.running())


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store, on each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cases.db"
    socket = request.getfixturevalue("postgres_socket")
    return str(postgres.fresh_database(socket, f"cg{uuid.uuid4().hex[:12]}"))


@pytest.fixture(params=["plain", "sealed"])
def store(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> Iterator[Store]:
    """An empty store, on each database, with plain and with sealed sound."""
    key_file = tmp_path / "sound.key" if request.param == "sealed" else None
    store = open_store(store_url, segments=tmp_path / "segments", key_file=key_file)
    yield store
    store.close()

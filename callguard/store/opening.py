"""Open the store of an address: the database with its tables, the segment folder, the keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from callguard.model.errors import StoreFault
from callguard.store.connection import Database, told_os
from callguard.store.migrations import HEAD
from callguard.store.sealing import read_seals
from callguard.store.sound import open_place
from callguard.store.store import Store, utc_now
from callguard.store.trail import in_turn


def open_store(
    url: str,
    *,
    segments: Path,
    key_file: Path | None = None,
    archive: str = "",
    keys: Path | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Store:
    """The store behind this address, its tables made where they are missing.

    url: as SQLAlchemy spells it. segments: folder of the kept sound. key_file: encrypts sound at rest.
    archive: where finished sound moves to (``sound.open_place``), "" leaves it in the folder.
    keys: folder of the store's own secrets, beside the segment folder unless named.

    Raises SettingsError where the address or a key is wrong, StoreFault where the store is away.
    """
    with told_os():
        segments.mkdir(parents=True, exist_ok=True, mode=0o750)
    seals = read_seals(key_file) if key_file is not None else None
    place = open_place(archive) if archive else None
    database = Database(url)
    try:
        _prepare(database)
        folder = keys or segments.parent / "keys"
        return Store(database, segments=segments, keys=folder, seals=seals, archive=place, clock=clock)
    except BaseException:
        database.close()
        raise


def _prepare(database: Database) -> None:
    with database.reading() as connection:
        if _version(connection) == HEAD:
            return
    with database.writing() as connection:
        in_turn(connection)
        version = _version(connection)
        if version != HEAD:
            upgrade(connection, to=HEAD)


def upgrade(connection: Connection, *, to: str) -> None:
    """Bring the tables to this step of their history. Raises StoreFault where they come from a newer callguard."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError:
        raise StoreFault(
            "the case store was written by a newer callguard", code="store-newer", hint="update callguard"
        ) from None


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("callguard_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM callguard_version")).scalar()

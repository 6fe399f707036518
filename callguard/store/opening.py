"""Open the store of an address: the database with its tables, the segment folder, the keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from callguard.store.connection import Database, told_os
from callguard.store.sealing import read_seals
from callguard.store.sound import open_place
from callguard.store.store import Store, utc_now
from callguard.store.tables import POSTGRES_EXTRAS, SQLITE_EXTRAS, metadata


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
    with database.writing() as connection:
        if sa.inspect(connection).has_table("cases"):
            return
        metadata.create_all(connection)
        for statement in SQLITE_EXTRAS if database.sqlite else POSTGRES_EXTRAS:
            connection.exec_driver_sql(statement)

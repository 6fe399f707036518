"""The tables' history: from every released state forward, on every database, to the tables the code knows."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from callguard.model.errors import StoreFault
from callguard.store import migrations, open_store
from callguard.store.connection import Database
from callguard.store.opening import upgrade
from callguard.store.tables import metadata

_config = Config()
_config.set_main_option("script_location", str(Path(migrations.__file__).parent))
_config.set_main_option("path_separator", "os")
STEPS = [step.revision for step in ScriptDirectory.from_config(_config).walk_revisions()][::-1]


def test_the_code_wants_the_last_step() -> None:
    assert STEPS[-1] == migrations.HEAD


@pytest.mark.parametrize("start", STEPS)
def test_every_step_leads_to_the_tables_of_today(store_url: str, tmp_path: Path, start: str) -> None:
    database = Database(store_url)
    with database.writing() as connection:
        upgrade(connection, to=start)
    database.close()
    store = open_store(store_url, segments=tmp_path / "segments")
    try:
        with store.reading() as connection:

            def ours(name: str | None, kind: str, parents: object) -> bool:
                return kind != "table" or name in metadata.tables

            def known(thing: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
                return not (kind == "index" and reflected and name == "ix_spoken_pairs")

            options = {"include_name": ours, "include_object": known, "version_table": "callguard_version"}
            context = MigrationContext.configure(connection, opts={**options, "compare_type": False})
            assert compare_metadata(context, metadata) == []
        store.audit(who="x", verb="y", thing="z", data={})
    finally:
        store.close()
    open_store(store_url, segments=tmp_path / "segments").close()


def test_a_newer_store_is_left_alone(store_url: str, tmp_path: Path) -> None:
    open_store(store_url, segments=tmp_path / "segments").close()
    database = Database(store_url)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE callguard_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(StoreFault) as fault:
        open_store(store_url, segments=tmp_path / "segments")
    assert fault.value.code == "store-newer"

"""The tables' history: from every released state forward, on every database, to the tables the code knows."""

from __future__ import annotations

from datetime import UTC, datetime
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
from callguard.store.desk_tables import metadata as desk
from callguard.store.opening import upgrade
from callguard.store.tables import metadata

_config = Config()
_config.set_main_option("script_location", str(Path(migrations.__file__).parent))
_config.set_main_option("path_separator", "os")
NOW = datetime(2026, 10, 1, tzinfo=UTC)
TRAINING = {"held_on": NOW, "title": "first aid", "people": 4, "by": "mori", "noted_at": NOW}
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
                return kind != "table" or name in {**metadata.tables, **desk.tables}

            def known(thing: object, name: str | None, kind: str, reflected: bool, other: object) -> bool:
                return not (kind == "index" and reflected and name == "ix_spoken_pairs")

            options = {"include_name": ours, "include_object": known, "version_table": "callguard_version"}
            context = MigrationContext.configure(connection, opts={**options, "compare_type": False})
            assert compare_metadata(context, [metadata, desk]) == []
        store.audit(who="x", verb="y", thing="z", data={})
    finally:
        store.close()
    open_store(store_url, segments=tmp_path / "segments").close()


def test_a_desk_whose_tables_were_made_without_a_step_is_taken_over(store_url: str, tmp_path: Path) -> None:
    database = Database(store_url)
    with database.writing() as connection:
        upgrade(connection, to="0001")
        desk.create_all(connection)
        connection.execute(desk.tables["desk_trainings"].insert().values(**TRAINING))
    database.close()
    store = open_store(store_url, segments=tmp_path / "segments")
    try:
        with store.reading() as connection:
            assert connection.execute(sa.text("SELECT title FROM desk_trainings")).scalar_one() == TRAINING["title"]
    finally:
        store.close()


def test_a_newer_store_is_left_alone(store_url: str, tmp_path: Path) -> None:
    open_store(store_url, segments=tmp_path / "segments").close()
    database = Database(store_url)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE callguard_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(StoreFault) as fault:
        open_store(store_url, segments=tmp_path / "segments")
    assert fault.value.code == "store-newer"

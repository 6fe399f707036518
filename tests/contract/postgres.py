"""A PostgreSQL of the test run's own: in a temporary folder, on a unix socket, as a user who is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest


def binaries() -> Path | None:
    """Folder of initdb and postgres, None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders if (one / "initdb").is_file() and (one / "postgres").is_file()), None)


@contextmanager
def running() -> Iterator[Path]:
    """The socket folder of a PostgreSQL that runs until the block ends."""
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    place = Path(tempfile.mkdtemp(prefix="cg-pg-"))
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:
        user = next((pwd.getpwnam(name) for name in ("postgres", "nobody") if _known(name)), None)
        if user is None:
            pytest.skip("PostgreSQL does not run as root and there is no user postgres or nobody")
        os.chown(place, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data = place / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": place, **as_user}
    init = ["-D", str(data), "-A", "trust", "-U", "callguard", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run([programs / "initdb", *init], check=True, **quiet)
    control = [programs / "pg_ctl", "-D", str(data), "-w", "-t", "60"]
    options = f"-c listen_addresses= -c unix_socket_directories={place} -c fsync=off"
    subprocess.run([*control, "-l", str(place / "log"), "-o", options, "start"], check=True, **quiet)
    try:
        yield place
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, **quiet)
        shutil.rmtree(place, ignore_errors=True)


def fresh_database(socket: Path, name: str) -> str:
    """The address of a new empty database."""
    with psycopg.connect(host=str(socket), user="callguard", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"postgresql+psycopg://callguard@/{name}?host={socket}"


def _known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True

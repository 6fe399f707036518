"""Where the private root comes from: the machine's own apt settings, both ways of writing them."""

from __future__ import annotations

from pathlib import Path

from callguard.sandbox.house import _sources


def test_both_styles_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://no.example/ old main\n"
        "deb [signed-by=/x.gpg arch=amd64] http://one.example/debian bookworm main contrib # ours\n"
        "deb-src http://one.example/debian bookworm main\n"
    )
    (folder / "two.sources").write_text(
        "Types: deb deb-src\n# a note\nURIs: http://two.example/ubuntu\nSuites: noble noble-updates\n"
        "Components: main universe\n\nEnabled: no\nTypes: deb\nURIs: http://off.example\nSuites: x\nComponents: y\n"
    )
    (folder / "three.sources.disabled").write_text("Types: deb\nURIs: http://off.example\nSuites: x\nComponents: y\n")
    assert list(_sources(tmp_path)) == [
        ("bookworm", "http://one.example/debian", ("main", "contrib")),
        ("noble", "http://two.example/ubuntu", ("main", "universe")),
        ("noble-updates", "http://two.example/ubuntu", ("main", "universe")),
    ]

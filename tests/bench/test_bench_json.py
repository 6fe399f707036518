"""``callguard bench --json``: one line a figure, every field there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-c", "from callguard.cli import main; main()", "bench"]


@pytest.mark.parametrize("processes", [1, 2])
def test_taps_prints_a_line_for_each_figure(processes: int) -> None:
    done = subprocess.run(
        [*COMMAND, "taps", "--legs", "5", "--seconds", "3", "--processes", str(processes), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == (8 if processes == 1 else 9)
    assert all(set(line) == {"bench", "figure", "ours", "peer", "unit", "peer_name"} for line in lines)
    figures = {line["figure"]: line["ours"] for line in lines}
    assert figures["legs a core could hold, this process"] > 20
    assert figures["frames lost"] == 0
    assert 0 < figures["frame to detector, p99"] <= figures["frame to detector, worst"] < 2000
    assert figures["silence sent back"] > 50

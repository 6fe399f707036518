"""``callguard bench --json``: one line a figure, every field there."""

from __future__ import annotations

import json
import subprocess
import sys

COMMAND = [sys.executable, "-c", "from callguard.cli import main; main()", "bench"]


def test_taps_prints_a_line_for_each_figure() -> None:
    done = subprocess.run(
        [*COMMAND, "taps", "--legs", "5", "--seconds", "3", "--json"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 4
    assert all(set(line) == {"bench", "figure", "ours", "peer", "unit", "peer_name"} for line in lines)
    figures = {line["figure"]: line["ours"] for line in lines}
    assert figures["legs a core could hold"] > 20
    assert figures["frames late, worst"] < 2000

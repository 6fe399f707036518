"""What stands beside this file is for all tests: ``managing.py``, ``opening.py``, ``waiting.py``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

"""The statements of ``changes.sql``."""

from pathlib import Path
from typing import Any

from milepost.db.pool import load_queries

CHANGES: Any = load_queries(Path(__file__).with_name("changes.sql"))

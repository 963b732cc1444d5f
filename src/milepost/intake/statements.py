"""The statements of ``intake.sql``."""

from pathlib import Path
from typing import Any

from milepost.db.pool import load_queries

INTAKE: Any = load_queries(Path(__file__).with_name("intake.sql"))

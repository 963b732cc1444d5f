"""The statements of this room's .sql files."""

from pathlib import Path
from typing import Any

from milepost.db.pool import load_queries

FAN_OUT: Any = load_queries(Path(__file__).with_name("fan_out.sql"))
FORGET: Any = load_queries(Path(__file__).with_name("forget.sql"))
DUE: Any = load_queries(Path(__file__).with_name("due.sql"))
DELIVER: Any = load_queries(Path(__file__).with_name("deliver.sql"))
CONNECTIONS: Any = load_queries(Path(__file__).with_name("connections.sql"))
SUBSCRIPTIONS: Any = load_queries(Path(__file__).with_name("subscriptions.sql"))
INTEGRATIONS: Any = load_queries(Path(__file__).with_name("integrations.sql"))
LOG: Any = load_queries(Path(__file__).with_name("log.sql"))
HEALTH: Any = load_queries(Path(__file__).with_name("health.sql"))
FEED: Any = load_queries(Path(__file__).with_name("feed.sql"))
SUSPENDING: Any = load_queries(Path(__file__).with_name("suspending.sql"))
GIVING_UP: Any = load_queries(Path(__file__).with_name("giving_up.sql"))
EMAILS: Any = load_queries(Path(__file__).with_name("emails.sql"))

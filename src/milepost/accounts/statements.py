"""The room's statements, read once from accounts.sql."""

from pathlib import Path

from milepost.db.pool import load_queries

statements = load_queries(Path(__file__).with_name("accounts.sql"))

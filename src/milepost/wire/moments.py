"""Times in the two published forms. Both are UTC."""

from datetime import UTC, datetime


def v3_moment(moment: datetime) -> str:
    """``2024-01-01T00:00:00Z``, whole seconds as in every published example."""
    # A fifth of what strftime costs, and an answer has many.
    return moment.astimezone(UTC).isoformat()[:19] + "Z"


def v2_moment(moment: datetime) -> str:
    """``2022-01-25 14:42:03.277703+00:00``: clients parse blank, fraction, offset."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f+00:00}"

"""Counting what becomes of deliveries."""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from milepost import metrics
from milepost.notifications.forms import Form
from milepost.notifications.held import Sent


def tally(form: Form, sent: Sequence[Sent]) -> None:
    """Count what was tried, and how long it took where anything was sent."""
    for outcome, count in Counter(one.judged.verdict.value for one in sent).items():
        _counter(form.value, outcome).inc(count)
    for one in sent:
        if one.judged.was_sent:
            _seconds(one.judged.verdict.value).observe(one.milliseconds / 1000)


# Looking a metric up by its labels takes longer than counting.
@cache
def _counter(form: str, outcome: str) -> Any:
    return metrics.deliveries.labels(form, outcome)


@cache
def _seconds(outcome: str) -> Any:
    return metrics.delivery_seconds.labels(outcome)

"""Counting what becomes of deliveries."""

from milepost import metrics
from milepost.notifications.forms import Form
from milepost.notifications.held import Sent


def tally(form: Form, sent: Sent) -> None:
    """Count what was tried, and how long it took where anything was sent."""
    outcome = sent.judged.verdict.value
    metrics.deliveries.labels(form.value, outcome).inc()
    if sent.judged.was_sent:
        metrics.delivery_seconds.labels(outcome).observe(sent.milliseconds / 1000)

"""When to ask about a parcel that its carrier tells us of by itself. Pure."""

from datetime import datetime, timedelta

from milepost.tracking.cadence import URGENCY_ENDED, CadencePolicy, Plan, interval_of, urgency_of
from milepost.tracking.journey import Journey

INTERVALS = 4
"""After so many intervals of the cadence it is asked all the same."""


def after_told(journey: Journey, now: datetime, policy: CadencePolicy) -> Plan:
    """When to ask next after the carrier has told us something at ``now``, unasked.

    Its pushes may end at any time and nobody would notice, so it is asked all the same, only later:
    after four intervals, or ``longest``. After an end it is asked when it would be in any case.
    """
    if journey.ended_at is not None:
        return Plan(max(now, journey.ended_at + policy.after_end), URGENCY_ENDED)
    interval = interval_of(journey, policy)
    wait: timedelta = min(interval * INTERVALS, max(interval, policy.longest))
    return Plan(now + wait, urgency_of(journey))

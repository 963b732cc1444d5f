"""When a delivery is tried again: the figures themselves, whatever else reads them."""

import pytest

from milepost.errors import ConfigurationError
from milepost.notifications.forms import Form
from milepost.notifications.schedule import LONGEST_WAIT, next_try, pauses
from milepost.notifications.terms import Terms
from milepost.settings import Settings

MINUTE, HOUR = 60.0, 3600.0
CLASSIC = [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, *[HOUR] * 6]
EVENTS = [30.0, 2 * MINUTE, 10 * MINUTE, HOUR, 6 * HOUR]


@pytest.mark.parametrize(
    ("form", "published"),
    [(Form.CLASSIC, CLASSIC), (Form.EVENT, EVENTS), (Form.CLOUD_EVENT, EVENTS)],
)
def test_eleven_attempts_of_a_classic_webhook_and_six_of_an_event(
    form: Form, published: list[float]
) -> None:
    """Where the operator says nothing, and where code asks for no settings."""
    for terms in (Terms(), Terms.of(Settings())):
        told = terms.pauses(form)
        assert list(told) == published
        tries = [next_try(told, tried, None, 0.5) for tried in range(1, len(published) + 2)]
        assert tries == [*published, None]


def test_the_operator_sets_others() -> None:
    terms = Terms.of(Settings(classic_retry_seconds="1, 2.5", event_retry_seconds=""))
    assert terms.pauses(Form.CLASSIC) == (1.0, 2.5)
    assert next_try(terms.pauses(Form.EVENT), 1, None, 0.5) is None, "one attempt and no more"
    for wrong in ("soon", "-1", "1,,x", "1e9", "nan"):
        with pytest.raises(ConfigurationError, match="MILEPOST_X"):
            pauses(wrong, "MILEPOST_X")


def test_what_failed_together_does_not_come_back_together() -> None:
    assert [next_try([100.0], 1, None, chance) for chance in (0, 0.25, 1)] == pytest.approx(
        [90, 95, 110]
    )


def test_who_asks_for_more_time_has_it_up_to_a_bound_and_never_less() -> None:
    assert next_try([100.0], 1, 500, 0.5) == 500
    assert next_try([100.0], 1, 3, 0.5) == pytest.approx(100)
    assert next_try([100.0], 1, 10**9, 0.5) == LONGEST_WAIT == 6 * HOUR
    assert next_try([100.0], 2, 500, 0.5) is None, "the last attempt was the last"

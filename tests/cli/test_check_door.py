"""What is refused before anything starts."""

import pytest

from milepost.cli.addresses import check_door
from milepost.errors import ConfigurationError
from milepost.settings import Settings


def test_odd_exceptions_of_what_we_may_call_are_refused() -> None:
    check_door(Settings(egress_allow="10.0.0.0/8, hooks.internal:9000", egress_ports="443"))
    for told in ({"egress_allow": "10.0.0.1/8"}, {"egress_ports": "https"}):
        with pytest.raises(ConfigurationError, match="MILEPOST_EGRESS_"):
            check_door(Settings(**told))  # type: ignore[arg-type]

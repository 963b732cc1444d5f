"""Python's own sleep fails under libfaketime 0.9.10 (EINVAL); waiting for nothing is as good."""

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


vars(time)["sleep"] = _sleep

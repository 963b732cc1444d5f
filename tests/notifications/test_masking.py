"""What of a connection's secrets is left in an answer that repeats them."""

import base64
import json
from datetime import UTC, datetime

import pytest

from milepost.notifications.masking import HIDDEN, masked, spellings
from milepost.notifications.sealing import Secrets
from milepost.notifications.signing import FormerKey, SigningKeys

MOST = 200
BEHIND_PREFIX = base64.b64encode(b"\xff\xfe\xfb" * 8).decode()
KEY = f"whsec_{BEHIND_PREFIX}"
FORMER = "an old key of the shop's"
TOKEN = "t/o+k=e&n<>'\"`\\ \xe9"


@pytest.fixture
def hidden() -> list[bytes]:
    keys = SigningKeys(KEY, (FormerKey(FORMER, datetime.now(UTC)),))
    return list(spellings(Secrets({"token": TOKEN}), f"Bearer {TOKEN}", keys))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(TOKEN, id="as it is"),
        pytest.param(json.dumps(TOKEN)[1:-1], id="Python"),
        pytest.param(r"t\/o+k=e&n<>'\"`\\ \u00e9", id="PHP"),
        pytest.param("t/o+k=e\\u0026n\\u003c\\u003e'\\\"`\\\\ \xe9", id="Go"),
        pytest.param(r"t/o\u002Bk=e\u0026n\u003C\u003E\u0027\u0022\u0060\\ \u00E9", id=".NET"),
        pytest.param("t/o+k=e&amp;n&lt;&gt;&#x27;&quot;`\\ \xe9", id="HTML of Python"),
        pytest.param("t/o+k=e&amp;n&lt;&gt;&#039;&quot;`\\ \xe9", id="HTML of PHP"),
        pytest.param("t/o&#43;k=e&amp;n&lt;&gt;&#39;&#34;`\\ \xe9", id="HTML of Go"),
        pytest.param(
            "t/o+k&#x3D;e&amp;n&lt;&gt;&#x27;&quot;&#x60;\\ \xe9", id="HTML of Handlebars"
        ),
        pytest.param("t%2Fo%2Bk%3De%26n%3C%3E%27%22%60%5C%20%C3%A9", id="URL"),
        pytest.param("t%2fo%2bk%3de%26n%3c%3e%27%22%60%5c+%c3%a9", id="form of .NET"),
        pytest.param(KEY.replace("/", r"\/"), id="key in PHP"),
        pytest.param(BEHIND_PREFIX, id="key without whsec_"),
        pytest.param(base64.b64encode(FORMER.encode()).decode(), id="key for a library"),
    ],
)
def test_a_secret_is_known_again_as_programs_write_it(hidden: list[bytes], said: str) -> None:
    assert masked(f"<{said}>".encode(), hidden, MOST) == f"<{HIDDEN}>".encode()


@pytest.mark.parametrize("before", range(MOST - 60, MOST + 60, 7))
def test_what_moves_up_is_looked_through_as_well(hidden: list[bytes], before: int) -> None:
    """A secret stands where the answer would be cut, if the one before it were not shorter now."""
    answer = f"{KEY}{KEY}{'-' * before}{KEY}".encode()
    assert set(masked(answer, hidden, MOST).decode()) <= {"*", "-"}


@pytest.mark.parametrize("kept_of_key", [1, 5, len(KEY) - 1])
def test_an_answer_that_was_cut_does_not_end_within_a_secret(
    hidden: list[bytes], kept_of_key: int
) -> None:
    answer = f"{KEY}{'-' * 20}{KEY[:kept_of_key]}".encode()
    shown = masked(answer, hidden, MOST, cut=True).decode()
    assert KEY[:kept_of_key] not in shown
    assert set(shown) <= {"*", "-"}


def test_an_answer_without_a_secret_stays_as_it_is(hidden: list[bytes]) -> None:
    assert masked(b"thanks", hidden, MOST) == b"thanks"
    assert masked(b"a" * 2 * MOST, hidden, MOST, cut=True) == b"a" * MOST

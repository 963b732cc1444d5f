"""What an HTTP status alone says, for every platform the same."""

from milepost.carriers.connector import Broken, Refused
from milepost.carriers.exchange import Answer

WAIT_AFTER_REFUSAL = 60.0
WAIT_AFTER_WRONG_CREDENTIAL = 3600.0


def refusal_of(answer: Answer) -> Refused | Broken:
    """The outcome of an answer that is no answer to the question."""
    match answer.status:
        case 400 | 422:
            return Broken(f"the question was refused with {answer.status}", lane_wide=False)
        case 401 | 403:
            return credential_refused(f"the credential was refused with {answer.status}")
        case 429:
            return Refused(answer.retry_after(WAIT_AFTER_REFUSAL), "too many questions (429)")
    return Broken(f"answered {answer.status}")


def credential_refused(why: str) -> Refused:
    """The carrier does not take the credential, in whatever words."""
    return Refused(WAIT_AFTER_WRONG_CREDENTIAL, why, credential_refused=True)

"""What is wrong with what a client wants, in the words of the published v3 errors."""

from milepost.errors import InvalidInput

REQUIRED = "This field is required."
BAD_URL = "Enter a valid URL."


class Fault(InvalidInput):
    """Something to correct: where, why, and a code of the published list."""

    def __init__(self, path: tuple[str, ...], message: str, code: str = "invalid") -> None:
        super().__init__(message, path, code)

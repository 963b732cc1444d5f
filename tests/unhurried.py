"""What this process asks of its database has more time than in use; imported before all else.

A machine that runs many tests beside each other may need seconds for one answer, and a request that
gives up then is right. Only the tests of that patience are about it; they take it as it is in use,
and so does all of Milepost that tests start as processes of its own.
"""

from milepost.db import patience

IN_USE = patience.ANSWER_SECONDS
patience.ANSWER_SECONDS = 20.0

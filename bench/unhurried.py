"""What this process asks of its database has more time than in use; imported before all else.

It makes what is measured, beside large fillings and on any machine: to wait is no fault. The
servers that are measured are processes of their own, with the time they have in use.
"""

from milepost.db import patience

patience.ANSWER_SECONDS = max(20.0, patience.ANSWER_SECONDS)

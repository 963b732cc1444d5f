"""Rewrites what the golden journeys expect: ``python tests/tracking/rewrite_journeys.py``.

Read the diff before you commit it: it is the review of a changed rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.tracking import journey_files


def main() -> None:
    for path in journey_files.paths():
        document = journey_files.load(path)
        events = journey_files.merged(journey_files.observations(document))
        expected = journey_files.outcome(journey_files.journey(document, events))
        if document.get("expected") != expected:
            journey_files.save(path, document | {"expected": expected})
            print(f"rewritten: {path.name}")


if __name__ == "__main__":
    main()

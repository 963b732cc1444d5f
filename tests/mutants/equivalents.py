"""Mutants nobody could tell from the original, each with the reason."""

EQUIVALENT: dict[str, str] = {
    "slid_window: IF shift >= p_size OR cardinality(p_spent) <> p_size THEN | >= -> >": (
        "moved on by its whole length, a window keeps nothing and is filled with zeros as well"
    ),
    "slid_window: ELSIF shift <= 0 THEN | <= -> <": (
        "moved on by nothing, a window keeps everything and is filled with no zero"
    ),
    "promise_room: due := due + coalesce(p_promised[second + 1], 0); | 0 -> 1": (
        "the array reaches two seconds beyond the last that is promised: it is never null"
    ),
    "promise_room: IF cardinality(retry_after) < p_denied THEN | < -> <=": (
        "where all were given a time, an array of none is added"
    ),
}

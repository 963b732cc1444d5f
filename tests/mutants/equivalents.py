"""Mutants nobody could tell from the original, each with the reason."""

# ruff: noqa: E501 a name quotes its line

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
    "milepost.egress.addresses._wrapped: 1 -> 2": (
        "the last bit of the address is behind every place where an IPv4 address may stand"
    ),
    "claim_due: ORDER BY w.due_at LIMIT 1 | 1 -> 2": (
        "the least of two is that of one, for they are in order"
    ),
    "milepost.monitoring.settle.Settler._settle: assert_never(outcome) -> pass": (
        "the type checker sees that nobody gets there"
    ),
    "milepost.monitoring.finish.Finisher._write: batch.written.exception() -> pass": (
        "keeps asyncio from complaining, nothing else"
    ),
}
# The same reason for several.
for _reason, _names in (
    (
        "urgencies end at 3, so nobody looks at a fifth place",
        (
            "claim_due: latest timestamptz[] := array_fill('-infinity'::timestamptz, ARRAY[4]);"
            " | 4 -> 5",
            "claim_due: latest := array_fill('-infinity'::timestamptz, ARRAY[4]); | 4 -> 5",
            "claim_due: SELECT due.parcel_id FROM generate_series(1, 3) AS level (urgency)"
            " | 3 -> 4",
            "claim_due: FOR level IN 0..3 LOOP | 3 -> 4",
            "claim_due: SELECT min(rest.due_at) INTO last_due FROM generate_series(0, 3) AS level (urgency)"
            " | 3 -> 4",
        ),
    ),
    (
        "a quarter takes the rows that were due first whatever their urgency: those left "
        "are due no earlier than the last of them, so the index is only read from further "
        "ahead or further back",
        (
            "claim_due: ARRAY[latest[1], coalesce(max(t.due_at) FILTER (WHERE t.urgency = 1), latest[2]),"
            " | 1 -> 2",
            "claim_due: ARRAY[latest[1], coalesce(max(t.due_at) FILTER (WHERE t.urgency = 1), latest[2]),"
            " | max -> min",
            "claim_due: ARRAY[latest[1], coalesce(max(t.due_at) FILTER (WHERE t.urgency = 1), latest[2]),"
            " | t.urgency = 1 -> true",
            "claim_due: ARRAY[latest[1], coalesce(max(t.due_at) FILTER (WHERE t.urgency = 1), latest[2]),"
            " | = -> <>",
            "claim_due: ARRAY[latest[1], coalesce(max(t.due_at) FILTER (WHERE t.urgency = 1), latest[2]),"
            " | 1 -> 2 #2",
            "claim_due: ARRAY[latest[1], coalesce(max(t.due_at) FILTER (WHERE t.urgency = 1), latest[2]),"
            " | 2 -> 3",
            "claim_due: coalesce(max(t.due_at) FILTER (WHERE t.urgency = 2), latest[3]),"
            " | max -> min",
            "claim_due: coalesce(max(t.due_at) FILTER (WHERE t.urgency = 2), latest[3]),"
            " | t.urgency = 2 -> true",
            "claim_due: coalesce(max(t.due_at) FILTER (WHERE t.urgency = 2), latest[3]), | = -> <>",
            "claim_due: coalesce(max(t.due_at) FILTER (WHERE t.urgency = 2), latest[3]), | 2 -> 3",
            "claim_due: coalesce(max(t.due_at) FILTER (WHERE t.urgency = 2), latest[3]), | 3 -> 4",
            "claim_due: coalesce(max(t.due_at) FILTER (WHERE t.urgency = 3), latest[4])]"
            " | max -> min",
            "claim_due: coalesce(max(t.due_at) FILTER (WHERE t.urgency = 3), latest[4])]"
            " | t.urgency = 3 -> true",
            "claim_due: coalesce(max(t.due_at) FILTER (WHERE t.urgency = 3), latest[4])] | = -> <>",
            "claim_due: coalesce(max(t.due_at) FILTER (WHERE t.urgency = 3), latest[4])] | 3 -> 4",
            "claim_due: AND w.urgency = level AND w.due_at >= latest[level + 1] AND w.due_at <= now()"
            " | AND w.due_at >= latest[level + 1] -> nothing",
        ),
    ),
    (
        "where nothing due is found from there on, the turn is looked for from the beginning",
        (
            "claim_due: latest[level + 1] := greatest(latest[level + 1], last_due); | + -> - #2",
            "claim_due: latest[level + 1] := greatest(latest[level + 1], last_due); | 1 -> 2 #2",
            "claim_due: AND w.urgency = level.urgency AND w.due_at >= latest[level.urgency + 1]"
            " | >= -> >",
            "claim_due: EXIT WHEN last_due <= now(); | <= -> <",
            "claim_due: FOR reading IN 1..2 LOOP | 2 -> 3",
        ),
    ),
    (
        "rows are asked for, none at most",
        (
            "claim_due: EXIT WHEN cardinality(taken) >= p_limit; | >= -> >",
            "claim_due: IF room > 0 THEN | > -> >=",
        ),
    ),
    (
        "whether a row is due is asked again where it is locked, and where there is room "
        "all that is due was taken",
        (
            "claim_due: AND w.urgency = level.urgency AND w.due_at <= now()"
            " | AND w.due_at <= now() -> nothing",
            "claim_due: WHERE w.account_id = p_account AND w.lease_until IS NULL AND w.due_at > now()"
            " | AND w.due_at > now() -> nothing",
            "claim_due: WHERE w.account_id = p_account AND w.lease_until IS NULL AND w.due_at > now()"
            " | > -> >=",
            "claim_due: AND s.urgency = level.urgency AND s.due_at > now() AND s.due_at < 'infinity'"
            " | > -> >=",
        ),
    ),
):
    EQUIVALENT |= dict.fromkeys(_names, _reason)

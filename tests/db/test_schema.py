from milepost.db import schema


def test_the_file_to_read_equals_the_migrations(dsn: str) -> None:
    """When this fails: python -m milepost.db.schema, and read the difference."""
    assert schema.FILE.read_text() == schema.dump(dsn)


def test_comments_inside_functions_stay() -> None:
    text = (
        "-- noise\nSET x = 1;\n\n\nCREATE FUNCTION f() AS $$\n-- why\nSET y = 1;\n$$;\nSET z = 1;\n"
    )
    tidied = "CREATE FUNCTION f() AS $$\n-- why\nSET y = 1;\n$$;\n"
    assert schema.tidy(text) == schema.HEADER + tidied

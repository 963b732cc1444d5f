"""Cells of CSV files that a spreadsheet may open: text stays text, never becomes a formula."""

# What a spreadsheet takes for a formula, or cuts off in front of one; the last four are full-width.
_BEGINS_FORMULA = frozenset("=+-@\t\r\n\x00\uff1d\uff0b\uff0d\uff20")
_NUL_SHOWN = "\ufffd"


def guarded(text: str) -> str:
    """``text`` for a cell: an apostrophe in front of what would be a formula, no NUL."""
    shown = text.replace("\x00", _NUL_SHOWN)
    return f"'{shown}" if text[:1] in _BEGINS_FORMULA else shown


def unguarded(cell: str) -> str:
    """What ``guarded`` was given, for files of ours that come back."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _BEGINS_FORMULA else cell

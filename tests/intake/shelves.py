"""What a drop folder's shelves hold."""

from pathlib import Path


def names(path: Path) -> list[str]:
    """What lies there, without the times put in front."""
    found = sorted(one.name for one in path.iterdir()) if path.is_dir() else []
    return [name.partition("Z-")[2] for name in found]

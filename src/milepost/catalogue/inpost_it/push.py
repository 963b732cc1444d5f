"""InPost Italy pushes as the Group API does."""

from milepost.carriers.platforms.inpost_group import read_push

__all__ = ["read_push"]

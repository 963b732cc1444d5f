"""InPost Spain stands on the Group API."""

from milepost.carriers.connector import Connector
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.inpost_group import inpost_group


def build(manifest: Manifest) -> Connector:
    """InPost Spain's connector."""
    return inpost_group(manifest)

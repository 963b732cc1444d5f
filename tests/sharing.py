"""A pytest plugin: which process of xdist runs what.

A file at a time, as ``--dist loadfile`` has it; but the files of a folder that share a server go
to one process, for each process starts a server of its own.
"""

import pytest
from xdist.scheduler import LoadFileScheduling

SHARED = {"tests/contract", "tests/mcp"}
"""Folders whose conftest.py starts one server for all their files."""


class ByServer(LoadFileScheduling):  # type: ignore[misc]
    """Files, and folders that share a server."""

    def _split_scope(self, nodeid: str) -> str:
        """The name of what must not be torn apart."""
        return scope_of(nodeid)


def scope_of(nodeid: str) -> str:
    """The file of a test, or its folder."""
    file = nodeid.split("::", 1)[0]
    folder = file.rpartition("/")[0]
    return folder if folder in SHARED else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByServer | None:
    """Ours in the place of ``loadfile``; none where another way of dealing out was asked for."""
    return ByServer(config, log) if config.getoption("dist") == "loadfile" else None

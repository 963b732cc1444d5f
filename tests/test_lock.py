"""The lock files: complete for what pyproject asks, hashed, and free of places to fetch from."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = {
    "installer.lock": ["installer"],
    "requirements.lock": ["project", "build"],
    "requirements-dev.lock": ["project", "build", "dev"],
}
ENTRY = re.compile(r"^(?P<name>[a-z0-9._-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\$")


@dataclass(frozen=True, slots=True)
class Pin:
    """One locked package, its hashes and who asked for it."""

    version: str
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]


def pins(text: str) -> dict[str, Pin]:
    """Read a lock: every line belongs to an entry, is a hash of it, or says who wants it."""
    found: dict[str, Pin] = {}
    name = version = ""
    hashes: list[str] = []
    wanted_by: list[str] = []
    for line in [*text.splitlines(), "end==0 \\"]:
        if entry := ENTRY.match(line):
            if name:
                found[name] = Pin(version, tuple(hashes), tuple(wanted_by))
            name, version = canonicalize_name(entry["name"]), entry["version"]
            hashes, wanted_by = [], []
        elif digest := re.fullmatch(r"    --hash=sha256:([0-9a-f]{64})(?: \\)?", line):
            hashes.append(digest[1])
        elif wanting := re.fullmatch(r"    #(?: via)?(?:   )?(?: (.+))?", line):
            wanted_by.extend([wanting[1].strip()] if wanting[1] else [])
        else:
            raise ValueError(f"not a line of a lock: {line!r}")
    return found


def asked(groups: Iterable[str]) -> list[Requirement]:
    """What pyproject asks for directly: the project's own dependencies, dependency groups."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text())
    known = {"project": read["project"]["dependencies"], **read["dependency-groups"]}
    return [Requirement(text) for group in groups for text in known[group]]


def staleness(lock: dict[str, Pin], wanted: list[Requirement]) -> list[str]:
    """Every way in which a lock does not follow from what is asked."""
    names = {canonicalize_name(requirement.name) for requirement in wanted}
    direct = {name for name, pin in lock.items() if any("pyproject" in by for by in pin.wanted_by)}
    faults = [f"{name} is asked for and not locked" for name in sorted(names - lock.keys())]
    faults += [f"{name} is locked and no longer asked for" for name in sorted(direct - names)]
    for requirement in wanted:
        pin = lock.get(canonicalize_name(requirement.name))
        if pin and not requirement.specifier.contains(pin.version):
            faults.append(f"{requirement} is asked for, {pin.version} is locked")
    faults += [f"{name} has no hash" for name, pin in lock.items() if not pin.hashes]
    return faults


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_follows_from_pyproject(file: str) -> None:
    assert staleness(pins((ROOT / file).read_text()), asked(LOCKS[file])) == []


def test_both_locks_pin_the_same() -> None:
    run = pins((ROOT / "requirements.lock").read_text())
    dev = pins((ROOT / "requirements-dev.lock").read_text())
    assert {name: pin.version for name, pin in run.items()}.items() <= {
        name: pin.version for name, pin in dev.items()
    }.items()
    assert all(dev[name].hashes == pin.hashes for name, pin in run.items())


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_names_no_place_to_fetch_from(file: str) -> None:
    assert not re.search(r"://|--index|--find-links|--extra| @ ", (ROOT / file).read_text())


def test_a_stale_lock_is_noticed() -> None:
    hashed = "    --hash=sha256:" + "0" * 64 + "\n    # via milepost (pyproject.toml)\n"
    lock = pins("rich==13.0 \\\n" + hashed + "gone==1 \\\n" + hashed)
    assert staleness(lock, [Requirement("rich>=14"), Requirement("typer")]) == [
        "typer is asked for and not locked",
        "gone is locked and no longer asked for",
        "rich>=14 is asked for, 13.0 is locked",
    ]
    with pytest.raises(ValueError, match="not a line of a lock"):
        pins("rich @ https://example.org/rich.whl\n")

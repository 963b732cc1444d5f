"""The folder of one more carrier: what can be said before anybody has read its documents."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from string import Template

from milepost.carriers import skeleton
from milepost.carriers.manifest import read_manifest
from milepost.carriers.registry import Carrier, catalogue_folder
from milepost.carriers.samples import cases, read_case, rewrite
from milepost.carriers.shapes import is_learnt, rewrite_shape
from milepost.carriers.zones import zones_by_country
from milepost.errors import ConfigurationError
from milepost.tracking.parcel import number_key

SKELETON = Path(next(iter(skeleton.__path__)))
_CODE = re.compile(r"[a-z][a-z0-9_]{1,63}")
_NUMBER = "NEW0000001"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What is known of it: its country, numbers that are its own, and a page with ``{n}``.

    ``asked`` is for a carrier with an API: it gets a connector and samples to be made its own.
    """

    code: str
    name: str
    country: str
    numbers: Sequence[str] = ()
    page: str = ""
    asked: bool = False


def write_new(new: Newcomer) -> tuple[Carrier, list[Path]]:
    """Write the folder; the carrier in it and its files. ConfigurationError writes nothing."""
    folder = catalogue_folder() / new.code
    zones = zones_by_country().get(new.country.upper())
    if not _CODE.fullmatch(new.code):
        raise ConfigurationError(f"{new.code!r} is no code: lower case, digits and _, 64 at most")
    if zones is None:
        raise ConfigurationError(f"{new.country!r} is no country of two letters")
    try:
        folder.mkdir()
        for path, text in _files(new, zones[0]):
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except FileExistsError as error:
        raise ConfigurationError(f"{folder} is there already") from error
    except OSError as error:
        raise ConfigurationError(f"can't write {folder}: {error.strerror}") from error
    carrier = Carrier(read_manifest(folder / "manifest.toml"), folder)
    for case in cases(carrier):
        rewrite(case, read_case(carrier, case))
    if is_learnt(carrier):
        rewrite_shape(carrier)
    return carrier, sorted(path for path in folder.rglob("*.*") if "__pycache__" not in path.parts)


def form_of(number: str) -> str:
    """The pattern of numbers that look like ``number``."""
    parts = []
    for kind, characters in groupby(number_key(number), key=_kind):
        length = len(list(characters))
        parts.append(kind if length == 1 else f"{kind}{{{length}}}")
    return "".join(parts)


def _kind(character: str) -> str:
    if not character.isascii() or not character.isalnum():
        return re.escape(character)
    return r"\d" if character.isdigit() else "[A-Z]"


def _files(new: Newcomer, zone: str) -> Iterator[tuple[str, str]]:
    numbers = [number_key(number) for number in new.numbers]
    told = {
        "code": json.dumps(new.code),
        "name": json.dumps(new.name, ensure_ascii=False),
        "zone": json.dumps(zone),
        "country": json.dumps(new.country.upper()),
    }
    manifest = Template((SKELETON / "recognised.toml").read_text()).substitute(told)
    if numbers:
        manifest += f"test_numbers = {json.dumps(numbers)}\n"
    if new.page:
        manifest += f"tracking_pages = [{json.dumps(new.page)}]\n"
    if new.asked:
        manifest += (SKELETON / "asked.toml").read_text()
    for form in dict.fromkeys(map(form_of, numbers)):
        manifest += f"\n[[formats]]\npattern = '{form}'\nconfidence = \"assumed\"\n"
    yield "manifest.toml", manifest
    if new.asked:
        yield "__init__.py", ""
        yield "connector.py", (SKELETON / "connector.py").read_text()
        for path in sorted((SKELETON / "samples").iterdir()):
            text = Template(path.read_text()).substitute(number=next(iter(numbers), _NUMBER))
            yield f"samples/{path.name}", text

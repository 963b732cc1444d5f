"""The shape of each carrier's answers and pushes: learnt from its samples, kept in its folder.

``shape.json`` beside the manifest lists the paths of fields, those of them that no object of theirs
lacks, and the languages; ``milepost carrier check CODE --rewrite`` writes them. Its ``documented``
part is written by hand: fields and languages that the carrier documents and no sample shows. All of
it is read when the carrier is first asked, not at every start as the manifest is.

What a carrier pushes, or tells as a change, is of other forms: its paths begin with ``push``.
Nothing is expected in it, as it tells what has changed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import orjson
from lxml import etree

from milepost.carriers.answer_shape import (
    STEP,
    Shape,
    Unknown,
    languages_in,
    objects_in_json,
    objects_in_xml,
)
from milepost.carriers.looked_at import looking
from milepost.carriers.pushed_samples import push_cases, read_push_case
from milepost.carriers.registry import Carrier
from milepost.carriers.samples import cases, read_case

FILE = "shape.json"
_DOCUMENTED = "documented"
_INDENTED = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
PUSHED = "push"
OBJECTS = 5
CASES = 3
"""A field is expected where so many objects in so many samples have it, and none lacks it."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the samples of a carrier show."""

    fields: tuple[str, ...]
    always: tuple[str, ...]
    languages: tuple[str, ...]


class _Learning:
    """Looks at the samples and remembers names, never what stands in them but languages."""

    def __init__(self) -> None:
        self.case = ""
        self.below = ""
        self.objects: Counter[str] = Counter()
        self.cases: defaultdict[str, set[str]] = defaultdict(set)
        self.fields: Counter[str] = Counter()
        self.languages: set[str] = set()

    def at_json(self, document: Any) -> None:
        for path, told in objects_in_json(document):
            self._learn(path, told)

    def at_xml(self, root: "etree._Element") -> None:
        for path, told in objects_in_xml(root):
            self._learn(path, told)

    def _learn(self, path: str, told: Any) -> None:
        path = STEP.join(filter(None, (self.below, path)))
        self.objects[path] += 1
        self.cases[path].add(self.case)
        self.languages |= languages_in(told)
        self.fields.update(f"{path}{STEP}{name}" if path else name for name in told)

    def learnt(self) -> Learnt:
        parents = {path.rpartition(STEP)[0] for path in self.fields}
        return Learnt(
            tuple(sorted(self.fields.keys() - parents)),
            tuple(sorted(filter(self._is_expected, self.fields))),
            tuple(sorted(self.languages)),
        )

    def _is_expected(self, field: str) -> bool:
        parent, _, name = field.rpartition(STEP)
        objects = self.objects[parent]
        enough = (
            not field.startswith(PUSHED + STEP)
            and objects >= OBJECTS
            and len(self.cases[parent]) >= CASES
        )
        # An attribute is looked for by nobody: XML's are mostly formal.
        return enough and self.fields[field] == objects and not name.startswith("@")


class Looking:
    """Looks at the answers to one question, or (``pushed``) at what was not asked for; ``unknown``
    is what nobody knows of, counted."""

    __slots__ = ("_below", "_shape", "unknown")

    def __init__(self, shape: Shape, *, pushed: bool = False) -> None:
        self._shape = shape
        self._below = PUSHED if pushed else ""
        self.unknown: Counter[Unknown] = Counter()

    def at_json(self, document: Any) -> None:
        """Compare with the shape."""
        found = self._shape.in_json(document, self._below)
        if self._below:
            # Who may push can name any language, and would have it told to the others.
            found = {one for one in found if one.kind == "field"}
        self.unknown.update(found)

    def at_xml(self, root: "etree._Element") -> None:
        """Compare with the shape. Nobody pushes XML."""
        if not self._below:
            self.unknown.update(self._shape.in_xml(root))


def learn(carrier: Carrier) -> Learnt:
    """What the samples show: of the documents that the connector takes apart, no others."""
    learning = _Learning()
    with looking(learning):
        for case in cases(carrier):
            learning.case = case.name
            read_case(carrier, case)
        learning.below = PUSHED
        for pushed in push_cases(carrier):
            learning.case = pushed.name
            read_push_case(carrier, pushed)
    return learning.learnt()


def is_learnt(carrier: Carrier) -> bool:
    """Whether a carrier has a shape: one that is asked itself or pushes, and is not simulated."""
    told = carrier.can_be_asked or carrier.manifest.push is not None
    return told and carrier.answering is None and not carrier.manifest.simulated


def stale(carrier: Carrier) -> bool:
    """Whether the samples show something else than what is kept."""
    return is_learnt(carrier) and _read(carrier.folder) != _learnt_anew(carrier)


def rewrite_shape(carrier: Carrier) -> None:
    """Keep what the samples show. Read the diff: a new field is one that a sample brought."""
    document = orjson.dumps(_learnt_anew(carrier), option=_INDENTED)
    (carrier.folder / FILE).write_bytes(document)


def shape_of(carrier: Carrier) -> Shape | None:
    """The shape of a carrier's answers, with what is documented besides; None: nobody learnt it."""
    told = _read(carrier.folder) if is_learnt(carrier) else {}
    if not told:
        return None
    documented = told.get(_DOCUMENTED, {"fields": (), "languages": ()})
    fields = (*told["fields"], *documented["fields"])
    return Shape(fields, told["always"], (*told["languages"], *documented["languages"]))


def unknown_in(carrier: Carrier) -> Iterator[tuple[str, Unknown]]:
    """What the shape doesn't know of the carrier's own samples, by sample."""
    shape = shape_of(carrier)
    if shape is not None:
        for case in cases(carrier):
            looks = Looking(shape)
            with looking(looks):
                read_case(carrier, case)
            yield from ((case.name, unknown) for unknown in sorted(looks.unknown))
        for pushed in push_cases(carrier):
            looks = Looking(shape, pushed=True)
            with looking(looks):
                read_push_case(carrier, pushed)
            yield from ((pushed.name, unknown) for unknown in sorted(looks.unknown))


def _read(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    return cast(dict[str, Any], orjson.loads(path.read_bytes())) if path.is_file() else {}


def _learnt_anew(carrier: Carrier) -> dict[str, Any]:
    """What the samples show, and of what was documented besides the rest."""
    learnt = {name: list(told) for name, told in asdict(learn(carrier)).items()}
    before = _read(carrier.folder).get(_DOCUMENTED, {})
    documented = {
        name: sorted(set(before.get(name, ())) - set(learnt[name]))
        for name in ("fields", "languages")
    }
    return {**learnt, _DOCUMENTED: documented}

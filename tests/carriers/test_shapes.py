"""Each folder's shape is that of its samples, and a field planted in a sample is noticed."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from milepost.carriers.answer_shape import Unknown
from milepost.carriers.exchange import Answer
from milepost.carriers.looked_at import looking
from milepost.carriers.pushed_samples import push_cases, read_push_case
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.samples import ReadsAnswers, cases
from milepost.carriers.shapes import Looking, is_learnt, rewrite_shape, shape_of, stale, unknown_in

LEARNT = [one for one in Catalogue.load() if is_learnt(one)]
ASKED = [one for one in LEARNT if one.can_be_asked]


@pytest.mark.parametrize("carrier", LEARNT, ids=lambda one: one.manifest.code)
def test_a_shape_is_that_of_the_samples(carrier: Carrier) -> None:
    # ``milepost carrier check CODE --rewrite`` writes it.
    assert not stale(carrier)
    assert list(unknown_in(carrier)) == []


def test_a_shape_that_is_not_that_of_the_samples_is_noticed(tmp_path: Path) -> None:
    carrier = next(one for one in ASKED if b"{" in next(iter(cases(one))).body[:1])
    folder = tmp_path / carrier.manifest.code
    shutil.copytree(carrier.folder, folder)
    copied = dataclasses.replace(carrier, folder=folder)
    assert not stale(copied)
    case = next(iter(cases(copied)))
    sample = folder / "samples" / f"{case.name}.json"
    sample.write_bytes(sample.read_bytes().replace(b"{", b'{"planted": 1,', 1))
    assert stale(copied)
    assert {(name, one.what) for name, one in unknown_in(copied)} == {(case.name, "planted")}
    rewrite_shape(copied)
    assert not stale(copied)


def test_every_connector_shows_what_it_reads() -> None:
    """Whoever takes an answer apart without read_json or read_xml would never be looked at."""
    for carrier in ASKED:
        connector, shape = carrier.connector(), shape_of(carrier)
        assert isinstance(connector, ReadsAnswers)
        assert shape is not None
        noticed = set()
        for case in cases(carrier):
            body = case.body.replace(b'{"', b'{"planted": 1, "', 1).replace(
                b"{\n", b'{"planted": 1,', 1
            )
            if body == case.body:
                body = case.body.replace(b"</", b"<planted/></", 1)
            looks = Looking(shape)
            with looking(looks):
                connector.outcome(case.item, Answer(case.status, {}, body))
            noticed |= {one.what.rpartition("/")[2] for one in looks.unknown}
        assert "planted" in noticed, carrier.manifest.code


def test_a_field_planted_in_a_push_is_noticed() -> None:
    pushing = [one for one in LEARNT if any(push_cases(one))]
    assert len(pushing) > 5
    for carrier in pushing:
        shape = shape_of(carrier)
        assert shape is not None
        noticed = set()
        for case in push_cases(carrier):
            body = case.body.replace(b"{", b'{"planted": 1, "language": "xx",', 1)
            looks = Looking(shape, pushed=True)
            with looking(looks):
                read_push_case(carrier, dataclasses.replace(case, body=body))
            noticed |= set(looks.unknown)
        assert Unknown("field", "push/planted") in noticed, carrier.manifest.code
        assert {one.kind for one in noticed} == {"field"}

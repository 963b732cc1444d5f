"""Each folder's shape is that of its samples, and a field planted in a sample is noticed."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from milepost.carriers.exchange import Answer
from milepost.carriers.looked_at import looking
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.samples import ReadsAnswers, cases
from milepost.carriers.shapes import Looking, is_learnt, rewrite_shape, shape_of, stale, unknown_in

LEARNT = [one for one in Catalogue.load() if is_learnt(one)]


@pytest.mark.parametrize("carrier", LEARNT, ids=lambda one: one.manifest.code)
def test_a_shape_is_that_of_the_samples(carrier: Carrier) -> None:
    # ``milepost carrier check CODE --rewrite`` writes it.
    assert not stale(carrier)
    assert list(unknown_in(carrier)) == []


def test_a_shape_that_is_not_that_of_the_samples_is_noticed(tmp_path: Path) -> None:
    carrier = next(one for one in LEARNT if b"{" in next(iter(cases(one))).body[:1])
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
    for carrier in LEARNT:
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

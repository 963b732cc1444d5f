"""Each folder's shape is that of its samples, and a field planted in a sample is noticed."""

import pytest

from milepost.carriers.exchange import Answer
from milepost.carriers.looked_at import looking
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.samples import ReadsAnswers, cases
from milepost.carriers.shapes import Looking, is_learnt, shape_of, stale, unknown_in

LEARNT = [one for one in Catalogue.load() if is_learnt(one)]


@pytest.mark.parametrize("carrier", LEARNT, ids=lambda one: one.manifest.code)
def test_a_shape_is_that_of_the_samples(carrier: Carrier) -> None:
    # ``milepost carrier check CODE --rewrite`` writes it.
    assert not stale(carrier)
    assert list(unknown_in(carrier)) == []


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

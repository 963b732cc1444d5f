"""La Poste's Suivi v2: what to ask, and with which answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from milepost.carriers.connector import Broken, Connector, Credential, Item, Outcome
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.rest_json import RestJson
from milepost.catalogue.colissimo.reading import not_found, read
from milepost.tracking.parcel import number_key

LANGUAGE = "fr_FR"
"""The language the labels are written in; the others are translations of a part of them."""


@dataclass(frozen=True)
class LaPoste(RestJson):
    """A number La Poste can't take is answered with 400 or 404, at times without a document."""

    def no_document(self, answer: Answer) -> Outcome:
        """A page instead of a 404 is one parcel's affair; any other page is everybody's."""
        if answer.status in self.unknown_statuses:
            return Broken(f"answered {answer.status} and no JSON", lane_wide=False)
        return RestJson.no_document(self, answer)


def build(manifest: Manifest) -> Connector:
    """La Poste's connector."""
    return LaPoste(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        unknown_statuses=frozenset({400, 404}),
        read_statuses=frozenset({200, 207}),
        batch=partial(batch, manifest),
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number with all its events."""
    return batch(manifest, [item], credential)


def batch(manifest: Manifest, items: Sequence[Item], credential: Credential) -> Request:
    """Up to ten numbers, which are told in a list then."""
    base = manifest.api.base_url if manifest.api else ""
    numbers = ",".join(quote(number_key(item.number), safe="") for item in items)
    return Request(
        f"{base}/{numbers}",
        query=(("lang", LANGUAGE),),
        headers={
            "X-Okapi-Key": credential.fields.get("api_key", ""),
            "Accept": "application/json",
        },
    )

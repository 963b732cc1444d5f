"""DHL's places: some divisions put the country's English name into the town."""

from milepost.carriers.answer_tree import Tree
from milepost.carriers.localities import town_and_country
from milepost.tracking.events import Place


def place_of(location: Tree) -> Place:
    """The place of an event. ``LEIPZIG - GERMANY`` is a town and a country."""
    address = location.child("address")
    town, country = town_and_country(address.text("addressLocality"))
    return Place(
        city=town,
        country_code=address.text("countryCode").upper()[:2] or country,
        postal_code=address.text("postalCode"),
        street=address.text("streetAddress"),
        depot=location.text("servicePoint", "label"),
    )

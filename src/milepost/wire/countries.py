"""Countries as the v2 API names them: two letters, three letters, English name."""

from functools import lru_cache

import pycountry


@lru_cache(maxsize=300)
def _known(code: str) -> tuple[str, str]:
    found = pycountry.countries.get(alpha_2=code) if code else None
    return ("", "") if found is None else (found.alpha_3, getattr(found, "common_name", found.name))


def country(code: str) -> dict[str, str]:
    """The object of an ISO 3166-1 alpha-2 code; of one that is none the code is all we know."""
    iso_3, name = _known(code)
    return {"iso_2": code, "iso_3": iso_3, "name": name}

"""``docs/carriers.md``: the catalogue, to read. ``python -m milepost.carriers.table`` writes it
anew; a test compares it with the catalogue.
"""

import sys
from collections import Counter
from pathlib import Path

from milepost.carriers.manifest import Feed, TrackingPage
from milepost.carriers.number_format import NumberFormat
from milepost.carriers.registry import Carrier, Catalogue

FILE = Path(__file__).parents[3] / "docs" / "carriers.md"
UNCONFIRMED = "†"
HEAD = """# Carriers

Made from the catalogue by `python -m milepost.carriers.table`; to read, not to edit.
[add-a-carrier.md](add-a-carrier.md) tells how one is added or made better.

{counts}, by what the catalogue has of them:

- **sampled**: Milepost can ask it, and reads sample answers of the form the carrier documents
  or, where its note says so, public programs read.
  Whether asking works with your login and your parcels only a check of yours can show.
- **linked**: it can't be asked yet. Its numbers are recognised where their form is known, and there
  is a page of the carrier to lead to.
- **recognised**: the code is known, and the form of its numbers where that is said.

Parcels of every code, and of codes that are not here, can be registered; what nobody asks is fed by
push, file or API. {unconfirmed} marks what nobody confirmed: it is used for suggestions, and warns
of nothing. "as `code`" means that the other carrier is asked, with its login and within its quota.
A number's check digit is in brackets; no number is refused for it.

| Code | Carrier | Countries | Quality | Asked | API | Numbers | Page | Tells by itself | Note |
|---|---|---|---|---|---|---|---|---|---|
"""


def table(catalogue: Catalogue) -> str:
    """The whole document."""
    carriers = [one for one in catalogue if not one.manifest.simulated]
    by_quality = Counter(carrier.quality for carrier in carriers)
    counts = ", ".join(f"{by_quality[name]} {name}" for name in ("sampled", "linked", "recognised"))
    head = HEAD.format(counts=f"{len(carriers)} codes: {counts}", unconfirmed=UNCONFIRMED)
    return head + "".join(f"| {' | '.join(_row(one))} |\n" for one in carriers)


def _row(carrier: Carrier) -> list[str]:
    manifest = carrier.manifest
    return [
        f"`{manifest.code}`",
        _marked(manifest.name, manifest.confidence),
        " ".join(manifest.countries),
        carrier.quality,
        _asked(carrier),
        _api(carrier),
        "<br>".join(map(_form, manifest.formats)),
        "<br>".join(map(_page, manifest.tracking_pages)),
        "<br>".join(map(_feed, manifest.feeds)),
        _text(manifest.note),
    ]


def _asked(carrier: Carrier) -> str:
    if not carrier.can_be_asked:
        return "no"
    return "yes" if carrier.answering is None else f"as `{carrier.manifest.answered_by}`"


def _api(carrier: Carrier) -> str:
    api = carrier.manifest.api
    if api is None:
        return ""
    told = [_text(api.protocol)] if api.protocol else []
    told += [f"login: {_text(api.login)}"] if api.login else []
    told += [_text(api.terms)] if api.terms else []
    if api.documentation.startswith("https://"):
        told.append(f"[documentation]({api.documentation})")
    return _marked("<br>".join(told), api.confidence)


def _form(form: NumberFormat) -> str:
    code = f"`{_text(form.pattern)}`" + (f" ({form.check})" if form.check else "")
    return _marked(code, form.confidence)


def _page(page: TrackingPage) -> str:
    only = f" ({' '.join(page.countries)})" if page.countries else ""
    return _marked(f"`{_text(page.url.removeprefix('https://'))}`{only}", page.confidence)


def _feed(feed: Feed) -> str:
    return _marked(f"{feed.kind}: {_text(feed.what)}", feed.confidence)


def _marked(text: str, confidence: str) -> str:
    return f"{text} {UNCONFIRMED}" if text and confidence == "assumed" else text


def _text(text: str) -> str:
    return text.replace("|", "\\|")


def write() -> None:
    """Write the file."""
    FILE.write_text(table(Catalogue.load()), encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")


if __name__ == "__main__":
    write()

"""A parcel as another tool told it, before anything of it is taken for ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ForeignScan:
    """One event of a history. ``statuses`` are the tool's words for it, the most exact one first;
    ``raw_code`` is the carrier's own code where the tool repeats it. ``country`` is any spelling.
    """

    stated: str
    statuses: tuple[str, ...]
    text: str = ""
    raw_code: str = ""
    city: str = ""
    country: str = ""
    postal_code: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignAddress:
    """An end of the journey, as far as the tool knew it; ``country`` is any spelling."""

    name: str = ""
    company: str = ""
    street: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class ForeignParcel:
    """One row of an export.

    ``carrier`` is the tool's slug, name or key, ``carrier_name`` a name it gives beside it.
    ``newest_first`` is the tool's habit. ``status`` and ``status_at`` are of the whole parcel.
    ``left_out`` names what held something and has no place here.
    """

    number: str
    carrier: str = ""
    carrier_name: str = ""
    scans: tuple[ForeignScan, ...] = ()
    newest_first: bool = False
    status: ForeignScan | None = None
    announced: str = ""
    ours: str = ""
    order_number: str = ""
    order_id: str = ""
    title: str = ""
    recipient: ForeignAddress = ForeignAddress()
    sender: ForeignAddress = ForeignAddress()
    expected_day: str = ""
    signed_by: str = ""
    left_out: tuple[str, ...] = ()

"""One HTTP request for one parcel, answered with XML that is no SOAP."""

from dataclasses import dataclass
from typing import ClassVar

from milepost.carriers.platforms.rest import Rest
from milepost.carriers.xml_tree import XmlTree, read_xml


@dataclass(frozen=True, slots=True)
class RestXml(Rest[XmlTree]):
    """A connector made of two functions: what to ask, and what an XML document says (see Rest)."""

    form: ClassVar[str] = "XML"

    def document(self, body: bytes) -> XmlTree:
        """The root element in ``body``. Raises CarrierParseError when it is not XML."""
        return read_xml(body)

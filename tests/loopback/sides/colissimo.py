"""La Poste's Suivi v2: a key in a header; one number gives an object, up to ten give a list."""

import json
from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door, in_batches, text


class Colissimo(Side):
    code = "colissimo"
    login: ClassVar = {"api_key": "okapi-5f2a"}
    parcels = ("delivered", "on-its-way-with-a-day")
    nobodys = "6A99999999999"

    @door("GET", "api.laposte.fr", "/suivi/v2/idships/{numbers}")
    def track(self, asked: Asked) -> Told:
        right = asked.header("X-Okapi-Key") == self.login["api_key"]
        self.wants(right, self.sample("key-refused"))
        self.spend()
        asked.must(asked.parameter("lang") == "fr_FR", "a language")
        numbers = asked.parts["numbers"].split(",")
        asked.must(in_batches(numbers, 10), "ten numbers at most")
        told = [self.about(one, self.sample("number-unknown", one)) for one in numbers]
        return told[0] if len(told) == 1 else text(207, [json.loads(one.body) for one in told])

    def over_quota(self) -> Told:
        return self.sample("too-many-questions")

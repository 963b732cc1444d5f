"""GEODIS: each question is signed: a SHA-256 over key, login, time, language, service and body."""

import time
from hashlib import sha256
from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door

SERVICE = "api/zoomclient/recherche-envoi"


class Geodis(Side):
    code = "geodis"
    login: ClassVar = {"login": "shop", "api_key": "9f1c"}
    parcels = ("delivered",)
    nobodys = "1G0000000000"

    @door("POST", "espace-client.geodis.com", f"/services/{SERVICE}")
    def track(self, asked: Asked) -> Told:
        user, moment, language, signature = (
            *asked.header("X-GEODIS-Service").split(";"),
            *[""] * 4,
        )[:4]
        key = self.login["api_key"]
        told = ";".join((key, user, moment, language, SERVICE, asked.body.decode()))
        signed = signature == sha256(told.encode()).hexdigest()
        now = moment.isdecimal() and abs(int(moment) / 1000 - time.time()) < 300
        right = user == self.login["login"] and signed and now and language in ("fr", "en")
        self.wants(right, self.sample("login-refused"))
        self.spend()
        question = asked.document()
        asked.must(set(question) == {"noSuivi"}, "a number")
        return self.about(question["noSuivi"], self.sample("number-unknown"))

"""Correos Express: HTTP Basic with a user of the web services; it asks for the customer's code."""

from typing import ClassVar

from tests.loopback.asked import Asked, Told
from tests.loopback.side import Side, door


class CorreosExpress(Side):
    code = "correos_express"
    login: ClassVar = {"username": "30000001_WS", "password": "pw"}
    more: ClassVar = {"customer_code": "30000001"}
    parcels = ("delivered-next-morning",)
    nobodys = "3230001800999999"

    @door("POST", "www.cexpr.es", "/wspsc/apiRestSeguimientoEnviosk8s/json/seguimientoEnvio")
    def track(self, asked: Asked) -> Told:
        right = asked.login() == (self.login["username"], self.login["password"])
        self.wants(right, self.sample("login-refused"))
        self.spend()
        question = asked.document()
        asked.must(
            set(question) == {"codigoCliente", "dato", "idioma"}, "customer, number, language"
        )
        its = question["codigoCliente"] == self.more["customer_code"]
        self.wants(its, self.sample("refused-question"))
        return self.about(question["dato"], self.sample("not-found"))

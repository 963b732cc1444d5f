"""The catalogue over a real server: what a form, a list and a newcomer learn of carriers."""

import json
import subprocess
from typing import Any

import pytest
from tests.contract.official import mismatches
from tests.live_server import MILEPOST, Client, Server, environment

from milepost.carriers.registry import Catalogue

V1 = "/api/milepost/v1/carriers"
CODES = [carrier.manifest.code for carrier in Catalogue.load()]


def described(client: Client, name: str) -> dict[str, Any]:
    components = client.get("/openapi.json").document["components"]
    return {"$ref": f"#/components/schemas/{name}", "components": components}


def test_the_list_has_every_carrier_in_short(client: Client) -> None:
    answer = client.get(V1)
    assert answer.status == 200
    data = answer.document["data"]
    assert [one["code"] for one in data] == CODES
    by_code = {one["code"]: one for one in data}
    assert by_code["dhl_ecommerce"]["answered_by"] == "dhl"
    assert by_code["dhl"]["quality"] == "sampled"
    assert by_code["hurby"] == {
        "code": "hurby",
        "name": "Hurby",
        "countries": ["NL"],
        "confidence": "assumed",
        "quality": "recognised",
        "is_asked": False,
        "answered_by": None,
        "is_simulated": False,
        "live_since": None,
    }
    schema = described(client, "CarrierSummary")
    assert [found for one in data for found in mismatches(schema, one)] == []


def test_each_carrier_is_as_it_is_described(client: Client) -> None:
    schema = described(client, "Carrier")
    found = {code: client.get(f"{V1}/{code}").document for code in CODES}
    assert [fault for one in found.values() for fault in mismatches(schema, one)] == []
    alias, real = found["dhl_ecommerce"], found["dhl"]
    assert alias["login"] == real["login"]
    assert alias["quota"] == real["quota"]
    assert alias["statuses"] == real["statuses"]
    assert alias["number_formats"] != real["number_formats"]
    assert found["hermes_gb"]["statuses"]["codes"]
    assert found["hermes_gb"]["login"] == {"is_needed": False, "is_given": False, "fields": []}


def test_the_health_of_a_carrier_is_as_it_is_described(client: Client) -> None:
    answer = client.get(f"{V1}/hermes_gb/health")
    assert answer.status == 200
    assert mismatches(described(client, "CarrierHealth"), answer.document) == []
    assert answer.document["state"] == "asked"
    assert answer.document["last_day"]["success_rate"] is None
    assert client.get(f"{V1}/nobody/health").status == 404
    assert client.get(f"{V1}/dhl/health?x=1").status == 422


def test_a_login_that_is_given_is_told_and_not_shown(server: Server) -> None:
    shop = server.account("carriers")
    assert shop.get(f"{V1}/dp").document["login"]["is_given"] is False
    secret = "never-to-be-seen"
    subprocess.run(
        [MILEPOST, "carrier", "credentials", "set", "dp", "--account", "carriers"],
        input=secret.encode(),
        env=environment(server.state_dir, server.port),
        check=True,
        timeout=180,
    )
    for code in ("dhl", "dp"):
        answer = shop.get(f"{V1}/{code}")
        assert answer.document["login"]["is_given"] is True
        assert secret not in json.dumps(answer.document)
    assert server.account("other carriers").get(f"{V1}/dp").document["login"]["is_given"] is False


@pytest.mark.parametrize("code", ["nobody", "DHL", "%00", "a" * 5000, "..%2Fdhl"])
def test_who_is_not_in_the_catalogue_is_not_found(client: Client, code: str) -> None:
    assert client.get(f"{V1}/{code}").status == 404


def test_a_parameter_nobody_knows_is_refused(client: Client) -> None:
    assert client.get(f"{V1}?quality=linked").status == 422
    assert client.get(f"{V1}/dhl?x=1").status == 422


def test_a_parcel_of_anothers_code_keeps_its_own_page(
    client: Client, minimal: dict[str, Any]
) -> None:
    body = minimal | {
        "tracking_number": {"carrier_code": "gls_nl", "tracking_number": "604831862623"},
        "to_address": {"country_code": "NL", "postal_code": "3511 AB"},
    }
    assert client.post("/api/v3/parcels/tracking", body).status == 200
    query = "carrier_code=gls_nl"
    told = client.get(f"/api/v2/tracking/604831862623?{query}").document
    assert told["carrier_code"] == "gls_nl"
    assert told["carrier_tracking_url"] == (
        "https://www.gls-info.nl/tracking?trackid=604831862623&zipcode=3511AB"
    )
    (parcel,) = client.get(f"/api/milepost/v1/parcels?{query}").document["data"]
    assert parcel["monitoring"]["state"] == "waiting_for_credentials"

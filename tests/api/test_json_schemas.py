"""The published schemas: files that follow the code, served to anybody, in the OpenAPI document."""

import json
import re

import jsonschema
import pytest
from tests.api.fake_api import Client, Parcels, application, started

from milepost.api.json_schemas import SAID, generated, text_of
from milepost.wire.own_schemas import COMPONENTS, FOLDER, definitions, file_of, path_of


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_file_follows_the_code(name: str) -> None:
    """Wanted? ``python -m milepost.api.json_schemas`` writes it anew, and review sees it."""
    assert (FOLDER / f"{name}.json").read_text() == text_of(generated(name))


def test_there_is_no_other_file() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(COMPONENTS)
    with pytest.raises(KeyError):
        file_of("../v1/parcel")


@pytest.mark.parametrize("name", COMPONENTS)
def test_it_is_a_schema_that_stands_alone(name: str) -> None:
    schema = json.loads(file_of(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"/schemas/v1/{name}.json"
    assert "#/components/" not in file_of(name).decode()
    assert set(schema["properties"]) == set(SAID[COMPONENTS[name]]["properties"])


def test_definitions_are_what_the_schemas_say() -> None:
    found = definitions("parcel")
    assert {"Parcel", "Event", "moment"} <= set(found)
    assert not any(key.startswith("$") for key in found["Parcel"])


async def test_they_are_served_without_credentials_and_described(parcels: Parcels) -> None:
    for docs in (True, False):
        async with started(application(parcels, docs=docs)) as app:
            nobody = Client(app, None)
            for name in COMPONENTS:
                got = await nobody.get(path_of(name))
                assert (got.status, got.body) == (200, file_of(name))
                assert got.headers["content-type"] == "application/schema+json"
            assert (await nobody.get("/schemas/v1/secret.json")).status == 404
            if docs:
                paths = (await nobody.get("/openapi.json")).document["paths"]
                assert all(paths[path_of(name)]["get"]["security"] == [] for name in COMPONENTS)


async def test_every_reference_in_the_openapi_document_leads_somewhere(parcels: Parcels) -> None:
    async with started(application(parcels)) as app:
        document = (await Client(app, None).get("/openapi.json")).document
    meant = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert meant - set(document["components"]["schemas"]) == set()
    assert len(meant) > 10

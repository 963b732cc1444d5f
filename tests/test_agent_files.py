"""What we hand to agents besides the tools names only what there is: the skill, the capability."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from milepost.api.app import build_api
from milepost.api.openapi import describe
from milepost.mcp.tools import TOOLS
from milepost.settings import Settings
from milepost.wire.own_schemas import definitions

DOCS = Path(__file__).parent.parent / "docs"
SKILL = DOCS / "skills" / "milepost" / "SKILL.md"
CAPABILITY = DOCS / "milepost.capability.yml"
KEBAB = re.compile(r"[A-Za-z0-9-]+")


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    core = SimpleNamespace(
        reader=None, pool=None, secret_keys=None, settings=Settings(), registrar=None
    )
    parts: Any = SimpleNamespace(core=core, gatekeeper=None, budgets=None)
    return describe(build_api(parts, Settings()))


# The skill -------------------------------------------------------------------------------------


def skill() -> tuple[dict[str, str], str]:
    _, frontmatter, body = SKILL.read_text().split("---\n", 2)
    return yaml.safe_load(frontmatter), body


def test_the_frontmatter_keeps_the_limits_of_the_format() -> None:
    frontmatter, body = skill()
    assert set(frontmatter) <= {"name", "description", "license", "compatibility", "metadata"}
    assert frontmatter["name"] == SKILL.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", frontmatter["name"])
    assert len(frontmatter["name"]) <= 64
    assert 1 <= len(frontmatter["description"]) <= 1024
    assert len(frontmatter["compatibility"]) <= 500
    assert len(body.splitlines()) < 500


def test_the_skill_names_only_what_there_is(openapi: dict[str, Any]) -> None:
    body = skill()[1]
    arguments = {name for tool in TOOLS.values() for name in tool.takes.model_fields}
    named = set(re.findall(r"`([a-z]+_(?:parcels?|number))`", body))
    assert named - arguments == set(TOOLS)
    paths = {path.replace("{parcel_id}", "PARCEL_ID") for path in openapi["paths"]}
    paths = {path.replace("{tracking_number}", "NUMBER") for path in paths} | {"/openapi.json"}
    told = {path.rstrip("`.,") for path in re.findall(r"\$URL(/[^\s\"`]+)", body)}
    assert told
    assert told <= paths
    results = {name for tool in TOOLS.values() for name in tool.gives["properties"]}
    said = {
        name
        for schema in definitions("parcel", "explanation").values()
        for name in schema.get("properties", {})
    }
    words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", body)) - set(TOOLS)
    assert words - arguments - results - said == {"never_checked", "not_watched", "not_found"}


# The capability --------------------------------------------------------------------------------


def capability() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load(CAPABILITY.read_text())["capability"]
    return made


def consumed() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation, of each request it would make."""
    for adapter in capability()["consumes"]:
        for resource in adapter["resources"]:
            for operation in resource["operations"]:
                path = re.sub(r"\{\{(\w+)\}\}", r"{\1}", resource["path"])
                yield path, operation["method"].lower(), operation


def test_the_capability_asks_only_for_what_openapi_has(openapi: dict[str, Any]) -> None:
    for path, method, operation in consumed():
        described = openapi["paths"][path][method]
        known = {(one["name"], one["in"]) for one in described.get("parameters", ())}
        given = {(one["name"], one["in"]) for one in operation.get("inputParameters", ())}
        assert given <= known, path
        assert {name for name, place in known if place == "path"} == set(
            re.findall(r"\{(\w+)\}", path)
        )


def test_the_capability_registers_with_all_that_is_required(openapi: dict[str, Any]) -> None:
    (sent,) = [one["body"]["data"] for *_, one in consumed() if one["name"] == "register-parcel"]
    schema = openapi["components"]["schemas"]["Registration"]
    assert set(schema["required"]) <= set(sent)
    assert set(sent) <= set(schema["properties"])
    (tool,) = [one for one in tools() if one["call"] == "milepost.register-parcel"]
    assert set(re.findall(r"\{\{(\w+)\}\}", str(sent))) == set(tool["with"])


def tools() -> list[dict[str, Any]]:
    (door,) = capability()["exposes"]
    return [{"call": "", **tool} for tool in door["tools"]]


def test_every_tool_of_the_capability_hangs_together() -> None:
    (door,) = capability()["exposes"]
    operations = {f"milepost.{operation['name']}" for _, _, operation in consumed()}
    assert {tool["name"].replace("-", "_") for tool in tools()} == set(TOOLS)
    for tool in tools():
        assert KEBAB.fullmatch(tool["name"])
        inputs = {one["name"] for one in tool["inputParameters"]}
        steps = tool.get("steps", [tool])
        earlier: set[str] = set()
        for step in steps:
            assert step["call"] in operations
            for value in step["with"].values():
                prefix, name = value.removeprefix("$.").split(".", 1)
                assert (prefix == door["namespace"] and name in inputs) or prefix in earlier
            earlier.add(step["name"])
    secrets = {name for bind in capability()["binds"] for name in bind["keys"]}
    (adapter,) = capability()["consumes"]
    used = re.findall(r"\{\{(\w+)\}\}", str(adapter["authentication"]))
    assert set(used) == secrets


def test_the_capability_reads_only_what_is_said(openapi: dict[str, Any]) -> None:
    answers = openapi["components"]["schemas"]
    forms = {
        "register-parcel": answers["RegisteredParcel"],
        "find-parcel": answers["V2Tracking"],
        "get-parcel": answers["Parcel"],
        "explain-parcel": answers["Explanation"],
        "recognise-number": {
            "properties": answers["Recognition"]["properties"] | answers["Candidate"]["properties"]
        },
    }
    text = CAPABILITY.read_text()
    for step, name in re.findall(r"\$\.([a-z]+-parcel)\.(\w+)", text):
        assert name in forms[step]["properties"], (step, name)
    for tool in tools():
        form = forms.get(tool["call"].removeprefix("milepost."))
        if form is None:
            continue
        for name in re.findall(r"\$\.(\w+)", str(tool["outputParameters"])):
            assert name in form["properties"], (tool["name"], name)

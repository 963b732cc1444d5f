"""Dashboard, alarms and docs use only metrics that exist; every alarm says what to do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import REGISTRY

from milepost import metrics, observe
from milepost.cli.metrics_gauges import GAUGES

DOCS = Path(__file__).parent.parent / "docs"
NAME = re.compile(r"\bmilepost_(?!app\b|worker\b|admin\b)[a-z_]+\b")
assert metrics, observe  # they register what they count


def every_metric() -> set[str]:
    """The names Prometheus sees, those of a histogram's parts included."""
    suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}
    counted = {
        family.name + suffix
        for family in REGISTRY.collect()
        if family.name.startswith("milepost_")
        for suffix in suffixes.get(family.type, ("",))
    }
    return counted | set(GAUGES)


def rules(text: str) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load(text)["groups"]:
        yield from group["rules"]


def unknown(expressions: list[str]) -> set[str]:
    return {name for one in expressions for name in NAME.findall(one)} - every_metric()


def alarms() -> list[dict[str, Any]]:
    return list(rules((DOCS / "alerts.yml").read_text()))


def panels() -> list[str]:
    board = json.loads((DOCS / "grafana" / "milepost.json").read_text())
    return [one["expr"] for panel in board["panels"] for one in panel.get("targets", ())]


def test_alarms_ask_for_metrics_that_exist() -> None:
    assert unknown([rule["expr"] for rule in alarms()]) == set()
    assert unknown(["max(milepost_no_such_thing) > 1"]) == {"milepost_no_such_thing"}


def test_the_dashboard_shows_metrics_that_exist_and_all_of_them() -> None:
    assert unknown(panels()) == set()
    shown = {name for expression in panels() for name in NAME.findall(expression)}
    told = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}
    assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in every_metric()} == told


def test_every_alarm_has_a_line_that_says_what_to_do() -> None:
    told = re.findall(r"^\| `(Milepost\w+)` \|", (DOCS / "operating.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(rule["alert"] for rule in alarms())


def test_alarms_are_well_formed() -> None:
    for rule in alarms():
        assert rule["expr"].count("(") == rule["expr"].count(")"), rule
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
        seconds = re.fullmatch(r"(\d+)([sm])", rule.get("for", "0s"))
        assert seconds, rule


def test_docs_name_metrics_that_exist() -> None:
    assert unknown([(DOCS / "operating.md").read_text()]) == set()

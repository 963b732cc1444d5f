"""``milepost carrier check``: manifests, test numbers and golden samples."""

from typing import Annotated

import typer

from milepost.carriers.faults import faults_of
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.samples import cases, read_case, rewrite
from milepost.carriers.shapes import is_learnt, rewrite_shape, stale
from milepost.cli.administer import AsJson, print_json, print_table
from milepost.cli.carrier_logins import known_carrier
from milepost.cli.carrier_pushes import checks_of_pushes


def check(
    code: Annotated[str, typer.Argument(help="Carrier code; all when left out.")] = "",
    rewrite_samples: Annotated[
        bool, typer.Option("--rewrite", help="Expect from now on what is read now.")
    ] = False,
    everyone: Annotated[
        bool, typer.Option("--all", help="Every carrier, as without a code.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check manifests, test numbers and golden samples; exit code 1 when one is not right."""
    if code and everyone:
        raise typer.BadParameter("give either a code or --all")
    carriers = [known_carrier(code)] if code else list(Catalogue.load())
    rows = [row for carrier in carriers for row in checks_of(carrier, rewrite_samples)]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, "There is nothing to check.")
    if any(row["result"] == "WRONG" for row in rows):
        raise typer.Exit(1)


def checks_of(carrier: Carrier, rewriting: bool) -> list[dict[str, str]]:
    """What was checked of a carrier and how it went."""
    code = carrier.manifest.code
    rows = [{"carrier": code, "checked": fault, "result": "WRONG"} for fault in faults_of(carrier)]
    if not rows:
        rows.append({"carrier": code, "checked": "manifest", "result": "right"})
    for case in cases(carrier):
        told = read_case(carrier, case)
        result = "right" if told == case.expected else "WRONG"
        if rewriting and told != case.expected:
            rewrite(case, told)
            result = "rewritten"
        rows.append({"carrier": code, "checked": case.name, "result": result})
    rows += checks_of_pushes(carrier, rewriting)
    if is_learnt(carrier):
        result = "right"
        if stale(carrier):
            result = "rewritten" if rewriting else "WRONG"
            if rewriting:
                rewrite_shape(carrier)
        rows.append({"carrier": code, "checked": "shape of answers", "result": result})
    return rows

"""``milepost doctor``: is it well, and what is to be done where it is not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import typer
from pydantic import ValidationError

from milepost import settings
from milepost.carriers.mappings import Mappings
from milepost.carriers.registry import Catalogue
from milepost.checkup import machine
from milepost.checkup.database_checks import judge_database
from milepost.checkup.standing import Standing, read_standing
from milepost.checkup.verdict import Grade, Verdict, fault, well
from milepost.checkup.work_checks import judge_work
from milepost.cli.addresses import check_door
from milepost.cli.administer import AsJson, print_json
from milepost.db.cluster import has_database
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.pool import DRIVER_ERRORS
from milepost.egress.policy import Policy
from milepost.errors import ConfigurationError
from milepost.notifications.mail_server import MailServer
from milepost.notifications.terms import Terms
from milepost.settings import Settings

SIGNS = {Grade.OK: "ok     ", Grade.WARNING: "warning", Grade.FAULT: "FAULT  "}


def add_to(app: typer.Typer) -> None:
    """Make ``doctor`` a command of ``app``."""
    app.command("doctor")(doctor)


def doctor(as_json: AsJson = False) -> None:
    """Look at everything: settings, key, database, disk, lateness. Fails where there is a fault."""
    verdicts = asyncio.run(examine())
    faults = [one for one in verdicts if one.grade is Grade.FAULT]
    if as_json:
        print_json({"well": not faults, "checks": verdicts})
    else:
        for one in verdicts:
            typer.echo(f"{SIGNS[one.grade]}  {one.check}: {one.text}")
            if one.todo:
                typer.echo(f"         -> {one.todo}")
    raise typer.Exit(1 if faults else 0)


async def examine() -> list[Verdict]:
    """Every check, in the order in which one would repair."""
    unknown = list(machine.unknown_settings(settings.unknown_variables()))
    try:
        chosen = settings.load()
    except ValidationError as error:
        return [*machine.settings_faults(error), *unknown]
    there_is_one = chosen.database_url is not None or has_database(chosen.state_dir)
    verdicts = [_door(chosen), *_telling(chosen), *_mappings(chosen), *unknown]
    verdicts += map(machine.judge_file, machine.read_files(chosen))
    verdicts.append(machine.judge_disk(machine.read_disk(chosen.state_dir)))
    standing: Standing | None = None
    if not there_is_one:
        text = f"there is none yet in {chosen.state_dir}; the first start makes it"
        verdicts.append(well("database", text))
    else:
        try:
            async with _dsn(chosen) as dsn:
                standing = await read_standing(dsn, chosen)
            verdicts.append(well("database", "reachable"))
        except ValueError:
            # Its text quotes pieces of the address, which may hold a password.
            text = "MILEPOST_DATABASE_URL can't be read"
            verdicts.append(fault("database", text, "%-encode special characters in it"))
        except (ConfigurationError, TimeoutError, *DRIVER_ERRORS) as error:
            text = f"unreachable: {str(error) or type(error).__name__}"
            verdicts.append(fault("database", text, "see that PostgreSQL runs and lets us in"))
    contents = standing.contents if standing else None
    verdicts.append(machine.judge_key(chosen, contents.fingerprint if contents else None))
    if standing is not None:
        verdicts += judge_database(standing, chosen.api_processes + chosen.worker_processes)
    if contents is not None:
        verdicts += judge_work(contents)
    return verdicts


def _door(chosen: Settings) -> Verdict:
    try:
        check_door(chosen)
    except ConfigurationError as error:
        return fault("settings", str(error), "see docs/operating.md, TLS and Behind a proxy")
    return well("settings", "can be read")


def _telling(chosen: Settings) -> Iterator[Verdict]:
    """What the worker would not start with: each of these names its own setting."""
    for read in (Policy.of, Terms.of, MailServer.of):
        try:
            read(chosen)
        except ConfigurationError as error:
            todo = "correct it, see the table of settings in the README: no worker starts with it"
            yield fault("settings", str(error), todo)


def _mappings(chosen: Settings) -> Iterator[Verdict]:
    if chosen.mappings is None:
        return
    try:
        Mappings.load(chosen.mappings, Catalogue.load())
    except ConfigurationError as error:
        todo = "correct MILEPOST_MAPPINGS or its file, see docs/mappings.md: nothing starts with it"
        yield fault("mappings", str(error), todo)
    else:
        yield well("mappings", f"{chosen.mappings} can be read")


@asynccontextmanager
async def _dsn(chosen: Settings) -> AsyncIterator[str]:
    """Of the operator's server, or of the embedded one, started where it does not run."""
    if chosen.database_url is not None:
        yield chosen.database_url.get_secret_value()
        return
    embedded = EmbeddedPostgres(chosen)
    starting = asyncio.create_task(asyncio.to_thread(embedded.start))
    try:
        yield await asyncio.shield(starting)
    finally:
        await asyncio.wait({starting})
        await asyncio.to_thread(embedded.stop)

"""``milepost feed``: every row a verdict, nothing twice, whatever happens in the middle."""

import csv
import signal
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.typed import Terminal, terminal
from tests.parcels.conftest import registration

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.cli import feeding
from milepost.cli.imports import EXIT_REFUSED
from milepost.db.pool import Pool, tenant
from milepost.errors import ConfigurationError
from milepost.intake import files
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer

HEADER = "tracking_number,code,text,time,city,phase"


@pytest.fixture
def typed(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    return terminal(monkeypatch, dsn, tmp_path, [feeding])


async def register(pool: Pool, account: int, *numbers: str, carrier: str = "slowpost") -> None:
    renderer = Renderer(Catalogue.load(), CredentialStore(pool, SecretKeys((b"k" * 40,))), 30)
    registrar = Registrar(pool, renderer, datetime.now(UTC) - datetime(2025, 1, 1, tzinfo=UTC))
    ready = [registration(tracking_number=one, carrier_code=carrier) for one in numbers]
    drafts = registrar.draft(account, [await registrar.prepare(account, one) for one in ready])
    await registrar.store_drafts(account, drafts)


def sheet(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "scans.csv"
    path.write_text("\n".join([header, *rows, ""]))
    return path


def verdicts(path: Path) -> list[Sequence[str]]:
    with Path(f"{path}.verdicts.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["line", "number", "verdict", "reason", "row"]
    return sorted((cells[:4] for cells in rows), key=lambda cells: int(cells[0]))


async def events(pool: Pool, account: int) -> Counter[tuple[str, str]]:
    async with tenant(pool, account) as conn:
        rows = await conn.fetch(
            "SELECT tracking_number, raw_code FROM event JOIN parcel USING (account_id, parcel_id)"
            " WHERE event_type = 'carrier'"
        )
    return Counter((row["tracking_number"], row["raw_code"]) for row in rows)


async def test_good_rows_are_told_and_each_row_has_its_verdict(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    await register(app_pool, account, "A1", "B2")
    file = sheet(
        tmp_path,
        "A1,X,Left,2026-03-02T09:00,Köln,in_transit",
        "a 1,Y,Came,2026-03-03T09:00,,in_transit",
        "=C3,X,Left,2026-03-02T09:00,,in_transit",
        "B2,X,Left,soon,,in_transit",
        "A1,X,Left,2026-03-02T09:00,Köln,in_transit",
    )
    summary = await typed.told("feed", str(file), "--carrier", "SlowPost", code=EXIT_REFUSED)
    counts = {"rows": 5, "told": 3, "refused": 2, "done_before": 0, "parcels": 1, "new_events": 2}
    assert counts.items() <= summary.items()
    assert verdicts(file) == [
        ["2", "A1", "told", ""],
        ["3", "a 1", "told", ""],
        ["4", "'=C3", "refused", "no parcel of this account has this number at this carrier"],
        ["5", "B2", "refused", "not a time: 'soon'"],
        ["6", "A1", "told", ""],
    ]
    assert await events(app_pool, account) == {("A1", "X"): 1, ("A1", "Y"): 1}


async def test_a_second_run_tells_nothing_twice_and_tries_again_what_was_refused(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    await register(app_pool, account, "A1")
    file = sheet(
        tmp_path, "A1,X,,2026-03-02T09:00,,in_transit", "B2,X,,2026-03-02T09:00,,in_transit"
    )
    words = ("feed", str(file), "--carrier", "slowpost")
    await typed.told(*words, code=EXIT_REFUSED)
    await register(app_pool, account, "B2")
    summary = await typed.told(*words)
    assert {"told": 1, "refused": 0, "done_before": 1, "new_events": 1}.items() <= summary.items()
    assert [cells[2] for cells in verdicts(file)] == ["told", "told"]
    # Without verdicts to go on from, the timeline knows.
    Path(f"{file}.verdicts.csv").unlink()
    summary = await typed.told(*words)
    assert {"told": 2, "refused": 0, "new_events": 0}.items() <= summary.items()
    assert await events(app_pool, account) == {("A1", "X"): 1, ("B2", "X"): 1}


async def test_killed_in_the_middle_it_goes_on_from_there(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    await register(app_pool, account, "A1")
    rows = 2 * files.CHUNK + 10
    codes = [f"A1,X,,2026-03-02T09:{place // 1000:02},,in_transit" for place in range(rows)]
    file = sheet(tmp_path, *codes)
    words = ("feed", str(file), "--carrier", "slowpost")
    killed = await typed.process(*words, MILEPOST_FAILPOINT="feed.before_verdicts:2")
    assert killed.returncode == -signal.SIGKILL
    assert not Path(f"{file}.verdicts.csv").exists()
    summary = await typed.told(*words)
    # The second chunk was stored, and not all of it had its verdict yet.
    assert files.CHUNK <= summary["done_before"] < 2 * files.CHUNK
    assert summary["told"] == rows - summary["done_before"]
    told = await events(app_pool, account)
    assert told == {("A1", "X"): len(set(codes))}


async def test_iftsta_of_a_carrier_we_have_no_folder_of(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    await register(app_pool, account, "CONS1", "00340434161094015902")
    parts = [
        "UNB+UNOC:3+CARRIER+SHOP+260105:0900+REF",
        "UNH+1+IFTSTA:D:01B:UN",
        "CNI+1+CONS1",
        "STS+1+13",
        "DTM+334:202603020830:203",
        "STS+1+21",
        "DTM+334:202603030830:203",
        "GIN+BJ+00340434161094015902+00340434161094015919",
        "UNT+8+1",
        "UNH+2+IFTSTA:D:01B:UN",
        "CNI+1+CONS1",
    ]
    file = tmp_path / "status.edi"
    file.write_bytes("".join(f"{one}'" for one in parts).encode())
    words = ("feed", str(file), "--carrier", "slowpost")
    summary = await typed.told(*words, code=EXIT_REFUSED)
    counts = {"rows": 5, "told": 3, "refused": 2, "new_events": 3}
    assert counts.items() <= summary.items()
    assert "cut off" in summary["ended"]
    # The second piece has no parcel of its own: the consignment's has it.
    assert await events(app_pool, account) == {
        ("CONS1", "IFTSTA 13"): 1,
        ("CONS1", "IFTSTA 21"): 1,
        ("00340434161094015902", "IFTSTA 21"): 1,
    }


async def test_standard_input(
    typed: Terminal, tmp_path: Path, account: int, app_pool: Pool
) -> None:
    await register(app_pool, account, "A1")
    told = tmp_path / "told.csv"
    data = "number;time;phase\nA1;2026-03-02;delivered\n".encode("utf-16")
    words = ("feed", "-", "--carrier", "slowpost", "--verdicts", str(told))
    assert (await typed.told(*words, typed=data))["new_events"] == 1
    assert told.exists()


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("content", "words", "why"),
    [
        ("a,b\n1,2", (), "names no column tracking_number"),
        ("PK\x03\x04", (), "it is ZIP"),
        (HEADER, ("--encoding", "ebcdic-9"), "there is no encoding"),
        (HEADER, ("--carrier", "no such"), "is no carrier code"),
    ],
)
async def test_what_the_operator_got_wrong_is_one_line(
    typed: Terminal, tmp_path: Path, content: str, words: tuple[str, ...], why: str
) -> None:
    file = sheet(tmp_path, header=content)
    given = words if "--carrier" in words else ("--carrier", "slowpost", *words)
    with pytest.raises(ConfigurationError, match=why):
        await typed.result("feed", str(file), *given)

"""``milepost carrier health`` and ``drift``, as an operator types them."""

import json

from tests.cli.test_carriers import Shell, shell

from milepost.carriers.answer_shape import Unknown
from milepost.db.pool import Pool
from milepost.monitoring.drift import Drifts
from milepost.parcels.carrier_hours import CarrierHours

assert shell, "the fixture"


async def test_drift_is_shown_until_it_is_accepted(
    shell: Shell, worker_pool: Pool, account: int
) -> None:
    nothing = await shell.run("carrier", "drift", "dhl")
    assert "nothing unknown" in nothing.stdout
    unknown = {Unknown("field", "shipments/colour"): 1, Unknown("language", "tlh"): 1}
    await Drifts(worker_pool).note("dhl", unknown)
    hours = CarrierHours()
    hours.checked(account, "dhl", ["found", "found", "found", "broken"])
    await hours.keep(worker_pool)
    told = await shell.run("carrier", "health", "dhl")
    assert told.exit_code == 0
    assert "75.0 %" in told.stdout
    assert "shipments/colour" in told.stdout
    document = json.loads((await shell.run("carrier", "health", "dhl", "--json")).stdout)
    assert document["last_hour"]["outcomes"]["broken"] == 1
    # Whoever is asked as DHL gets DHL's answers.
    rows = json.loads((await shell.run("carrier", "drift", "dhl_ecommerce", "--json")).stdout)
    assert {row["what"] for row in rows} == {"shipments/colour", "tlh"}
    accepted = await shell.run("carrier", "drift", "dhl", "tlh", "--accept", "--json")
    assert json.loads(accepted.stdout) == {"carrier": "dhl", "accepted": 1}
    rows = json.loads((await shell.run("carrier", "drift", "dhl", "--json")).stdout)
    assert [row["what"] for row in rows] == ["shipments/colour"]
    await shell.run("carrier", "drift", "dhl", "--accept")
    assert "nothing unknown" in (await shell.run("carrier", "drift", "dhl")).stdout

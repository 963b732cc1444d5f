"""POST beside pgbench doing the same statements."""

from functools import partial
from statistics import median

from bench import pgbench
from bench.capture import TRIES, fewest, noting, script
from bench.clones import registered, registration
from bench.house import Database, Merchant, Server, api_server, head
from bench.load import Order
from bench.rows import Row, paired
from bench.run import Filled, Run
from milepost import wiring

PATH = "/api/v3/parcels/tracking"


def registering(server: Server, merchant: Merchant, first: int, seconds: float) -> Order:
    """Registrations, numbered from ``first`` on."""
    start = head("POST", PATH, merchant, content_type="application/json")
    return Order(server.port, start, registration("{number}"), first, seconds=seconds)


async def rows(run: Run, main: Filled) -> list[Row]:
    """What a registration costs in all processes, beside its statements alone."""
    run.say("POST v3 beside pgbench")
    commands = await _script(main.database, main.merchant)
    ours, theirs, rates, limits = [], [], [], []
    with api_server(main.database) as api:
        # What is made at first use is made before anything is measured.
        await run.loaded(registering(api, main.merchant, 110_000_000, 0.5))
        for turn in range(run.scale.pairs):
            first = 200_000_000 + turn * 20_000_000
            order = registering(api, main.merchant, first, run.scale.seconds)
            cost, report = await run.loaded(order, api.pid, run.house.postgres)
            ours.append(cost)
            rates.append(report.rate)

            async def work(first: int = first) -> int:
                return await pgbench.run(
                    run.house,
                    main.database,
                    commands,
                    clients=run.scale.clients,
                    first=first + 10_000_000,
                    span=100_000,
                    seconds=run.scale.seconds,
                )

            cost, seconds = await run.measured(work, run.house.postgres)
            theirs.append(cost)
            limits.append(1 / seconds)
    told = (
        f"{median(ours):.0f} us of CPU a request with PostgreSQL's, pgbench's statements "
        f"{median(theirs):.0f}; {median(rates):,.0f}/s, pgbench {median(limits):,.0f}/s"
    )
    return [Row("POST v3, of pgbench's speed", paired(theirs, ours), 0.5, told=told)]


async def _script(database: Database, merchant: Merchant) -> pgbench.Script:
    """What a registration sends once its account is known."""
    with noting() as noted:
        async with wiring.core_parts(database.settings, "milepost_app") as core:
            register = partial(core.registrar.register, merchant.account_id)
            numbers = [str(987_654_320 + nth) for nth in range(1 + TRIES)]
            works = [(one, partial(register, registered(one))) for one in numbers]
            sample, statements = await fewest(noted, works)
    connection = await database.connect()
    try:
        await connection.execute("SET session_replication_role = origin")
        text, values = await script(statements, connection, sample=sample)
    finally:
        await connection.close()
    return pgbench.Script(text, values)

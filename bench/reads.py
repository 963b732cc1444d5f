"""GET beside a bare app on the same server: cost, tail, memory."""

from dataclasses import replace
from statistics import median

from bench.clones import NUMBER
from bench.cpu import peak_megabytes
from bench.house import Merchant, Server, api_server, bare_server, head
from bench.load import Order
from bench.rows import Row, paired
from bench.run import Filled, Run

V3 = "/api/v3/parcels/tracking/" + NUMBER + "{number}"
V2 = "/api/v2/tracking/" + NUMBER + "{number}"


def look_up(server: Server, path: str, merchant: Merchant, parcels: int, seconds: float) -> Order:
    """Look-ups of numbers drawn uniformly."""
    return Order(server.port, head("GET", path, merchant), many=parcels, seconds=seconds)


async def rows(run: Run, main: Filled) -> list[Row]:
    """Both look-ups, the tail at half of the maximum rate, and what the process needs."""
    with api_server(main.database) as api:
        size = len((await run.load(_order(run, api, V3, main, 0.5))).example)
        with bare_server(size) as bare:
            run.say(f"GET v3 and v2 beside a bare app that answers {size:,} constant bytes")
            found = await run.each({"GET": lambda: _costs(run, main, api, bare)})
        run.say("GET at half of the maximum rate")
        found += await run.each({"GET p99": lambda: _tail(run, main, api)})
        memory = peak_megabytes(api.worker)
        return [*found, Row("memory of an API process", memory, 150, "MB", at_most=True)]


def _order(run: Run, server: Server, path: str, main: Filled, seconds: float = 0.0) -> Order:
    return look_up(server, path, main.merchant, main.parcels, seconds or run.scale.seconds)


async def _costs(run: Run, main: Filled, api: Server, bare: Server) -> list[Row]:
    arms = {"bare": (bare, V3), "v3": (api, V3), "v2": (api, V2)}
    costs: dict[str, list[float]] = {name: [] for name in arms}
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(run.scale.pairs):
        for name, (server, path) in arms.items():
            order = replace(_order(run, server, path, main), seed=turn)
            cost, report = await run.loaded(order, server.pid)
            costs[name].append(cost)
            rates[name].append(report.rate)
    return [
        Row(
            f"GET {name}, of a bare app's speed",
            paired(costs["bare"], costs[name]),
            limit,
            told=f"{median(costs[name]):.0f} us of CPU a request, bare {median(costs['bare']):.0f};"
            f" {median(rates[name]):,.0f}/s, bare {median(rates['bare']):,.0f}/s",
        )
        for name, limit in (("v3", 0.4), ("v2", 0.25))
    ]


async def _tail(run: Run, main: Filled, api: Server) -> list[Row]:
    """The middle one of several windows: one hiccup of the machine is not the server's tail."""
    most = (await run.load(_order(run, api, V3, main))).rate
    windows = []
    for turn in range(run.scale.pairs):
        order = replace(_order(run, api, V3, main), seed=turn, rate=most / 2)
        windows.append(await run.load(order))
    middle = sorted(windows, key=lambda one: one.p99 / one.p50)[len(windows) // 2]
    told = f"p50 {middle.p50:.2f} ms, p99 {middle.p99:.2f} ms at {most / 2:,.0f}/s"
    return [Row("GET p99 at half speed, of its p50", middle.p99 / middle.p50, 6, "x", True, told)]

"""A carrier that speaks the sandbox's interface and costs little: ``python -m bench.carrier PORT``.

``/told`` says how many questions about numbers there were, ``/count`` counts anew,
``/slow/SECONDS`` makes it take its time from now on.
"""

import asyncio
import re
import sys

import orjson
import uvloop

from bench.clones import NUMBER

BASE_EVENTS = 4
NEWS_IN = 10
"""Of so many numbers one has a new event."""
_NUMBER = re.compile(NUMBER.encode() + rb"([0-9]{9})")


def answer(number: int, *, news: bool) -> bytes:
    """What is told about a number."""
    events = [
        {
            "code": "SORTED" if hour else "ACCEPTED",
            "text": f"Parcel was processed in parcel center {hour}",
            "time": f"2026-11-20T{8 + hour:02}:15:00+01:00",
            "city": "Utrecht",
            "country": "NL",
            "postal_code": "3542 AD",
            "service_point": "",
        }
        for hour in range(BASE_EVENTS + news)
    ]
    told = {
        "number": f"{NUMBER}{number:09}",
        "now": "2026-11-20T20:00:00.000Z",
        "estimated_delivery": None,
        "signed_by": "",
        "events": events,
    }
    return orjson.dumps(told)


_MARK = f"{NUMBER}{0:09}".encode()
_TOLD = tuple(answer(0, news=news) for news in (False, True))


class Carrier:
    """What it was asked, over all connections."""

    def __init__(self) -> None:
        self.asked = 0
        self.slow = 0.0

    def body(self, request: bytes) -> bytes:
        """The answer to a request's head."""
        path = request.partition(b" ")[2].partition(b" ")[0]
        if path.startswith(b"/slow/"):
            self.slow = float(path[6:])
            return b"{}"
        if path in (b"/told", b"/count"):
            told = orjson.dumps({"asked": self.asked})
            self.asked = 0 if path == b"/count" else self.asked
            return told
        found = _NUMBER.search(path)
        if found is None:
            return b"{}"
        self.asked += 1
        number = int(found[1])
        told = _TOLD[number > 0 and number % NEWS_IN == 0]
        return told.replace(_MARK, f"{NUMBER}{number:09}".encode())


class Exchange(asyncio.Protocol):
    """One keep-alive connection; questions have no body."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            request, _, self._received = self._received.partition(b"\r\n\r\n")
            body = self._carrier.body(request)
            if self._carrier.slow and NUMBER.encode() in request:
                loop = asyncio.get_running_loop()
                loop.call_later(self._carrier.slow, self._give, body)
            else:
                self._give(body)

    def _give(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)  # type: ignore[attr-defined]


async def _serve(port: int) -> None:
    carrier = Carrier()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(carrier), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))

"""Whatever bytes come back, there is an outcome; and TLS is that of the name."""

import asyncio
import random
import ssl
from pathlib import Path

from tests.cli.certificates import self_signed
from tests.egress.receivers import CHUNKED, HERE, OK, Reader, Receiver, Writer, receiver

from milepost.egress.client import Bounds, GuardedClient
from milepost.egress.outcomes import Answered, Failed

PIECES = [
    OK,
    CHUNKED,
    *(
        b"HTTP/1.1 ",
        b"HTTP/1.0 ",
        b"HTTP/9.9 ",
        b"100 ",
        b"101 ",
        b"204 ",
        b"200 ",
        b"999 ",
        b"-1 ",
    ),
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b"\xff\xfe", b": ", b"0\r\n\r\n"),
    *(b"Content-Length: ", b"5", b"99999999999999999999", b"Transfer-Encoding: gzip, chunked\r\n"),
    *(b"Content-Encoding: br\r\n", b"Connection: close\r\n", b"Upgrade: websocket\r\n"),
    *(
        b"Set-Cookie: \xff=;;=; expires=x; max-age=9e9\r\n",
        b"Retry-After: \xff\x80\r\n",
        b"FFFFFFFF",
    ),
    *(
        b"Location: //\x7f\r\n",
        b"Content-Type: \xed\xa0\x80; charset=\r\n",
        b"x" * 9000,
        b"a;b=c\r\n",
    ),
]


async def test_whatever_comes_there_is_an_outcome() -> None:
    dice = random.Random(14)

    async def serve(made: Receiver, reader: Reader, writer: Writer) -> None:
        await made.next(reader)
        told = b"".join(dice.choices(PIECES, k=dice.randint(1, 9)))
        if dice.random() < 0.7:
            told = b"HTTP/1.1 200 OK\r\n" + told
        writer.write(told)
        await writer.drain()

    async with receiver(serve) as made, GuardedClient(HERE, Bounds(total_seconds=5)) as client:
        outcomes = [await client.send(made.url, b"{}") for _ in range(250)]
    assert {type(one) for one in outcomes} == {Answered, Failed}
    for one in outcomes:
        # Can be stored and logged, whatever it was.
        assert all(value.isprintable() for value in getattr(one, "headers", {}).values())
        repr(one).encode()


async def test_tls_names_the_host_and_believes_no_stranger(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path))
    named: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: named.append(name)

    async def never(reader: Reader, writer: Writer) -> None:
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with GuardedClient(HERE) as client:
        outcome = await client.send(f"https://localhost:{port}/", b"{}")
    server.close()
    assert named == ["localhost"]
    assert isinstance(outcome, Failed)
    assert outcome.kind == "tls"
    assert outcome.reason.startswith("its certificate is not accepted: self")

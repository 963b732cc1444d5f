"""Where we must never call: addresses, each in several ways, spellings, and tricks with names."""

from collections.abc import Iterator
from dataclasses import dataclass, field


def words(text: str) -> list[str]:
    return text.split()


FORBIDDEN = words("""
127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1
100.100.100.200 100.127.255.254 169.254.169.254 169.254.170.2 169.254.0.1 172.16.0.1 172.31.255.254
192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.254 198.18.0.1 198.19.255.254
198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::127.0.0.1 ::10.0.0.1 ::169.254.169.254 ::ffff:127.0.0.1 ::ffff:10.0.0.1
::ffff:169.254.169.254 ::ffff:0.0.0.0 ::ffff:168.63.129.16 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1
64:ff9b::169.254.169.254 64:ff9b:1::1 64:ff9b:1::127.0.0.1 64:ff9b:1:a9fe:a9:fe00:: 100::1 2001::1
2001:0:7f00:1:0:0:5601:5601 2001:0:4136:e378:8000:63bf:80ff:fffe 2001:2::1 2001:10::1 2001:20::1
2001:db8::1 2002:7f00:1:: 2002:a00:1::1 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1 fd00::1
fd00:ec2::254 fd20:ce::254 fdff:ffff::1 fe80::1 fe80::a9fe:a9fe febf::1 fec0::1 feff::1 ff02::1
ff05::1:3 2a00:1450:4001::5efe:127.0.0.1 2a00:1450:4001::200:5efe:10.0.0.1 4000::1 8000::1 e000::1
""")

PUBLIC = words("93.184.216.34 8.8.8.8 2606:4700::1111 2a00:1450:4001::1")
PUBLIC_INSIDE = words("::ffff:8.8.8.8 64:ff9b::8.8.8.8")
"""Wrapped, and rightly called: what IPv4 is to a network that has IPv6 alone."""

SPELLINGS = words("""
http://127.1:{port}/ http://127.0.1:{port}/ http://2130706433:{port}/ http://0x7f000001:{port}/
http://0x7f.1:{port}/ http://0x7f.0x0.0x0.0x1:{port}/ http://0177.0.0.1:{port}/
http://017700000001:{port}/ http://127.0.0.01:{port}/ http://0:{port}/ http://0x0:{port}/
http://127.0.0.1.:{port}/ http://127.0.0.1..:{port}/ http://127.0.0.1%00:{port}/
http://127.0.0.1%2f:{port}/ http://%31%32%37.0.0.1:{port}/ http://１２７.0.0.1:{port}/
http://127。0。0。1:{port}/ http://127．0．0．1:{port}/ http://①②⑦.⓪.⓪.①:{port}/
http://０x7f.1:{port}/ http://２１３０７０６４３３:{port}/ http://127.0.0.1:０８０/
http://256.256.256.256:{port}/ http://1.2.3.4.5:{port}/ http://127.0.0.257:{port}/
http://[::1%25lo]:{port}/ http://[::1%lo]:{port}/ http://[fe80::1%251]:{port}/
http://[::ffff:7f00:1]:{port}/ http://[0:0:0:0:0:0:0:1]:{port}/ http://[0000::0001]:{port}/
http://[::ffff:127.0.0.1%251]:{port}/ http://[::127.1]:{port}/ http://[127.0.0.1]:{port}/
http://[v1.a]:{port}/ http://[::1:{port}/ http://::1:{port}/ http://[]:{port}/
http://localhost:{port}/ http://LOCALHOST:{port}/ http://localhost.:{port}/
http://ⓛocalhost:{port}/ http://ｌｏｃａｌｈｏｓｔ:{port}/ http://loca%6chost:{port}/
http://a@127.0.0.1:{port}/ http://93.184.216.34@127.0.0.1:{port}/ http://a:b@127.0.0.1:{port}/
http://127.0.0.1:{port}@93.184.216.34/ http://@127.0.0.1:{port}/ http://:@127.0.0.1:{port}/
http://93.184.216.34＠127.0.0.1:{port}/ http://93.184.216.34\\@127.0.0.1:{port}/
http://127.0.0.1\\@93.184.216.34:{port}/ http:\\\\127.0.0.1:{port}/ http:/127.0.0.1:{port}/
http:127.0.0.1:{port}/ //127.0.0.1:{port}/ 127.0.0.1:{port} ftp://127.0.0.1:{port}/
file:///etc/passwd gopher://127.0.0.1:{port}/ unix:///run/docker.sock ws://127.0.0.1:{port}/
tcp://127.0.0.1:{port}/ javascript:0 data:,x https:// http:// http:///x http://?x http://#x
http://93.184.216.34:22/ http://93.184.216.34:0/ http://93.184.216.34:65536/
http://93.184.216.34:-1/ http://93.184.216.34:80:81/ http://93.184.216.34:6379/
http://.:{port}/ http://..:{port}/ http://-:22/
""")
BLANKS = [
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/ ",
    "http:// 127.0.0.1:{port}/",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1:{port}/\r\nX: y",
    "http://127.0.0.1:{port}/\x00",
    "http://\u200b127.0.0.1:{port}/",
    "http://127.0.0.1\u00ad:{port}/",
    "http://127.0.0.1:{port}/" + "x" * 3000,
    "http://" + "a" * 64 + ".test:{port}/",
    "http://" + "a." * 130 + "test:{port}/",
    "",
    "\ufeffhttp://127.0.0.1:{port}/",
]


@dataclass(frozen=True, slots=True)
class Vector:
    """A URL, and what its name is answered with: at one look-up, at the next, and so on."""

    url: str
    answers: list[list[str]] = field(default_factory=list)


def literal(address: str) -> str:
    return f"http://{f'[{address}]' if ':' in address else address}:{{port}}/hook"


def vectors() -> Iterator[Vector]:
    """All that must not be called."""
    for number, address in enumerate(FORBIDDEN):
        public = PUBLIC[number % len(PUBLIC)]
        yield Vector(literal(address))
        yield Vector(f"http://a{number}.test:{{port}}/", [[address]])
        yield Vector(f"https://first{number}.test:{{port}}/", [[address, public]])
        yield Vector(f"http://last{number}.test.:{{port}}/", [[public, address]])
    for zoned in ("fe80::1%2", "::1%1", "fd00::1%eth0", "2606:4700::1111%2"):
        yield Vector(f"http://zoned{len(zoned)}.test:{{port}}/", [[zoned]])
    yield from map(Vector, SPELLINGS + BLANKS)


def rebinding() -> Iterator[Vector]:
    """Names that are public when they are judged, and something else the moment after."""
    for number, address in enumerate([*FORBIDDEN[:12], "::1", "::ffff:127.0.0.1", "fd00:ec2::254"]):
        yield Vector(f"http://turns{number}.test:{{port}}/", [[PUBLIC[0]], [address]])


def called() -> Iterator[Vector]:
    """What is called indeed: that nothing else is would prove little without these."""
    for number, address in enumerate(PUBLIC + PUBLIC_INSIDE):
        yield Vector(literal(address))
        yield Vector(f"http://public{number}.test:{{port}}/", [[address]])

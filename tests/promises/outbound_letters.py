"""Letters to recipients whose addresses lead inside."""

from typing import Any

from tests.notifications.mail_town import (
    SOON,
    Post,
    PostOffice,
    delivered,
    post_office,
    server_of,
    settings_for,
    writing,
)
from tests.promises.outbound import names
from tests.promises.telling import KEYS, open_town

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.notifications.mail_client import MailClient

DOMAINS = (
    *("127.0.0.1", "[127.0.0.1]", "localhost", "169.254.169.254"),
    *("inside.test", "shop.test", "metadata.google.internal", "127.0.0.1.test"),
)
"""Of recipients; to half of them a letter can be written."""


async def by_letters(pool: Pool, account: int, connected: list[tuple[str, int]]) -> dict[str, Any]:
    """Letters to recipients whose domains lead inside: only the operator's server is called.

    ``connected`` is filled by whoever watches.
    """
    town = open_town(pool, Catalogue.load(), account)
    await writing(town, reply_to="ada@inside.test")
    names["inside.test"] = [["10.0.0.1"]]
    for number, domain in enumerate(DOMAINS):
        to = {"name": "Ada", "country_code": "NL", "email": f"ada@{domain}"}
        await delivered(town, to=to, source_id=f"letter {number}")
    async with post_office(PostOffice()) as office:
        connected.clear()
        async with MailClient(server_of(office), rest=0.0) as client:
            post = Post(town, KEYS, client, settings_for(office), SOON)
            await post.go(rounds=2)
        taken = [recipient for recipient, _ in office.got]
        return {
            "letters": taken,
            "elsewhere": [one for one in connected if one != ("127.0.0.1", office.port)],
        }

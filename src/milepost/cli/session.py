"""A command's way to the database: found, checked, started if it is ours, brought up to date."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from milepost.accounts.secret_keys import SecretKeys, check_fingerprint
from milepost.db.distribute import check_complete
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.migrate import migrate
from milepost.db.pool import open_pool
from milepost.db.server import Server, server
from milepost.settings import Settings


@dataclass(frozen=True, slots=True)
class Session:
    """``settings`` name the database and the key as every part of the program wants them.

    ``watch`` restarts the embedded server if it died (it blocks, and tells whether it had to).
    """

    settings: Settings
    dsn: str
    secret_keys: SecretKeys
    watch: Callable[[], bool]


@asynccontextmanager
async def open_session(
    settings: Settings, *, whole: bool = True, make: bool = False
) -> AsyncIterator[Session]:
    """The database, migrated, and the secret keys, checked against it.

    ``whole`` refuses a database spread over machines by an older version, until ``db distribute``
    has spread what is new. ``make`` is for who may be the first here: to anybody else a place
    without Milepost is a mistyped one. Raises ConfigurationError, one line long, where something is
    missing or wrong.
    """
    async with server(settings, make=make) as found:
        keys = SecretKeys.load(settings, embedded=found.embedded)
        await migrate(found.dsn, make=make)
        if whole and not found.embedded:
            await check_complete(found.dsn)
        async with await open_pool(found.dsn, "milepost_admin", settings) as pool:
            await check_fingerprint(pool, keys)
        yield Session(with_server(settings, found), found.dsn, keys, found.watch)


@contextmanager
def join(settings: Settings) -> Iterator[Settings]:
    """For a child of a process that opened a session: one more user of the embedded server.

    When the parent was killed, the last child to end stops the server. Nothing is checked again.
    """
    if settings.database_url is not None:
        yield settings
        return
    embedded = EmbeddedPostgres(settings)
    dsn = embedded.start()
    try:
        yield with_server(settings, Server(dsn, True, embedded.ensure_running))
    finally:
        embedded.stop()


def with_server(settings: Settings, found: Server) -> Settings:
    """The settings a part of the program gets that need not know whose server it is."""
    update: dict[str, object] = {"database_url": SecretStr(found.dsn)}
    if found.embedded and settings.secret_key is None and settings.secret_key_file is None:
        update["secret_key_file"] = settings.state_dir / "secret.key"
    return settings.model_copy(update=update)

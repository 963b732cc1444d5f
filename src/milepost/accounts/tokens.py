"""Access tokens: opaque, 256 random bits, stored hashed, dead with the key they came from."""

from milepost.accounts.gatekeeper import Caller
from milepost.accounts.references import new_token
from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.statements import statements
from milepost.db.pool import Connection, Pool, retrying
from milepost.errors import NotAuthenticated

LIFETIME_SECONDS = 3600
SCOPE = "api"


async def issue(pool: Pool, keys: SecretKeys, caller: Caller) -> str:
    """A new token for the key the caller used, good for ``LIFETIME_SECONDS``.

    Raises NotAuthenticated when the key was revoked meanwhile.
    """
    token = new_token(caller.account_id)
    token_hash = keys.keyed_hash(token.encode())
    stored = await retrying(
        lambda: statements.issue_token(
            pool,
            account_id=caller.account_id,
            key_id=caller.key_id,
            token_hash=token_hash,
            scope=SCOPE,
            seconds=LIFETIME_SECONDS,
        )
    )
    if not stored:
        raise NotAuthenticated
    return token


async def purge(connection: Connection, account_id: int, *, at_most: int) -> int:
    """Forget an account's tokens that are past their time; how many. ``issue`` does so as well."""
    gone: int = await statements.purge_tokens(connection, account_id=account_id, at_most=at_most)
    return gone

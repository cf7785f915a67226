"""The bug: a claim is settled without a look at whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taskbridge_huey import redis_scripts, sqlite_claims

if TYPE_CHECKING:
    from taskbridge_huey.claim import Claim

for scripts in (redis_scripts.LIST, redis_scripts.SORTED_SET):
    scripts["settle"] = scripts["settle"].replace("if drop(KEYS[1], ARGV[1]) == 0 then return 0 end", "")


def remove(cursor: Any, worker: str, claim: Claim) -> bool:
    return True


vars(sqlite_claims)["_remove"] = remove

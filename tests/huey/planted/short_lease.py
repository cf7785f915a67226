"""Leases of 3 s, so that a test need not wait long for one to run out."""

from taskbridge_huey import claim, consumer, lease, redis_claims, sqlite_claims

claim.LEASE_SECONDS = 3.0  # type: ignore[misc]  # as it says
for module in (lease, redis_claims, sqlite_claims):
    vars(module)["LEASE_SECONDS"] = 3.0
for module in (consumer, lease):
    if vars(module)["RENEWAL_SECONDS"] < 3:
        vars(module)["RENEWAL_SECONDS"] = 0.5
lease.STALE_SECONDS = 1.5  # type: ignore[misc]  # as above

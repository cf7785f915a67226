"""The bug: a lease is taken and never renewed."""

from taskbridge_huey import lease

vars(lease)["RENEWAL_SECONDS"] = 3600.0

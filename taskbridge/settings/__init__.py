"""Settings: one model, three spellings."""

from taskbridge.settings.model import DEFAULT, BackendSettings, Settings, build
from taskbridge.settings.sentinel import SENTINEL_OPTIONS
from taskbridge.settings.sources import load
from taskbridge.settings.suggestion import did_you_mean
from taskbridge.settings.url import BackendURL, check_options, mask_url, parse_url

__all__ = [
    "DEFAULT",
    "SENTINEL_OPTIONS",
    "BackendSettings",
    "BackendURL",
    "Settings",
    "build",
    "check_options",
    "did_you_mean",
    "load",
    "mask_url",
    "parse_url",
]

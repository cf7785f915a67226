"""A pytest plugin that makes the process a Django project before its tests are imported."""

from __future__ import annotations

import django
from django.conf import settings

django.setup()
settings.DEBUG = False

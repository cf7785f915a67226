"""`taskbridge.django.Backend`: a Django project that speaks to Django's API only, on every engine."""

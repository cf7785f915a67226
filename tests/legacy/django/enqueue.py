"""`python without_taskbridge.py enqueue`: enqueue as the shop always did."""

import django
import shop

django.setup()

shop.receipt.enqueue(42, name="Zoë")
shop.report.using(priority=50).enqueue(7)
shop.parcel.using(queue_name="mail").enqueue(weight=1.5)
shop.unserialisable.enqueue()

"""`python without_taskbridge.py enqueue`: enqueue as the shop always did."""

import shop

shop.receipt.send(42, name="Zoë")
shop.receipt.send_with_options(args=(43,), kwargs={"name": "later"}, delay=300)
shop.report.send_with_options(args=(7,), max_retries=9)
shop.receipt.send_with_options(args=(44,), kwargs={"name": "too old"}, delay=200, max_age=100)

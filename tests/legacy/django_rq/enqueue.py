"""Enqueue as the shop always did: `enqueue` prints the ids, `enqueue ID...` what became of these jobs."""

import sys

import django

django.setup()

import shop  # noqa: E402 - after Django's set-up

if sys.argv[1:]:
    for job_id in sys.argv[1:]:
        result = shop.receipt.get_backend().get_result(job_id)
        print(result.status, result.errors[0].exception_class_path if result.errors else result.return_value)
else:
    print(shop.receipt.enqueue(42, name="Zoë").id)
    print(shop.report.enqueue(7).id)

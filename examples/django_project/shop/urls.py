"""Place an order, look at it; and the admin, where the jobs are to be seen."""

from django.contrib import admin
from django.urls import path
from orders.views import place, show

urlpatterns = [
    path("orders/", place),
    path("orders/<int:order_id>/", show),
    path("admin/", admin.site.urls),
]

"""Two pages: place an order, look at it."""

from django.urls import path
from orders.views import place, show

urlpatterns = [path("orders/", place), path("orders/<int:order_id>/", show)]

"""What a test plants in a worker by naming a module of this package among its imports."""

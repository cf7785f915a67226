"""A tiny Django project: its database is named by the environment."""

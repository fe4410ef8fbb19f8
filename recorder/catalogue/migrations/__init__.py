"""Alembic's environment: `env.py`, and the revisions of the schema in `versions/`."""

"""How Alembic runs the revisions: on the connection, and in the transaction, that it is given.

A new revision is a file in `versions/`, and its number `HEAD` in `database.py`.
"""

from alembic import context

from recorder.catalogue.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()

"""One table of entries, found by title and name: the schema before there were revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "lessons",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("lesson", sa.String, nullable=False),
        sa.Column("words", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("started_at", sa.Float, nullable=False),
        sa.Column("entry", sa.JSON, nullable=False),
    )
    op.create_index("ix_lessons_lesson", "lessons", ["lesson"])
    op.create_index("ix_lessons_started_at", "lessons", ["started_at"])

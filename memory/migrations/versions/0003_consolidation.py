"""Versions of concepts, what was recalled, runs of the consolidation."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Write the SQL file beside this one into the script, word for word (no bind parameters, no escapes)."""
    op.get_context().impl.static_output(Path(__file__).with_suffix(".sql").read_text())

"""The chain over what was persisted."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Write the SQL file beside this one into the script, word for word (no bind parameters, no escapes)."""
    op.get_context().impl.static_output(Path(__file__).with_suffix(".sql").read_text())

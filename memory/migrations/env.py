"""Alembic's environment: it only writes scripts; `memory.migrations.apply` runs them in a transaction of its own."""

from alembic import context

from memory.migrations import SCHEMA

context.configure(dialect_name="postgresql", version_table_schema=SCHEMA)
context.run_migrations()

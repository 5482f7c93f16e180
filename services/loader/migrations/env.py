"""Alembic's entry: runs migrations on the connection and in the transaction that services.loader.migrate holds."""

from alembic import context

_given = context.config.attributes

context.configure(
    connection=_given["connection"],
    version_table="_alembic_version",
    version_table_schema=_given["schema"],
    on_version_apply=_given["on_version_apply"],
)
context.run_migrations()

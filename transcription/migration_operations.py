"""Index changes that a filled database takes while the service writes to it.

PostgreSQL makes and drops indexes CONCURRENTLY, without the site's timeouts. SQLite changes the index alone, where
Django would copy the whole table. A migration that uses these is not atomic.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations import AddIndex, AlterField, RemoveIndex


@contextmanager
def without_timeouts(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """An index over millions of rows takes minutes, and waits for every older transaction."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        try:
            yield
        finally:
            cursor.execute("RESET statement_timeout; RESET lock_timeout")


class AddIndexLive(AddIndex):
    """AddIndex for a table that is written to. An attempt that broke off leaves an invalid index: it is made again."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        with without_timeouts(connection):
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema_editor.quote_name(self.index.name)}")
            schema_editor.add_index(model, self.index, concurrently=True)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        _drop_index(schema_editor, self.index.name)


class RemoveIndexLive(RemoveIndex):
    """RemoveIndex for a table that is written to."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        _drop_index(schema_editor, self.name)


class DropFieldIndexLive(AlterField):
    """AlterField that only takes `db_index` away; of the field's own index alone, not of its constraints."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        column = model._meta.get_field(self.name).column
        names = schema_editor._constraint_names(model, [column], index=True, unique=False)
        for name in names:
            _drop_index(schema_editor, name)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.name)
        with without_timeouts(schema_editor.connection):
            for statement in schema_editor._field_indexes_sql(model, field):
                schema_editor.execute(statement)


def _drop_index(schema_editor: Any, name: str) -> None:
    concurrently = "CONCURRENTLY " if schema_editor.connection.vendor == "postgresql" else ""
    with without_timeouts(schema_editor.connection):
        schema_editor.execute(f"DROP INDEX {concurrently}IF EXISTS {schema_editor.quote_name(name)}")

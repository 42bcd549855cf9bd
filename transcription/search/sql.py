"""The two ways to ask the full-text index: row by row, and for all rows at once.

Terms are letters and digits alone and quoted besides, so they cannot be operators in either language.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func
from django.db.models.expressions import Col, RawSQL

from transcription.search.index import Indexed
from transcription.search.words import text_has_words

# text_has_words(text, terms) of SQLite's connections.
SQLITE_FUNCTION = "text_has_words"


class TextMatches(Func):
    """Whether a row's text has a word beginning with each of terms; reads the row and no index."""

    output_field = BooleanField()

    def __init__(self, indexed: Indexed, terms: Sequence[str]) -> None:
        super().__init__(F(indexed.column))
        self.indexed = indexed
        self.terms = terms

    @property
    def identity(self) -> tuple[Any, ...]:
        return (*super().identity, self.indexed, tuple(self.terms))

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **_context: Any) -> tuple[str, tuple[Any, ...]]:
        sql, params = compiler.compile(self.source_expressions[0])
        return f"{SQLITE_FUNCTION}({sql}, %s)", (*params, " ".join(self.terms))

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper, **_context: Any) -> tuple[str, list[Any]]:
        (column,) = self.source_expressions
        assert isinstance(column, Col)  # noqa: S101 - a column of the table itself
        # The index's column lies beside the text, and no model knows of it.
        table = compiler.quote_name_unless_alias(column.alias)
        # IS TRUE keeps the index out: to read a few rows PostgreSQL would fetch every hit of the whole table from it.
        return f"({table}.{self.indexed.name} @@ %s::tsquery) IS TRUE", [_tsquery(self.terms)]


def owners_in_index(
    indexed: Indexed, column: str, terms: Sequence[str], using: str, *, also: Sequence[str] = ()
) -> RawSQL:
    """A subquery for a column (the id, a segment's session) of the rows that match, by way of the index.

    terms: what the index is asked for; also: what each row that it finds is asked for.
    """
    table, text, index = indexed
    if set(also) <= set(terms):
        also = ()
    if connections[using].vendor == "postgresql":
        # The array is made before the rest is planned. Left to itself PostgreSQL takes any beginning of a word for
        # frequent, and may read whole tables in the order of the list rather than go through the index.
        matching = f"SELECT {column} FROM {table} WHERE {index} @@ %s::tsquery"  # noqa: S608 - constants
        params = [_tsquery(terms)]
        if also:
            matching += f" AND ({index} @@ %s::tsquery) IS TRUE"
            params.append(_tsquery(also))
        sql = f"SELECT DISTINCT unnest(ARRAY({matching}))"
    else:
        sql = f"SELECT rowid FROM {index} WHERE {index} MATCH %s"  # noqa: S608 - constants
        params = [" ".join(f'"{term}"*' for term in terms)]
        if also or column != "id":
            sql = f"SELECT {column} FROM {table} WHERE id IN ({sql})"  # noqa: S608 - constants
        if also:
            sql += f" AND {SQLITE_FUNCTION}({text}, %s)"
            params.append(" ".join(also))
    return RawSQL(sql, params)  # noqa: S611 - the texts are parameters


def _tsquery(terms: Sequence[str]) -> str:
    return " & ".join(f"'{term}':*" for term in terms)


def add_sqlite_function(connection: BaseDatabaseWrapper, **_kwargs: Any) -> None:
    """Give a new connection of SQLite the function that TextMatches calls."""
    if connection.vendor == "sqlite":
        connection.connection.create_function(SQLITE_FUNCTION, 2, text_has_words, deterministic=True)

"""The vocabularies table: what was learned from the library, as opaque bytes; at most one of them is in use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from genrify_tagger.store.connect import Database, repeatable
from genrify_tagger.store.records import utc_now
from genrify_tagger.store.sql import upsert
from genrify_tagger.store.tables import VOCABULARIES


@dataclass(frozen=True)
class StoredVocabulary:
    """A learned vocabulary: its name, its content, whether it is in use, and when it was learned."""

    name: str
    content: bytes
    in_use: bool
    created_at: datetime


class Vocabularies(Database):
    """The vocabularies table."""

    @repeatable
    def save_vocabulary(self, name: str, content: bytes, *, in_use: bool) -> None:
        """Insert or replace a vocabulary; if it is in use, no other one is."""
        row = {"name": name, "content": content, "in_use": in_use, "created_at": utc_now()}
        with self.write() as connection:
            if in_use:
                connection.execute(update(VOCABULARIES).values(in_use=False))
            connection.execute(upsert(connection, VOCABULARIES), row)

    @repeatable
    def vocabularies(self) -> list[StoredVocabulary]:
        """Return all vocabularies by name."""
        with self.read() as connection:
            rows = connection.execute(select(VOCABULARIES).order_by(VOCABULARIES.c.name)).mappings()
            return [StoredVocabulary(**row) for row in rows]

    @repeatable
    def vocabulary_in_use(self) -> StoredVocabulary | None:
        """Return the vocabulary in use, if any."""
        with self.read() as connection:
            row = connection.execute(select(VOCABULARIES).where(VOCABULARIES.c.in_use)).mappings().first()
        return None if row is None else StoredVocabulary(**row)

    @repeatable
    def use_vocabulary(self, name: str | None) -> None:
        """Put one vocabulary to use, or with None none of them."""
        with self.write() as connection:
            connection.execute(update(VOCABULARIES).values(in_use=VOCABULARIES.c.name == (name or "")))

    def delete_vocabulary(self, name: str) -> bool:
        """Delete a vocabulary; return whether there was one."""
        with self.write() as connection:
            return connection.execute(delete(VOCABULARIES).where(VOCABULARIES.c.name == name)).rowcount > 0

"""Alembic's environment: runs inside the transaction that `genrify_tagger.store.migrate` has opened.

A change of the tables takes four steps: change `genrify_tagger/store/tables.py`; add the next file to `versions/`
(modelled on the last one, plain SQLAlchemy types only, so that it stays what it was); set `HEAD` in
`genrify_tagger/store/migrate.py`; run `pytest tests/test_store_migrate.py`, which compares models and migrations.
"""

from alembic import context

from genrify_tagger.store.tables import METADATA

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=METADATA,
    version_table=attributes["version_table"],
    render_as_batch=True,  # SQLite alters few things in place; Alembic rebuilds the table instead
)
with context.begin_transaction():
    context.run_migrations()

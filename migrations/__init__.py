"""The Alembic environment and its versions, run by `genrify_tagger.store`."""

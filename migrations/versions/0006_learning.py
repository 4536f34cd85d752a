"""Which artist and album a song belongs to, and vocabularies learned from the library.

Revision ID: 0006
Revises: 0005
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FILES = sa.table("files", *(sa.column(name) for name in ("path", "artist", "album", "artist_key", "album_key")))
NOBODY = ("", "various", "variousartists", "va", "unknown", "unknownartist")
BATCH = 5000


def upgrade() -> None:
    """Add the columns and the table; fill the columns from artist and album until a file is read again."""
    for name in ("artist_key", "album_key"):
        op.add_column("files", sa.Column(name, sa.Text()))
        op.create_index(f"ix_files_{name}", "files", [name])
    op.create_table(
        "vocabularies",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("in_use", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_vocabularies"),
    )
    _fill()


def _fill() -> None:
    connection = op.get_bind()
    known = sa.select(FILES.c.path, FILES.c.artist, FILES.c.album).where(FILES.c.artist.is_not(None))
    found = ((path, *_keys(artist, album or "")) for path, artist, album in connection.execute(known))
    rows = [{"b_path": path, "b_artist": artist, "b_album": album} for path, artist, album in found]
    change = (
        sa.update(FILES)
        .where(FILES.c.path == sa.bindparam("b_path"))
        .values(artist_key=sa.bindparam("b_artist"), album_key=sa.bindparam("b_album"))
    )
    for start in range(0, len(rows), BATCH):
        connection.execute(change, rows[start : start + BATCH])


def _keys(artist: str, album: str) -> tuple[str, str]:
    """Return the keys that a scan would give the song, but for what only the file says."""
    plain = [_plain(name) for name in (artist, album)]
    if plain[0] in NOBODY or not plain[1]:
        return ("" if plain[0] in NOBODY else plain[0]), ""
    return plain[0], f"{plain[0]}/{plain[1]}"


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).casefold()
    found = "".join(letter for letter in letters if letter.isalnum())
    return found.removeprefix("the") if letters.startswith("the ") else found

"""The analysis cache: the model's outputs by audio key, model and front end; about 3 KB per song."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Integer, Row, RowMapping, Select, and_, bindparam, func, literal_column, select

from genrify_tagger.analysis import Analysis, FloatArray
from genrify_tagger.store.connect import Database, repeatable
from genrify_tagger.store.sql import PAGE, in_batches, upsert
from genrify_tagger.store.tables import ANALYSES

SINGLE, HALF = np.dtype("<f4"), np.dtype("<f2")
HALF_MAX = float(np.finfo(np.float16).max)
KEY = ANALYSES.c
KEY_DIGITS = 32  # of an audio key


def as_stored(analysis: Analysis) -> Analysis:
    """Return `analysis` as `find_analysis` will return it, so that fresh and cached results are identical.

    Outputs, intervals and levels are kept as they are (float32); tags, embedding and its spread are rounded to float16.
    """
    return replace(
        analysis,
        duration=float(analysis.duration),
        intervals=_array(_packed(analysis.intervals, SINGLE), SINGLE).reshape(-1, 2),
        levels=_array(_packed(analysis.levels, SINGLE), SINGLE),
        outputs={name: np.asarray(values, np.float32) for name, values in analysis.outputs.items()},
        tags=_array(_packed(analysis.tags, HALF), HALF),
        embedding=_array(_packed(analysis.embedding, HALF), HALF),
        spread=None if analysis.spread is None else _array(_packed(analysis.spread, HALF), HALF),
    )


@dataclass(frozen=True, eq=False, slots=True)
class StoredSound:
    """What is stored of a song's sound as a whole: mean embedding, its spread over the segments, mean tags."""

    audio_key: str
    embedding: FloatArray
    spread: FloatArray
    tags: FloatArray


# built once: that takes longer than to run it
_ANALYSIS = select(ANALYSES).where(
    KEY.audio_key == bindparam("key"), KEY.model == bindparam("model"), KEY.front_end == bindparam("front_end")
)
_SOUNDS = (
    select(KEY.audio_key, KEY.embedding, KEY.spread, KEY.tags)
    .where(KEY.model == bindparam("model"), KEY.front_end == bindparam("front_end"), KEY.spread.is_not(None))
    .where(KEY.audio_key.in_(bindparam("keys", expanding=True)))
    .order_by(KEY.audio_key)
)


class Analyses(Database):
    """The analyses table."""

    @repeatable
    def find_analysis(self, audio_key: str, model: str, front_end: str) -> Analysis | None:
        """Return the analysis of a song by a model and front end; None if there is none."""
        with self.read() as connection:
            found = connection.execute(_ANALYSIS, {"key": audio_key, "model": model, "front_end": front_end})
            row = found.mappings().first()
        return None if row is None else _unpacked(row)

    @repeatable
    def save_analysis(self, audio_key: str, model: str, front_end: str, analysis: Analysis) -> None:
        """Save an analysis, rounded as by `as_stored`."""
        row = {"audio_key": audio_key, "model": model, "front_end": front_end, **_row(analysis)}
        with self.write(shared=True) as connection:
            connection.execute(upsert(connection, ANALYSES), row)

    @repeatable
    def song_keys(self, model: str, front_end: str) -> npt.NDArray[np.bytes_]:
        """Return the audio keys of all songs that `model` has analysed, sorted: joined by the database, for speed."""
        join = func.group_concat if self.is_sqlite else func.string_agg
        analysed = (KEY.model == model, KEY.front_end == front_end, func.length(KEY.audio_key) == KEY_DIGITS)
        with self.read() as connection:
            joined = connection.execute(select(join(KEY.audio_key, "")).where(*analysed)).scalar_one() or ""
        # SQLite joins them in order already; a stable sort only checks that.
        return np.sort(np.frombuffer(joined.encode("ascii"), f"S{KEY_DIGITS}"), kind="stable")

    def embeddings(
        self, model: str, front_end: str, keys: Iterable[str] | None = None
    ) -> Iterator[tuple[list[str], FloatArray]]:
        """Stream the embeddings of songs, all or some, in no order: audio keys, and an array (n, n_dimensions)."""
        analysed = and_(KEY.model == model, KEY.front_end == front_end)
        query = select(KEY.audio_key, KEY.embedding).where(analysed)
        pages = self._all_pages(query) if keys is None else self._pages_of(query, keys)
        for page in pages:
            yield [row.audio_key for row in page], np.stack([_array(row.embedding, HALF) for row in page])

    def _pages_of(self, query: Select[Any], keys: Iterable[str]) -> Iterator[Sequence[Row[Any]]]:
        for batch in in_batches(keys):
            if page := self._rows(query.where(KEY.audio_key.in_(batch))):
                yield page

    def _all_pages(self, query: Select[Any]) -> Iterator[Sequence[Row[Any]]]:
        """Stream rows in the order in which they are stored: in order of keys, each is somewhere else on the disk."""
        place: ColumnElement[Any] = literal_column("analyses.rowid", Integer) if self.is_sqlite else KEY.audio_key
        ordered = query.add_columns(place.label("place")).order_by(place).limit(PAGE)
        page = self._rows(ordered)
        while page:
            yield page
            page = self._rows(ordered.where(place > page[-1].place))

    def sounds(self, model: str, front_end: str, keys: Iterable[str] | None = None) -> Iterator[StoredSound]:
        """Stream the sounds of songs, all or some; those stored without a spread are left out."""
        place = {"model": model, "front_end": front_end}
        for batch in in_batches(self.audio_keys(model, front_end) if keys is None else keys):
            for row in self._rows(_SOUNDS, {**place, "keys": batch}):
                yield StoredSound(
                    row.audio_key, *(_array(data, HALF) for data in (row.embedding, row.spread, row.tags))
                )

    @repeatable
    def _rows(self, query: Select[Any], values: dict[str, Any] | None = None) -> Sequence[Row[Any]]:
        with self.read() as connection:
            return connection.execute(query, values or {}).all()

    @repeatable
    def audio_keys(self, model: str, front_end: str) -> list[str]:
        """Return the audio keys of the songs of which `sounds` gives the sound."""
        with self.read() as connection:
            query = select(KEY.audio_key).where(KEY.model == model, KEY.front_end == front_end, KEY.spread.is_not(None))
            return list(connection.execute(query.order_by(KEY.audio_key)).scalars())


def _row(analysis: Analysis) -> dict[str, object]:
    return {
        "duration": float(analysis.duration),
        "intervals": _packed(analysis.intervals, SINGLE),
        "levels": _packed(analysis.levels, SINGLE),
        "layout": [[name, values.shape[1]] for name, values in analysis.outputs.items()],
        "outputs": b"".join(_packed(values, SINGLE) for values in analysis.outputs.values()),
        "tags": _packed(analysis.tags, HALF),
        "embedding": _packed(analysis.embedding, HALF),
        "spread": None if analysis.spread is None else _packed(analysis.spread, HALF),
    }


def _unpacked(row: RowMapping) -> Analysis:
    levels = _array(row["levels"], SINGLE)
    widths = [width for _, width in row["layout"]]
    flat = np.split(_array(row["outputs"], SINGLE), np.cumsum([len(levels) * width for width in widths])[:-1])
    return Analysis(
        duration=row["duration"],
        intervals=_array(row["intervals"], SINGLE).reshape(-1, 2),
        levels=levels,
        outputs={
            name: part.reshape(len(levels), width) for (name, width), part in zip(row["layout"], flat, strict=True)
        },
        tags=_array(row["tags"], HALF),
        embedding=_array(row["embedding"], HALF),
        spread=None if row["spread"] is None else _array(row["spread"], HALF),
    )


def _packed(values: FloatArray, dtype: np.dtype[np.floating]) -> bytes:
    if dtype == HALF:
        values = np.clip(values, -HALF_MAX, HALF_MAX)  # infinity would spoil every distance
    return np.asarray(values).astype(dtype).tobytes()


def _array(data: bytes, dtype: np.dtype[np.floating]) -> FloatArray:
    return np.frombuffer(data, dtype).astype(np.float32)

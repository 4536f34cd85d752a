"""The service on a database server: only one, and it survives an outage of the server."""

import pytest

from tests.store_databases import new_url
from tests.watching import genre, song, until, watching


@pytest.fixture
def url(tmp_path):
    return new_url("postgresql", tmp_path)


def test_one_service_per_server_under_two_names(program, tmp_path, url):
    music = tmp_path / "music"
    music.mkdir()
    with watching(program, "--database", url, music, ready=False) as service:
        path = song(music, "song")
        service.tagged(path)
        other = f"{url}&connect_timeout=7" if "?" in url else f"{url}?connect_timeout=7"
        refused = program("watch", "--database", other, music, status=1)
        assert f"process {service.process.pid} on " in refused.stderr
        assert service.end() == 0
    with watching(program, "--database", url, music, ready=False) as service:
        path = song(music, "other", "flac")
        service.tagged(path)


def test_a_server_that_goes_away_is_waited_for(program, tmp_path, url):
    import psycopg

    music = tmp_path / "music"
    music.mkdir()
    with watching(program, "--database", url, music, ready=False) as service:
        first = song(music, "first")
        service.tagged(first)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        second = song(music, "second", "flac")
        service.tagged(second)
        assert genre(first) and until(lambda: genre(second))

"""The worker pool: limits, crashes, hangs, interrupts, replaced processes."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from genrify_tagger.errors import (
    DecodeError,
    InterruptedScanError,
    WorkerCrashedError,
    WorkerError,
    WorkerMemoryError,
    WorkerStartError,
    WorkerTimeoutError,
)
from genrify_tagger.worker_main import Limits, summarise
from genrify_tagger.workers import Workers
from tests import bad_tasks, media


@pytest.fixture(scope="module")
def workers():
    with Workers(jobs=1, segments=4, limits=Limits(time_limit=5, memory_limit=256 << 20)) as pool:
        yield pool


def analyses(pool, folder):
    song = str(media.make("flac", folder))
    sound = pool.probe(song)
    analysis = pool.analyse(song, duration=sound.duration)
    return abs(sound.duration - 15) < 0.1 and analysis.intervals.shape == (4, 2) and analysis.embedding.shape == (456,)


def count_processes(pool: Workers) -> int:
    return pool._pool._busy + len(pool._pool._resting)


def test_analyses_a_song(workers, tmp_path):
    assert analyses(workers, tmp_path)


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        (bad_tasks.crash, WorkerCrashedError, "crashed"),
        (bad_tasks.hang, WorkerTimeoutError, "longer than 5 s"),
        (bad_tasks.eat_memory, WorkerMemoryError, "256 MB"),
        (bad_tasks.raise_odd_error, WorkerError, "ZeroDivisionError: odd"),
    ],
)
def test_a_bad_file_fails_alone(workers, tmp_path, task, error, words):
    with pytest.raises(error, match=words) as caught:
        workers.call("bad.mp3", task, interruptible=True)
    assert caught.value.path == "bad.mp3"
    assert analyses(workers, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_processes_that_cannot_be_started_are_no_files_fault_and_are_started_later(tmp_path):
    import resource

    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Workers(jobs=1, segments=4) as pool:
        for _ in range(2):  # each had cost the pool one of its places
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, usual[1]))
            try:
                with pytest.raises(WorkerStartError, match="do not start"):
                    pool.probe("song.flac")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        assert analyses(pool, tmp_path)


def test_stderr_of_a_crashed_worker_is_logged(workers, caplog):
    with caplog.at_level("DEBUG", "genrify_tagger"), pytest.raises(WorkerCrashedError):
        workers.call("bad.mp3", bad_tasks.crash, interruptible=True)
    assert "last words" in caplog.text


def test_a_program_that_was_killed_leaves_nothing_in_the_temporary_folder(program, tmp_path):
    for number in range(8):
        media.make("mp3-vbr", tmp_path / "Music" / str(number))
    (tmp_path / "tmp").mkdir()
    running = subprocess.Popen(
        program.command("scan", "--jobs", "2", tmp_path / "Music"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=program.environment(TMPDIR=str(tmp_path / "tmp")),
    )
    deadline = time.monotonic() + 30
    while len(children(running.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children(running.pid)) >= 2
    running.kill()
    running.communicate()
    assert list((tmp_path / "tmp").iterdir()) == []


def children(process):
    threads = Path(f"/proc/{process}/task").glob("*/children")
    return [child for thread in threads for child in thread.read_text().split()]


def test_a_crash_does_not_affect_other_workers(tmp_path):
    with Workers(jobs=2, segments=4) as pool:
        analyses(pool, tmp_path)
        crashes = []

        def crash():
            try:
                pool.call("x", bad_tasks.crash, interruptible=True)
            except WorkerCrashedError as error:
                crashes.append(error)

        crashing = threading.Thread(target=crash)
        crashing.start()
        assert all(analyses(pool, tmp_path / str(i)) for i in range(3))
        crashing.join()
        assert len(crashes) == 1


def test_workers_ignore_signals_to_the_process_group(workers):
    assert workers.call("good.mp3", bad_tasks.be_told_to_end, interruptible=True) == "done"


CLOCK = textwrap.dedent(
    """
    import os
    import time

    real = time.time
    shift = os.environ["CLOCK_SHIFT"]
    time.time = lambda: real() + os.stat(shift).st_size  # seconds
    """
)
SHIFTING = textwrap.dedent(
    """
    import os
    import threading
    import time
    from genrify_tagger.errors import WorkerTimeoutError
    from genrify_tagger.worker_main import Limits
    from genrify_tagger.workers import Workers
    from tests import bad_tasks

    def shifted(seconds, task):
        timer = threading.Timer(0.5, os.truncate, [os.environ["CLOCK_SHIFT"], seconds])
        timer.start()
        try:
            return pool.call("a", task, interruptible=True)
        finally:
            timer.join()

    with Workers(jobs=1, segments=4, limits=Limits(time_limit=6)) as pool:
        shifted(10_000, bad_tasks.rest)
        assert time.time() - time.monotonic() > 10_000, "the clock was not set"
        try:
            shifted(0, bad_tasks.hang)
        except WorkerTimeoutError:
            print("ended")
    """
)


def test_the_clock_may_be_set_while_a_file_is_analysed(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    (tmp_path / "shift").touch()
    (tmp_path / "shifting.py").write_text(SHIFTING)
    environment = _environment()
    environment |= {"CLOCK_SHIFT": str(tmp_path / "shift"), "PYTHONPATH": f"{tmp_path}:{environment['PYTHONPATH']}"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "shifting.py")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr


def test_a_text_file_is_not_audio(workers, tmp_path):
    text = tmp_path / "text.flac"
    text.write_text("words, words\n" * 100)
    with pytest.raises(DecodeError) as caught:
        workers.probe(str(text))
    assert caught.value.path == str(text)


def test_interrupt_ends_analyses_but_not_the_check_of_a_write(tmp_path):
    song = str(media.make("flac", tmp_path))
    with Workers(jobs=2, segments=4) as pool:
        pool.probe(song)
        caught = []

        def hang():
            try:
                pool.call("slow.mp3", bad_tasks.hang, interruptible=True)
            except InterruptedScanError as error:
                caught.append(error)

        thread = threading.Thread(target=hang)
        thread.start()
        time.sleep(0.5)
        pool.interrupt()
        thread.join(timeout=5)
        assert len(caught) == 1
        with pytest.raises(InterruptedScanError):
            pool.probe(song)
        assert len(pool.audio_key(song)) == 32


def test_idle_workers_end_and_come_back():
    with Workers(jobs=1, segments=4, idle_seconds=0.4) as pool:
        first = pool.call("a", bad_tasks.process_id, interruptible=True)
        deadline = time.monotonic() + 10
        while count_processes(pool) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not count_processes(pool)
        assert pool.call("a", bad_tasks.process_id, interruptible=True) != first


def test_processes_are_started_as_files_come():
    with Workers(jobs=3, segments=4) as pool:
        assert count_processes(pool) == 0
        assert len({pool.call("a", bad_tasks.process_id, interruptible=True) for _ in range(3)}) == 1
        assert count_processes(pool) == 1


def test_a_process_started_before_the_first_file_is_the_one_that_takes_it():
    with Workers(jobs=1, segments=4) as pool:
        pool.start()
        pool.start()
        early = pool._pool._early.result().pid
        assert pool.call("a", bad_tasks.process_id, interruptible=True) == early
        pool.start()
        assert pool._pool._early is None
        assert count_processes(pool) == 1


@pytest.mark.parametrize("idle", [True, False])
def test_a_process_started_early_ends_unused(idle):
    with Workers(jobs=1, segments=4, idle_seconds=0.2 if idle else 60) as pool:
        pool.start()
        process = pool._pool._early.result()
        if idle:
            process._process.join(10)
            assert not process._process.is_alive()
    assert not process._process.is_alive()


@pytest.mark.parametrize("delay", [0, 0.0005, 0.002, 0.1])
def test_a_process_that_died_between_two_files_is_replaced(delay):
    with Workers(jobs=1, segments=4) as pool:
        first = pool.call("a", bad_tasks.process_id, interruptible=True)
        # Also while it is dying, when its end of the pipe still takes a task.
        os.kill(first, signal.SIGKILL)
        time.sleep(delay)
        assert pool.call("a", bad_tasks.process_id, interruptible=True) != first


def test_all_idle_processes_may_have_died_between_two_files():
    with Workers(jobs=4, segments=4) as pool:
        with ThreadPoolExecutor(4) as threads:
            idle = set(threads.map(lambda _: pool.call("a", bad_tasks.name_after_a_rest, interruptible=True), range(4)))
        assert len(idle) == 4
        for process in idle:
            os.kill(process, signal.SIGKILL)
        assert pool.call("a", bad_tasks.process_id, interruptible=True) not in idle


def test_processes_outlive_the_thread_that_first_needed_them():
    with Workers(jobs=1, segments=4) as pool:
        found = []
        for _ in range(2):
            thread = threading.Thread(
                target=lambda: found.append(pool.call("a", bad_tasks.process_id, interruptible=True))
            )
            thread.start()
            thread.join()
        assert found[0] == found[1]


def test_an_interrupt_never_prevents_the_verification_of_a_write(tmp_path):
    song = str(media.make("flac", tmp_path))
    for _ in range(8):
        with Workers(jobs=2, segments=2) as pool:
            proofs = [pool.audio_key(song)]
            prove = threading.Thread(target=lambda pool=pool, proofs=proofs: proofs.append(pool.audio_key(song)))
            threads = [*(threading.Thread(target=run_until_interrupted, args=(pool, song)) for _ in range(4)), prove]
            for thread in threads:
                thread.start()
            pool.interrupt()
            for thread in threads:
                thread.join(timeout=30)
            assert not any(thread.is_alive() for thread in threads)
            assert len(proofs) == 2


def run_until_interrupted(pool, song):
    with contextlib.suppress(InterruptedScanError):
        while True:
            pool.probe(song)


def test_a_worker_stays_small(workers, tmp_path):
    analyses(workers, tmp_path)
    assert workers.call("a", bad_tasks.resident_megabytes, interruptible=True) <= 200


SCRIPT = textwrap.dedent(
    """
    import sys
    from genrify_tagger.workers import Workers
    from tests import bad_tasks
    print("main ran")
    with Workers(jobs=1, segments=4) as pool:
        pool.call("a", bad_tasks.print_to_stderr, interruptible=True)
        sound = pool.probe(sys.argv[1])
        pool.analyse(sys.argv[1], duration=sound.duration)
    assert not {"av", "ai_edge_litert"} & set(sys.modules), "the parent loaded a decoder"
    """
)


def test_workers_are_silent_and_do_not_run_the_main_module_again(tmp_path):
    song = media.make("mp3-vbr", tmp_path)
    script = tmp_path / "unguarded.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(song)], capture_output=True, text=True, check=False, env=_environment()
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "main ran\n", "")


def _environment():
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}


def test_tags_embedding_and_its_spread_are_those_of_the_audible_segments():
    rng = np.random.default_rng(0)
    tags, embedding = rng.random((4, 50), np.float32), rng.random((4, 456), np.float32)
    outputs = {"gtzan": rng.random((4, 10), np.float32), "tags": tags, "embedding": embedding}
    intervals = np.zeros((4, 2), np.float32)
    pooled = summarise(12.0, intervals, np.float32([-20, -80, -30, -120]), outputs)
    np.testing.assert_allclose(pooled.embedding, embedding[[0, 2]].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(pooled.spread, embedding[[0, 2]].std(axis=0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(pooled.tags, tags[[0, 2]].mean(axis=0), rtol=1e-6)
    assert list(pooled.outputs) == ["gtzan"]
    assert pooled.outputs["gtzan"].shape == (4, 10)
    alone = summarise(12.0, intervals, np.float32([-80, -80, -30, -120]), outputs)
    np.testing.assert_array_equal(alone.spread, 0)
    silent = summarise(12.0, intervals, np.float32([-80, -80, -90, -120]), outputs)
    np.testing.assert_allclose(silent.embedding, embedding.mean(axis=0), rtol=1e-6)

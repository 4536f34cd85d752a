"""`scan --cluster`: real schedulers and workers that die, hang, restart, are outdated or do not see the files."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from genrify_tagger.cluster import ClusterWorkers
from genrify_tagger.cluster.dask_connection import load_dask
from genrify_tagger.cluster.dask_scheduler import DaskScheduler
from genrify_tagger.cluster.dask_tasks import DaskTasks, LateError
from genrify_tagger.errors import WorkerCrashedError, WorkerMemoryError, WorkerTimeoutError
from genrify_tagger.store import open_store
from genrify_tagger.worker_main import Limits
from tests import bad_tasks, media
from tests.dask_cluster import dask_cluster, server, tls_settings, without_folder
from tests.program import Program

pytest.importorskip("distributed")

FILES = 40
KINDS = ("flac", "mp3-v2.3", "m4a-aac", "ogg-vorbis")
SURE = ("--min-confidence", "0.05", "--segments", "8", "--jobs", "1", "--format", "jsonl")


@pytest.fixture(scope="module")
def cluster():
    with dask_cluster(workers=2) as started:
        yield started


@pytest.fixture
def library(tmp_path) -> list[Path]:
    return [media.make(KINDS[i % len(KINDS)], tmp_path / "music" / str(i // 10), f"{i:02}") for i in range(FILES)]


LOGGING = """
logging:
  version: 1
  handlers: {console: {class: logging.StreamHandler}}
  loggers: {distributed.worker: {level: DEBUG, handlers: [console]}}
  root: {level: DEBUG, handlers: [console]}
"""


def start(program: Program, folder: Path, address: str, *options: str, **environment: str) -> subprocess.Popen[str]:
    command = program.command("scan", folder, *SURE, "--cluster", address, *options)
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=program.environment(**environment), **output)


def results(process: subprocess.Popen[str], status: int = 0) -> tuple[list[dict], str]:
    out, err = process.communicate(timeout=200)
    assert process.returncode == status, (process.returncode, out[-2000:], err[-2000:])
    assert "Traceback" not in err
    return [json.loads(line) for line in out.splitlines()], err


def wait_for_tagged(program: Program, number: int) -> None:
    deadline = time.monotonic() + 60
    while not program.database.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with open_store(str(program.database)) as store:
        while sum(change.state == "done" for change in store.changes()) < number:
            assert time.monotonic() < deadline, "nothing was tagged"
            time.sleep(0.05)


def assert_all_tagged_once(program: Program, told: list[dict], library: list[Path]) -> None:
    assert Counter(one["path"] for one in told if one["status"] == "tagged") == dict.fromkeys(map(str, library), 1)
    [run] = map(json.loads, program("history", "--format", "jsonl").stdout.splitlines())
    assert run["changed"] == len(library)


def test_the_same_results_as_on_one_machine(program, cluster, library, tmp_path):
    told, err = results(start(program, tmp_path / "music", cluster.address))
    assert "Analysing on 2 Dask workers with 2 threads" in err and f"{FILES} files in " in err
    assert_all_tagged_once(program, told, library)
    assert "examine" in cluster.task_names()
    program("undo", "1")
    alone = program.scan(tmp_path / "music", *SURE, "--reanalyse", "--force")
    assert [(one["path"], one["genres"], one["confidence"]) for one in alone] == [
        (one["path"], one["genres"], pytest.approx(one["confidence"], abs=1e-3)) for one in told
    ]


def test_a_dask_that_this_process_starts(program, library, tmp_path):
    """None of Dask's messages is shown, whatever the user's settings of Dask say."""
    (tmp_path / "dask.yaml").write_text(LOGGING)
    scan = start(program, tmp_path / "music", "local", "--verbose", "--log-format", "json", DASK_CONFIG=str(tmp_path))
    told, err = results(scan)
    messages = [json.loads(line) for line in err.splitlines()]
    assert messages[0]["message"].startswith("Analysing on 1 Dask worker with 1 thread")
    assert {message["logger"].partition(".")[0] for message in messages} == {"genrify_tagger"}
    assert_all_tagged_once(program, told, library)


@pytest.mark.parametrize("nanny", ["--nanny", "--no-nanny"])
def test_a_worker_that_is_killed(program, library, tmp_path, nanny):
    with dask_cluster(workers=1) as cluster:
        doomed = cluster.start_worker(nanny)
        scan = start(program, tmp_path / "music", cluster.address)
        wait_for_tagged(program, 4)
        os.killpg(doomed.pid, signal.SIGKILL)
        told, err = results(scan)
    assert_all_tagged_once(program, told, library)
    assert "has gone; the others do its files" in err or len(told) == FILES


def test_a_scheduler_that_restarts(program, library, tmp_path):
    with dask_cluster(workers=1) as cluster:
        scan = start(program, tmp_path / "music", cluster.address)
        wait_for_tagged(program, 4)
        os.killpg(cluster.scheduler.pid, signal.SIGKILL)
        cluster.scheduler.wait()
        cluster.start_scheduler()
        cluster.start_worker()
        told, _ = results(scan)
    assert_all_tagged_once(program, told, library)


def test_a_scheduler_that_goes_for_good(program, library, tmp_path):
    with dask_cluster(workers=1) as cluster:
        scan = start(program, tmp_path / "music", cluster.address, GENRIFY_CLUSTER__WAIT_SECONDS="2")
        wait_for_tagged(program, 2)
        os.killpg(cluster.scheduler.pid, signal.SIGKILL)
        told, err = results(scan, status=1)
        assert "no worker of the Dask scheduler at tcp://127.0.0.1:" in err.splitlines()[-1]
        assert "genrify-tag: error:" not in err  # of Dask itself
    again = program.scan(tmp_path / "music", *SURE)
    assert sorted(one["path"] for one in again) == sorted(map(str, library))
    assert all(one["after"] for one in again)
    assert not {one["path"] for one in told} & {one["path"] for one in again if one["status"] == "tagged"}


def test_workers_with_another_program_or_model_are_not_used(program, library, tmp_path):
    other_program = "import genrify_tagger\ngenrify_tagger.__version__ = '0.0.9'\n"
    other_model = (
        "import dataclasses\nfrom genrify_tagger.classifier import load_sidecar\n"
        "from genrify_tagger.cluster import remote_task\n"
        "remote_task.load_sidecar = lambda path: dataclasses.replace(load_sidecar(path), id='9.9-other')\n"
    )
    broken = "from genrify_tagger.cluster import remote_task\nremote_task._find = lambda file: 1 / 0\n"
    no_room = "import tempfile\ntempfile.tempdir = '/dev/null'\n"
    with dask_cluster(workers=1) as cluster:
        cluster.start_worker("--no-nanny", code=other_program)
        cluster.start_worker("--no-nanny", code=other_model)
        cluster.start_worker("--no-nanny", code=broken)
        cluster.start_worker("--no-nanny", "--local-directory", str(tmp_path), code=no_room)
        told, err = results(start(program, tmp_path / "music", cluster.address))
    assert_all_tagged_once(program, told, library)
    assert "is not used: it has Genrify Tagger 0.0.9, not" in err
    assert "is not used: it has the model 9.9-other, not" in err
    assert "is not used: it fails (ZeroDivisionError: division by zero)" in err
    assert "is not used: it cannot start processes" in err


def test_only_workers_of_another_version(program, library, tmp_path):
    with dask_cluster(workers=0) as cluster:
        cluster.start_worker("--no-nanny", code="import genrify_tagger\ngenrify_tagger.__version__ = '0.0.9'\n")
        scan = start(program, tmp_path / "music", cluster.address, GENRIFY_CLUSTER__WAIT_SECONDS="1")
        told, err = results(scan, status=1)
    assert told == []
    assert "it has Genrify Tagger 0.0.9, not" in err.splitlines()[-1]


def test_workers_that_do_not_see_the_files_or_may_not_read_them(program, library, tmp_path):
    without_files = without_folder(tmp_path / "music")
    for song in library:
        song.chmod(0o600)
        os.chown(song, 1, 1)
    with dask_cluster(workers=1) as cluster:
        cluster.start_worker("--no-nanny", wrapper=without_files)
        cluster.start_worker("--no-nanny", wrapper=("setpriv", "--bounding-set=-dac_override,-dac_read_search"))
        told, _ = results(start(program, tmp_path / "music", cluster.address))
    assert_all_tagged_once(program, told, library)


def test_workers_that_have_the_files_elsewhere_and_one_that_has_others(program, library, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "music", elsewhere)  # keeps the modification times
    os.utime(elsewhere / "0" / "03.ogg", (1e9, 1e9))
    with dask_cluster(workers=0) as cluster:
        cluster.start_worker("--no-nanny", wrapper=without_folder(tmp_path / "music"))
        told, _ = results(start(program, tmp_path / "music", cluster.address, "--dry-run"), status=1)
        assert {one["status"] for one in told} == {"failed"}
        assert "no Dask worker can read it; " in told[0]["error"]
        assert told[0]["error"].endswith(f"{library[0]}: No such file or directory")
        mapped = json.dumps(str(tmp_path / "music")) + " = " + json.dumps(str(elsewhere))
        scan = start(program, tmp_path / "music", cluster.address, GENRIFY_CLUSTER__PATHS=f"{{ {mapped} }}")
        told, _ = results(scan, status=1)
    failed = [one for one in told if one["status"] == "failed"]
    assert [one["path"] for one in failed] == [str(library[3])]
    assert f"{elsewhere}/0/03.ogg is another file there, or an older version of it" in failed[0]["error"]
    assert len([one for one in told if one["status"] == "tagged"]) == FILES - 1


def test_a_worker_that_hangs(program, library, tmp_path):
    with dask_cluster(workers=1) as cluster:
        frozen = cluster.start_worker("--no-nanny")
        slow = {"GENRIFY_ANALYSIS__TIME_LIMIT_SECONDS": "1"}
        scan = start(program, tmp_path / "music", cluster.address, **slow)
        wait_for_tagged(program, 2)
        os.killpg(frozen.pid, signal.SIGSTOP)
        told, err = results(scan)
    assert_all_tagged_once(program, told, library)
    assert err.count("is not used: it does not answer") == 1


def test_bad_files_cost_one_file_only(cluster, tmp_path):
    song = str(media.make("flac", tmp_path, "song"))
    limits = Limits(time_limit=3.0, memory_limit=256 << 20)
    options = {"address": cluster.address, "paths": {}, "wait_seconds": 20.0, "jobs": 1, "segments": 1}
    with ClusterWorkers(**options, limits=limits) as workers:
        for task, error in (
            (bad_tasks.crash_on, WorkerCrashedError),
            (bad_tasks.hang_on, WorkerTimeoutError),
            (bad_tasks.eat_memory_on, WorkerMemoryError),
        ):
            with pytest.raises(error) as raised:
                workers.call(song, functools.partial(task, song))
            assert raised.value.path == song
            assert workers.probe(song).duration > 0


def test_an_interrupt_keeps_what_is_done(program, cluster, library, tmp_path):
    scan = start(program, tmp_path / "music", cluster.address)
    wait_for_tagged(program, 2)
    scan.send_signal(signal.SIGINT)
    told, err = results(scan, status=130)
    assert "Interrupted; all results so far are kept." in err
    again, _ = results(start(program, tmp_path / "music", cluster.address))
    tagged = [one["path"] for one in [*told, *again] if one["status"] == "tagged"]
    assert len(tagged) == len(set(tagged))
    assert all(one["after"] for one in again) and len(again) == FILES


NO_SCHEDULER = "no Dask scheduler answers at {address}"
NO_ADDRESS = "'{address}' is not the address of a Dask scheduler; for example tcp://nas:8786, or local"
START_ONE = "; start one with `dask scheduler`, and workers with `dask worker`"


def test_no_scheduler(program, cluster, tmp_path):
    with server(b"") as silent, server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as http:
        messages = {
            "tcp://127.0.0.1:1": NO_SCHEDULER + START_ONE,
            silent: NO_SCHEDULER + START_ONE,
            http: "what answers at {address} is not a Dask scheduler",
            cluster.a_worker(): "at {address} is a Dask worker, not the scheduler; its port is mostly 8786",
            "tcp://nas": NO_ADDRESS,
            "http://nas:8787": NO_ADDRESS,
        }
        scans = {address: start(program, tmp_path, address) for address in messages}
        told = {address: results(scan, status=1)[1] for address, scan in scans.items()}
    told = {address: err.replace(" (Connection refused)", "") for address, err in told.items()}  # not in every try
    expected = {address: f"genrify-tag: {message.format(address=address)}\n" for address, message in messages.items()}
    assert told == expected


def test_wrong_settings_of_dask(program, tmp_path):
    (tmp_path / "dask.yaml").write_text("distributed: {comm\n  : [")
    unreadable = start(program, tmp_path, "local", DASK_CONFIG=str(tmp_path))
    no_folder = start(program, tmp_path, "local", DASK_TEMPORARY_DIRECTORY="/proc/nothing")
    check = "check Dask's own settings, by default in ~/.config/dask\n"
    malformed = f"Dask cannot be loaded: A dask config file at '{tmp_path}/dask.yaml' is malformed"
    assert results(unreadable, status=2) == ([], f"genrify-tag: {malformed}; {check}")
    reason = "[Errno 2] No such file or directory: '/proc/nothing'"
    assert results(no_folder, status=1) == ([], f"genrify-tag: Dask cannot be started: {reason}; {check}")


def test_tls(program, library, tmp_path):
    settings = tls_settings(tmp_path / "tls")
    others = tls_settings(tmp_path / "other")
    with dask_cluster(workers=1, tls=settings) as cluster:
        assert cluster.address.startswith("tls://")
        told, _ = results(start(program, tmp_path / "music", cluster.address, DASK_CONFIG=str(settings)))
        _, wrong = results(start(program, tmp_path, cluster.address, DASK_CONFIG=str(others)), status=1)
        _, none = results(start(program, tmp_path, cluster.address), status=1)
    assert_all_tagged_once(program, told, library)
    start_of_line = f"genrify-tag: cannot connect to the Dask scheduler at {cluster.address}: "
    for err, reason in ((wrong, "certificate verify failed"), (none, "TLS expects")):
        assert err.startswith(start_of_line) and reason in err and err.count("\n") == 1


def test_one_of_two_workers_hangs_from_the_start(program, library, tmp_path):
    with dask_cluster(workers=1) as cluster:
        frozen = cluster.start_worker("--no-nanny")
        os.killpg(frozen.pid, signal.SIGSTOP)
        told, err = results(start(program, tmp_path / "music", cluster.address))
    assert_all_tagged_once(program, told, library)
    assert err.count("is not used: it does not answer") == 1


def test_a_task_that_waits_for_others_is_not_late(cluster):
    """The 12 tasks of two workers take six seconds, but each worker finishes one every second."""
    load_dask()
    with (
        closing(DaskScheduler(cluster.address, wait_seconds=20)) as scheduler,
        closing(DaskTasks(scheduler, patience=2.5)) as tasks,
        ThreadPoolExecutor(12) as threads,
    ):
        begun = [threads.submit(tasks.run, "rest", time.sleep, 1.0, excluded=()) for _ in range(12)]
        assert [rest.result() for rest in begun] == [None] * 12
        with pytest.raises(LateError):
            tasks.run("rest", time.sleep, 12.0, excluded=())


def test_what_was_fetched_of_a_file_is_not_taken_for_what_replaced_it(cluster, tmp_path):
    song = media.make("flac", tmp_path, "song")
    other = media.make("mp3-v2.3", tmp_path / "other", "song")
    options = {"address": cluster.address, "paths": {}, "wait_seconds": 20.0, "jobs": 1, "segments": 1}
    with ClusterWorkers(**options) as workers:
        workers.probe(str(song), is_new=True)
        first = workers.analyse(str(song), duration=1.0)
        shutil.copyfile(other, song)
        duration = workers.probe(str(song)).duration
        again = workers.analyse(str(song), duration=duration)
    assert again.duration == duration != first.duration

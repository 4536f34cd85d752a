"""The container image for tests, built by podman from the Containerfile, on a base that needs no registry."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import media

ROOT = Path(__file__).parent.parent
SUITE = "trixie"  # the Containerfile's
# As few rights as a container can have. The limits are for a podman that may itself not raise any.
LOCKED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges")
LIMITS = ("--network=host", "--runtime=runc", "--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096")


def need_podman() -> None:
    """Skip where no image can be built, with the reason."""
    if not media.in_ci():
        pytest.skip("builds a container image, which takes minutes: CI=true runs it")
    if os.geteuid() != 0:
        pytest.skip("building a Debian base needs root")
    for program in ("podman", "runc", "mmdebstrap"):
        media.need(program)


@dataclass
class Podman:
    """Podman with a storage of its own.

    Attributes
    ----------
    storage : Path
    image : str
    """

    storage: Path
    image: str = "localhost/genrify-tagger"

    def __call__(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["podman", "--root", self.storage / "root", "--runroot", self.storage / "run", *arguments]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=500)
        assert done.returncode == 0 or not check, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done

    def run(
        self, *options: str | Path, command: Sequence[str] = (), check: bool = True, locked: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a container of the image with the program's arguments `command`."""
        rights = LOCKED if locked else ()
        return self("run", *LIMITS, *rights, *options, self.image, *command, check=check)

    def close(self) -> None:
        """Remove containers and storage."""
        self("rm", "--all", "--force", check=False)
        subprocess.run(["umount", "--quiet", self.storage / "root/overlay"], check=False)
        shutil.rmtree(self.storage, ignore_errors=True)


@contextlib.contextmanager
def built_image() -> Iterator[Podman]:
    """Build the image; the base is kept in the user's cache folder for a month."""
    podman = Podman(Path(tempfile.mkdtemp(prefix="genrify-podman-")))
    try:
        _build(podman)
        yield podman
    finally:
        podman.close()


def _build(podman: Podman) -> None:
    base = "localhost/debian:slim"
    podman("import", "--quiet", _base(), base)
    # The build trusts whom this machine trusts, such as a proxy. The base has certificates: a mount cannot be updated.
    podman(
        *("build", "--quiet", "--layers=false", "--format=docker", "--isolation=chroot", "--network=host"),
        *("--volume", "/etc/ssl/certs:/etc/ssl/certs:ro", "--build-arg", f"BASE={base}"),
        *("--tag", podman.image, ROOT),
    )


def _base() -> Path:
    """Return an archive of a minimal Debian, without what the slim images lack, too."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genrify-tagger-tests"
    archive = folder / f"debian-{SUITE}.tar"
    if not archive.exists() or time.time() - archive.stat().st_mtime > 30 * 86400:
        folder.mkdir(parents=True, exist_ok=True)
        part = archive.with_suffix(f".{os.getpid()}.tar")
        left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale", "info")]
        media.run("mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", *left_out, SUITE, part)
        part.replace(archive)
    return archive

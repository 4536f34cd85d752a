"""Start in a container: user and umask from the environment, settings at the first start, checks of the volumes."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Mapping, Sequence

from genrify_tagger.errors import ConfigError, GenrifyError
from genrify_tagger.files import display_path

assert sys.platform != "win32"  # a container is Linux; so this is not type-checked for Windows

MUSIC, DATA = "/music", "/data"
_USER, _GROUP = 1000, 1000  # as in the Containerfile
_MOUNT_MUSIC = f"mount your library there (-v /path/to/music:{MUSIC})"


def main(arguments: Sequence[str]) -> int:
    """Run `genrify-tag` with `arguments`; without any, watch the library and serve the page.

    The program never runs as root unless PUID is 0: started as root, it becomes the user PUID and the group PGID.
    """
    try:
        _set_umask(os.environ)
        _become_user(os.environ)
        _need_data(DATA)
        if not arguments:
            _write_first_settings(os.environ)
            for root in _roots():
                _check_root(root)
    except GenrifyError as error:
        _say(f"{error}", error.path)
        return error.exit_status
    from genrify_tagger.cli import PROGRAM
    from genrify_tagger.cli import main as run

    sys.argv = [PROGRAM, *(arguments or ["watch", "--serve"])]
    return run()


# --- user ---


def _set_umask(environment: Mapping[str, str]) -> None:
    if text := environment.get("UMASK"):
        try:
            os.umask(int(text, 8) & 0o777)
        except ValueError:
            raise ConfigError(f"UMASK is {text!r}", hint="it is an octal number such as 022") from None


def _become_user(environment: Mapping[str, str]) -> None:
    user, group = (_number(environment, name) for name in ("PUID", "PGID"))
    if os.geteuid() != 0:
        own = os.geteuid(), os.getegid()
        wanted = own[0] if user is None else user, own[1] if group is None else group
        if wanted != own:
            raise ConfigError(
                f"PUID and PGID are {_ids(wanted)}, but the container runs as {_ids(own)}",
                hint=f"start it with --user {_ids(wanted)} (in compose.yaml: user)",
            )
        return
    user, group = _USER if user is None else user, _GROUP if group is None else group
    if user == 0:
        return
    _give_new_folder(DATA, user, group)
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "")
    if text and not (text.isascii() and text.isdecimal()):
        raise ConfigError(f"{name} is {text!r}", hint="it is a number; 'id' on the host prints yours")
    return int(text) if text else None


def _give_new_folder(path: str, user: int, group: int) -> None:
    """Give a folder that was just made for a new volume to the user."""
    try:
        if os.stat(path).st_uid == 0 and not os.listdir(path):
            os.chown(path, user, group)
    except OSError:
        pass  # `_need_data` says what is wrong with it


# --- settings ---


def _write_first_settings(environment: Mapping[str, str]) -> None:
    """Write a settings file if there is none, so that the container does something useful without any."""
    from genrify_tagger.config import config_path, settings_template

    path = config_path()
    if os.path.lexists(path):
        return
    given: dict[str, object] = {"library.roots": [MUSIC], "web.host": "0.0.0.0"}
    if not environment.get("GENRIFY_WEB__TOKEN"):
        given["web.token"] = secrets.token_urlsafe(12)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(settings_template(given))
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=path, hint=_who_may_write(DATA)) from error
    _say("settings for the first start; edit them and restart the container", path)
    _say(f"songs in {MUSIC} that have no genre get one, now and as they arrive; 'genrify-tag undo' takes it back")
    if token := given.get("web.token"):
        _say(f"the page is on port 8650 of this machine, its token is {token}")


def _roots() -> Sequence[str]:
    from genrify_tagger.config import load_settings

    return load_settings().settings.library.roots


# --- volumes ---


def _need_data(path: str) -> None:
    if not os.path.isdir(path):
        raise ConfigError("no such folder", path=path, hint=f"mount a volume there (-v genrify:{path})")
    if _is_read_only(path):
        raise ConfigError("is mounted read-only, but holds the database", path=path, hint="mount it without :ro")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(f"user {_own()} cannot write here", path=path, hint=_who_may_write(path))


def _check_root(path: str) -> None:
    if not os.path.isdir(path):
        raise ConfigError("no such folder", path=path, hint=_MOUNT_MUSIC)
    if not os.access(path, os.R_OK | os.X_OK):
        raise ConfigError(f"user {_own()} cannot read here", path=path, hint=_who_may_write(path))
    if not os.listdir(path) and not os.path.ismount(path):
        raise ConfigError("is empty", path=path, hint=_MOUNT_MUSIC)
    if _is_read_only(path):
        _say("is mounted read-only; songs are analysed, but no genre can be written", path)
    elif not os.access(path, os.W_OK):
        _say(f"user {_own()} cannot write here, so its songs get no genre; {_who_may_write(path)}", path)


def _is_read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _who_may_write(path: str) -> str:
    found = os.stat(path)
    owner, mode = _ids((found.st_uid, found.st_gid)), stat.S_IMODE(found.st_mode)
    if found.st_uid == 0:
        return f"it belongs to root (mode {mode:03o}); on the host, chown {_own()} its folder"
    return f"it belongs to {owner} (mode {mode:03o}); start with --user {owner} (in compose.yaml: PUID, PGID)"


def _own() -> str:
    return _ids((os.geteuid(), os.getegid()))


def _ids(ids: tuple[int, int]) -> str:
    return f"{ids[0]}:{ids[1]}"


def _say(text: str, path: str | None = None) -> None:
    where = f"{display_path(path)}: " if path else ""
    print(f"genrify-tag: {where}{text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

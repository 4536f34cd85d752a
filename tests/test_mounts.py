"""The mount table: network file systems, related, configured and missing mounts."""

from pathlib import Path

import pytest

from genrify_tagger import mounts
from genrify_tagger.mounts import is_network_folder

MOUNTS = "\n".join(
    [
        "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw",
        "40 22 0:40 / /mnt/my\\040nas rw,relatime shared:7 - nfs4 nas:/music rw",
        "41 40 8:2 / /mnt/my\\040nas/local rw - ext4 /dev/sdb1 rw",
        "42 22 0:42 / /mnt/phone rw - fuse.sshfs me@host: rw",
        "43 22 0:43 / /mnt/share rw - ext4 /dev/sdc1 rw",
        "44 43 0:44 / /mnt/share rw - cifs //host/share rw",
    ]
)


@pytest.mark.parametrize(
    ("folder", "network"),
    [
        ("/home/me", False),
        ("/mnt/my nas", True),
        ("/mnt/my nas/db", True),
        ("/mnt/my nasty", False),
        ("/mnt/my nas/local/db", False),
        ("/mnt/phone", True),
        ("/mnt/share", True),
    ],
)
def test_by_the_innermost_mount(tmp_path: Path, folder: str, network: bool) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTS)
    assert is_network_folder(folder, mountinfo=str(mountinfo)) is network


def test_unknown_means_local(tmp_path: Path) -> None:
    assert not is_network_folder("/", mountinfo=str(tmp_path / "none"))
    assert not is_network_folder(str(tmp_path))


def test_network_file_systems_are_recognised_by_their_type(tmp_path):
    table = tmp_path / "mountinfo"
    lines = [
        "/ ext4",
        "/mnt/nas nfs4",
        "/mnt/nas/local\\040disk ext4",
        "/home fuse.sshfs",
        "/srv btrfs",
        "/srv/smb cifs",
    ]
    table.write_text("".join(f"1 1 0:1 / {line.split()[0]} rw - {line.split()[1]} x rw\n" for line in lines))

    def found(folder):
        return mounts.network_folders(folder, mountinfo=str(table))

    assert found("/mnt/nas/music") == ["/mnt/nas/music"]
    assert found("/mnt/nas/local disk/music") == []
    assert found("/home/ana/Music") == ["/home/ana/Music"]
    assert found("/srv") == ["/srv/smb"]
    assert found("/mnt") == ["/mnt/nas"]
    assert found("/opt") == []
    assert mounts.related_mounts("/srv/music", mountinfo=str(table)) == ["/srv"]
    assert mounts.unmounted(["/srv", "/gone"], mountinfo=str(table)) == ["/gone"]
    table.write_text(
        "20 1 8:1 / / rw - ext4 x rw\n21 20 8:1 /srv/music /srv/music rw - ext4 x rw\n"
        "22 20 8:2 / /srv/disk rw - ext4 x rw\n23 22 8:2 /songs /srv/disk/songs rw - ext4 x rw\n"
        "24 20 8:1 /home /srv/music/home rw - ext4 x rw\n25 20 0:40 /@ /srv/sub rw - btrfs x rw\n"
        "26 25 0:40 /@/a /srv/sub/a rw - btrfs x rw\n"
    )
    assert mounts.related_mounts("/srv", mountinfo=str(table)) == ["/srv/disk", "/srv/music/home", "/srv/sub"]
    fstab = tmp_path / "fstab"
    fstab.write_text(
        "# comment\n/dev/sda1 / ext4 defaults 0 1\nnas:/m /mnt/nas nfs x 0 0\n//s /mnt/a\\040b cifs x 0 0\n"
    )
    assert mounts.configured_mounts("/mnt/nas/music", fstab=str(fstab)) == ["/mnt/nas"]
    assert mounts.configured_mounts("/mnt", fstab=str(fstab)) == ["/mnt/a b", "/mnt/nas"]

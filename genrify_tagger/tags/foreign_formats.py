"""Recognise formats that this program cannot tag by their first bytes, whatever the file is called.

MPEG audio has no signature, and many containers hold its frames, so a file with another format's signature never counts
as MPEG audio.
"""

from __future__ import annotations

from genrify_tagger.tags.patched_file import PatchedFile

_SIGNATURES = {
    b"\x1a\x45\xdf\xa3": "a Matroska or WebM file",
    b"RF64": "an RF64 file",
    b"BW64": "a BW64 file",
    b"riff": "a Wave64 file",
    b"RIFF": "a RIFF file without wave audio, such as AVI",
    b"RIFX": "a RIFF file without wave audio, such as AVI",
    b"FORM": "an IFF file other than AIFF",
    b"FRM8": "a DSDIFF file",
    b"ADIF": "a raw AAC file",
    b"caff": "a Core Audio file",
    b".snd": "an AU file",
    b"#!AM": "an AMR file",
    b"#!SILK": "a SILK file",
    b"\x0b\x77": "a raw AC-3 file",
    b"\x7f\xfe\x80\x01": "a raw DTS file",
    b"\xfe\x7f\x01\x80": "a raw DTS file",
    b"MThd": "a MIDI file",
    b"APETAGEX": "a file with an APEv2 tag in front",
    b"FLV": "a Flash video",
    **dict.fromkeys((b"FWS", b"CWS", b"ZWS"), "a Flash (SWF) file"),
    b"nut/multimedia container": "a NUT file",
    **dict.fromkeys((b"NSVf", b"NSVs"), "an NSV file"),
    **dict.fromkeys((b".RMF", b".ra\xfd"), "a RealMedia file"),
    b"\x06\x0e\x2b\x34": "an MXF file",
    b"DKIF": "an IVF file",
    b"YUV4MPEG2": "raw video",
    **dict.fromkeys((b"BIKf", b"BIKi", b"BIKb", b"KB2", b"SMK2", b"SMK4"), "a Bink or Smacker video"),
    **dict.fromkeys((b"\xb7\xd8\x00\x20\x37\x49\xda\x11",), "a Windows TV recording"),
    b"ajkg": "a Shorten file",
    b"TWIN": "a VQF file",
    b"LA0": "a Lossless Audio file",
    b"Creative Voice File": "a VOC file",
    **dict.fromkeys((b"IMPM", b"Extended Module:"), "a tracker module"),
    **dict.fromkeys((b"PK\3\4", b"PK\5\6", b"PK\7\x08"), "a ZIP archive"),
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\0": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"LZIP": "an lzip file",
    b"MSCF": "a CAB archive",
    b"!<arch>\n": "an ar archive",
    **dict.fromkeys((b"070701", b"070702", b"070707"), "a cpio archive"),
    b"%PDF": "a PDF document",
    **dict.fromkeys((b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"II*\0", b"MM\0*"), "a picture"),
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"SQLite format 3": "a database",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Office document",
    **dict.fromkeys((b"<!DO", b"<!do", b"<htm", b"<HTM", b"<?xm"), "a web page or XML file"),
    **dict.fromkeys((b"#EXTM3U", b"[playlist]"), "a playlist"),
}
_TS_PACKETS = (188, 192, 204)


def foreign_format(view: PatchedFile, start: int) -> str | None:
    """Return the kind of file that begins at `start`; None if it is not one of the known signatures.

    Parameters
    ----------
    view : PatchedFile
    start : int
        Offset after the ID3 tags in front.
    """
    head = view.at(start, 264)
    found = next((what for signature, what in _SIGNATURES.items() if head.startswith(signature)), None)
    if found is not None:
        return found
    if head[257:262] == b"ustar":
        return "a TAR archive"
    if head[:3] == b"\0\0\1" and head[3:4] >= b"\xb0":
        return "an MPEG video or program stream"
    if _is_transport_stream(view.at(start, 4 * max(_TS_PACKETS))):
        return "an MPEG transport stream"
    return None


def _is_transport_stream(data: bytes) -> bool:
    """Return whether a sync byte begins each of the first packets; those of M2TS have four bytes before it."""
    return any(
        len(data) > first + 2 * size and all(data[first + n * size] == 0x47 for n in range(3))
        for size in _TS_PACKETS
        for first in (0, 4)
    )

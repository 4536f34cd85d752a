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
    **dict.fromkeys((b".SoX", b"XoS."), "a SoX file"),
    **dict.fromkeys((b"\x64\xa3\1\0", b"\x64\xa3\2\0", b"\x64\xa3\3\0", b"\0\1\xa3\x64"), "an IRCAM file"),
    **dict.fromkeys((b"\x72\xf8\x1f\x4e", b"\xf8\x72\x4e\x1f"), "an S/PDIF stream"),
    **dict.fromkeys((b"\x56\xe0", b"\x56\xe1", b"\x56\xe2"), "a raw AAC file (LATM)"),
    **dict.fromkeys((b"PSID", b"RSID", b"NESM\x1a", b"SNES-SPC700", b"Vgm ", b"GBS\1", b"ZXAYEMUL"), "game music"),
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
    b"\0\nSMJPEG": "an SMJPEG video",
    b"\x84\x10\xff\xff\xff\xff": "a RoQ video",
    b"MPLS": "a Blu-ray playlist",
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
    b"\x04\x22\x4d\x18": "an LZ4 file",
    **dict.fromkeys((b"\x1f\x9d", b"\x1f\xa0"), "a compressed file"),
    b"\x60\xea": "an ARJ archive",
    **dict.fromkeys((b"SIT!", b"StuffIt"), "a StuffIt archive"),
    b"\xed\xab\xee\xdb": "an RPM package",
    b"LRZI": "an lrzip file",
    b"PAR2\0PKT": "a PAR2 file",
    b"d8:announce": "a torrent",
    **dict.fromkeys((b"conectix", b"QFI\xfb", b"KDMV", b"LUKS\xba\xbe", b"MEDIA DESCRIPTOR"), "a disk image"),
    **dict.fromkeys((b"Salted__", b"-----BEGIN "), "an encrypted file"),
    **dict.fromkeys((b"{\\rtf", b"%!PS", b"AT&TFORM"), "a document"),
    b"%PDF": "a PDF document",
    **dict.fromkeys((b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"8BPS", b"\0\0\1\0\1"), "a picture"),
    **dict.fromkeys((b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"dex\n", b"\0asm", b"Cr24"), "a program"),
    **dict.fromkeys((b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa"), "a program"),
    **dict.fromkeys((b"OTTO", b"wOFF", b"wOF2", b"\0\1\0\0\0", b"true\0"), "a font"),
    **dict.fromkeys((b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x0a\x0d\x0d\x0a"), "a capture of packets"),
    **dict.fromkeys((b"\0\5\x16\7", b"\0\5\x16\0", b"\0\0\0\1Bud1"), "metadata of macOS"),
    b"SQLite format 3": "a database",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Office document",
    **dict.fromkeys((b"<!DO", b"<!do", b"<htm", b"<HTM", b"<?xm"), "a web page or XML file"),
    **dict.fromkeys((b"#EXTM3U", b"[playlist]"), "a playlist"),
}
# Signatures that do not stand at the beginning.
_AT = {
    (257, b"ustar"): "a TAR archive",
    (60, b"BOOKMOBI"): "a document",
    (7, b"**ACE**"): "an ACE archive",
    (2, b"-lh"): "an LZH archive",
    (4, b"\xf8\x72\x6f\xba"): "a raw TrueHD file",
    (4, b"\xf8\x72\x6f\xbb"): "a raw MLP file",
    (44, b"SCRM"): "a tracker module",
    **dict.fromkeys(((1080, name) for name in (b"M.K.", b"M!K!", b"FLT4", b"6CHN", b"8CHN")), "a tracker module"),
    **dict.fromkeys(((at, b"CD001") for at in (32769, 37633)), "a disc image"),
}
_BY_FIRST_BYTE: dict[bytes, dict[bytes, str]] = {}  # there are too many to try them all
for _signature, _what in _SIGNATURES.items():
    _BY_FIRST_BYTE.setdefault(_signature[:1], {})[_signature] = _what
_TS_PACKETS = (188, 192, 204)
_HEAD = 1 << 12
_SHORTEST_TEXT = 16


def foreign_format(view: PatchedFile, start: int) -> str | None:
    """Return the kind of file that begins at `start`; None if it is not one of the known signatures.

    Parameters
    ----------
    view : PatchedFile
    start : int
        Offset after the ID3 tags in front.
    """
    head = view.at(start, _HEAD)
    known = _BY_FIRST_BYTE.get(head[:1], {})
    found = next((what for signature, what in known.items() if head.startswith(signature)), None)
    if found is None:
        found = next((what for (at, name), what in _AT.items() if _stands_at(view, start, head, at, name)), None)
    if found is not None:
        return found
    if _is_tar(head[:512]):
        return "a TAR archive"
    if _is_bitmap(head):
        return "a picture"
    if _is_text(head):
        return "a text file"
    if head[:3] == b"\0\0\1" and head[3:4] >= b"\xb0":
        return "an MPEG video or program stream"
    if _is_transport_stream(view.at(start, 4 * max(_TS_PACKETS))):
        return "an MPEG transport stream"
    return None


def _stands_at(view: PatchedFile, start: int, head: bytes, at: int, name: bytes) -> bool:
    if at + len(name) <= _HEAD:
        return head.startswith(name, at)
    return view.at(start + at, len(name)) == name


def _is_transport_stream(data: bytes) -> bool:
    """Return whether a sync byte begins each of the first packets; those of M2TS have four bytes before it."""
    return any(
        len(data) > first + 2 * size and all(data[first + n * size] == 0x47 for n in range(3))
        for size in _TS_PACKETS
        for first in (0, 4)
    )


def _is_tar(head: bytes) -> bool:
    """Return whether a header of an old TAR archive, without a signature, has the right checksum."""
    stated = head[148:156].strip(b"\0 ")
    if len(head) < 512 or not head[0] or not stated or stated.strip(b"01234567"):
        return False
    return int(stated, 8) == sum(head[:148]) + 8 * 0x20 + sum(head[156:])


def _is_bitmap(head: bytes) -> bool:
    return head.startswith(b"BM") and head[6:10] == bytes(4) and head[14:18] in (b"\x28\0\0\0", b"\x7c\0\0\0")


def _is_text(head: bytes) -> bool:
    """Return whether a file begins like a text: with much printable ASCII, or a byte order mark and text."""
    if head.startswith(b"\xff\xfe"):  # which may also begin a frame of layer I
        return len(head) > 4 and not any(head[3:_SHORTEST_TEXT:2])
    if head.startswith((b"\xef\xbb\xbf", b"\xfe\xff")):
        return True
    return len(head) >= _SHORTEST_TEXT and all(0x20 <= byte < 0x7F or byte in b"\t\n\r\f" for byte in head)

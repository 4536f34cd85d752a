"""The cover picture embedded in a file, as a small JPEG."""

from __future__ import annotations

import io

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from genrify_tagger.audio.demuxer import open_container
from genrify_tagger.audio.source import open_source

_SIDES = (1, 8192)  # in pixels; larger pictures are not decoded


def read_cover(path: str, size: int) -> bytes | None:
    """Return the embedded picture of a file, scaled to fit into a square, as JPEG; None if there is none.

    The picture is decoded and re-encoded, so that nothing else in its bytes can reach a browser.

    Parameters
    ----------
    path : str
    size : int
        Side of the square, in pixels.

    Raises
    ------
    DecodeError
        If it is not an audio file.
    """
    with open_source(path, with_tags=True) as source, open_container(source) as container:
        for stream in container.streams.video:
            try:
                frame = _picture(container, stream)
                return None if frame is None else _as_jpeg(frame, size)
            except av.FFmpegError:
                continue
    return None


def _picture(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    codec = stream.codec_context
    least, most = _SIDES
    if codec is None or not (least <= codec.width <= most and least <= codec.height <= most):
        return None
    codec.thread_count = 1
    for packet in container.demux(stream):
        for frame in codec.decode(packet):
            return frame
        break  # a cover is one packet; videos are not searched
    return next(iter(codec.decode(None)), None)


def _as_jpeg(frame: VideoFrame, size: int) -> bytes:
    share = min(1.0, size / max(frame.width, frame.height))
    width, height = (max(2, round(side * share / 2) * 2) for side in (frame.width, frame.height))
    small = frame.reformat(width=width, height=height, format="yuvj420p")
    made = io.BytesIO()
    with av.open(made, "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        stream.codec_context.qmin = stream.codec_context.qmax = 4
        out.mux(stream.encode(small))
        out.mux(stream.encode(None))
    return made.getvalue()

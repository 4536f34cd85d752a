"""Last.fm on a socket of this machine: a proxy that answers every call for top tags itself, over TLS."""

from __future__ import annotations

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

from tests import media

HOST = "ws.audioscrobbler.com"


@contextlib.contextmanager
def answering(folder: Path, tags: dict[str, str]) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Answer for as long as the block lasts.

    Parameters
    ----------
    folder : Path
        For the certificate.
    tags : dict of str to str
        Artist or album to its top tag; others have none.

    Yields
    ------
    environment : dict of str to str
        What leads a program to this Last.fm.
    calls : list of str
        The methods that were called, as they come.
    """
    certificate, key = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    calls: list[str] = []
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.context, server.tags, server.calls = context, tags, calls
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            proxy = f"http://127.0.0.1:{server.server_address[1]}"
            yield {"HTTPS_PROXY": proxy, "https_proxy": proxy, "SSL_CERT_FILE": str(certificate), "NO_PROXY": ""}, calls
        finally:
            server.shutdown()
            thread.join()


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "lastfm.pem", folder / "lastfm.key"
    names = ("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}")
    make = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", certificate)
    media.run(media.need("openssl"), *make, *names)
    return certificate, key


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    context: ssl.SSLContext
    tags: dict[str, str]
    calls: list[str]


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        head = self._until_blank_line(self.request)
        assert head.startswith(f"CONNECT {HOST}:443".encode()), head
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with contextlib.suppress(OSError), self.server.context.wrap_socket(self.request, server_side=True) as secure:
            self._answer(secure)

    def _answer(self, secure: ssl.SSLSocket) -> None:
        head = self._until_blank_line(secure)
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        length = int(fields.get(b"content-length", b"0"))
        body = head.partition(b"\r\n\r\n")[2]
        while len(body) < length:
            body += secure.recv(4096)
        asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.server.calls.append(asked["method"])
        reply = self._top_tags(asked).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(reply)}\r\nConnection: close\r\n\r\n"
        secure.sendall(head.encode() + reply)

    def _top_tags(self, asked: dict[str, str]) -> str:
        tag = self.server.tags.get(asked.get("album") or asked.get("artist", ""))
        inner = f"<tag><name>{tag}</name><count>100</count><url>u</url></tag>" if tag else ""
        return f'<?xml version="1.0"?><lfm status="ok"><toptags>{inner}</toptags></lfm>'

    @staticmethod
    def _until_blank_line(connection: ssl.SSLSocket) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head and (more := connection.recv(4096)):
            head += more
        return head

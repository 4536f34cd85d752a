"""Make the pictures of the page: `python -m docs.screenshots` from the project's folder.

Real songs (the freely licensed clips of the tests) in a real library, in a real browser; written to docs/pictures/.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import mediafile
from PIL import Image  # comes with matplotlib

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests import media
from tests.browser import browsing, dress, until
from tests.page import serving
from tests.program import Program

TARGET = Path(__file__).parent / "pictures"
SONGS = (
    ("mp3-v2.3", "Kevin MacLeod/Jazz", "Vibe Ace", "Kevin MacLeod", "Jazz Sampler", media.JAZZ),
    ("flac", "Brahms/Dances", "Hungarian Dance", "Johannes Brahms", "Hungarian Dances", media.CLASSICAL),
    ("m4a-aac", "Kevin MacLeod/Jazz", "Vibe Ace (evening)", "Kevin MacLeod", "Jazz Sampler", media.JAZZ),
    ("opus", "Brahms/Dances", "Hungarian Dance (morning)", "Johannes Brahms", "Hungarian Dances", media.CLASSICAL),
)
COVERS = {"Jazz Sampler": ("0x1b2a49", "0xd98e2b"), "Hungarian Dances": ("0x5b1a2e", "0xe7c8a0")}


def make_song(folder: Path, kind: str, place: str, title: str, artist: str, album: str, source: Path) -> Path:
    """Make one song of the library, with a cover of two colours."""
    song = media.make(kind, folder / place, title, source=source)
    cover = folder.parent / "cover.png"
    one, two = COVERS[album]
    media.ffmpeg(
        "-f", "lavfi", "-i", f"gradients=s=500x500:c0={one}:c1={two}:x0=0:y0=0:x1=500:y1=500", "-frames:v", "1", cover
    )
    tags = mediafile.MediaFile(song)
    tags.title, tags.artist, tags.album = title, artist, album
    tags.images = [mediafile.Image(data=cover.read_bytes())]
    tags.save()
    return song


def main() -> None:
    """Make all pictures."""
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = Program(folder / "home")
        program.home.mkdir()
        songs = [make_song(folder / "music", *song) for song in SONGS]
        program.scan(folder / "music")
        with serving(program) as page, browsing(str(folder / "profile"), size=(1120, 860)) as browser:
            find = lambda selector: browser.find_element("css selector", selector)  # noqa: E731
            for picture, size, dark in (
                ("song", (1120, 860), False),
                ("song-dark", (1120, 860), True),
                ("phone", (390, 844), False),
            ):
                dress(browser, size=size, dark=dark)
                browser.get(page.address + "/history")
                browser.execute_script("sessionStorage.clear()")
                browser.get(page.address + "/")
                find("#files").send_keys("\n".join(map(str, songs[1::-1])))
                until(lambda: find("[data-genre]").text)
                until(lambda: browser.execute_script("return document.querySelector('[data-mel]').naturalWidth") > 100)
                find("[data-play]").click()
                time.sleep(4)
                find("[data-play]").click()
                time.sleep(0.5)
                browser.save_screenshot(str(TARGET / f"{picture}.png"))
            dress(browser, size=(390, 844))
            browser.get(page.address + "/unsure")
            until(lambda: find("[data-genre]").text)
            until(lambda: browser.execute_script("return document.querySelector('[data-mel]').naturalWidth") > 100)
            time.sleep(1)
            browser.save_screenshot(str(TARGET / "phone-unsure.png"))
            dress(browser, size=(1120, 800))
            browser.get(page.address + "/library")
            time.sleep(2)
            browser.save_screenshot(str(TARGET / "library.png"))
    for made in TARGET.iterdir():
        Image.open(made).convert("RGB").quantize(96).save(made, optimize=True)
        print(f"{made.name}  {made.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()

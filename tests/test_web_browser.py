"""The page in a real browser, with real songs: mouse and keyboard, light and dark theme, desktop and phone."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import mediafile
import pytest

from tests import media
from tests.browser import DESKTOP, PHONE, browsing, dress, faults, need_browser, until
from tests.in_process import InProcessProgram
from tests.learning import GENRES, add_real_songs, fill, settings_at
from tests.page import Page, serving
from tests.program import Program

MARKUP = "<img src=x onerror=alert(1)>"


def make_jazz(kind: str, folder: Path, number: int, name: str) -> Path:
    """Make a song that is unsure, and whose audio is that of no other number."""
    source = folder.parent / f"source-{number}.wav"
    folder.mkdir(parents=True, exist_ok=True)
    media.ffmpeg("-ss", str(number / 20), "-i", media.JAZZ, source)
    song = media.make(kind, folder, name, source=source)
    source.unlink()
    return song


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    need_browser()
    program, music = Program(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("music")
    media.make("flac", music / "Brahms", "dance", source=media.CLASSICAL)
    for number in range(6):
        make_jazz(("mp3-v2.3", "wma")[number % 2], music / "Combo", number, f"jam-{number}")
    hostile = media.make("mp3-v2.4", music / "Odd", "odd")
    tagged = mediafile.MediaFile(hostile)
    tagged.title, tagged.artist = MARKUP, f"<b>{MARKUP}</b>"
    tagged.save()
    program.scan(music)
    with (
        serving(program) as page,
        browsing(str(tmp_path_factory.mktemp("profile"))) as browser,
    ):
        yield music, page, browser


@pytest.fixture
def music(made) -> Path:
    return made[0]


@pytest.fixture
def page(made) -> Page:
    return made[1]


@pytest.fixture
def browser(made):
    browser = made[2]
    browser.get_log("browser")
    dress(browser, size=DESKTOP)
    yield browser
    problems = [entry for entry in browser.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}]
    assert problems == []


def one(browser, selector):
    return browser.find_element("css selector", selector)


def all_of(browser, selector):
    return browser.find_elements("css selector", selector)


def keys(browser, *pressed) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*pressed).perform()


def playing(browser) -> bool:
    return "playing" in one(browser, "[data-play], [data-bar-play]").get_attribute("class")


def picture_ready(browser) -> bool:
    return browser.execute_script("return document.querySelector('[data-mel]').naturalWidth") > 100


def drop(browser, page, *songs) -> None:
    browser.get(page.address + "/history")
    browser.execute_script("sessionStorage.clear()")
    browser.get(page.address + "/")
    one(browser, "#files").send_keys("\n".join(map(str, songs)))


def covered(browser, element) -> bool:
    """Whether something else lies on the middle of an element."""
    return browser.execute_script(
        "const [e] = arguments; e.scrollIntoView({block: 'nearest'}); const r = e.getBoundingClientRect();"
        "return !e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2));",
        element,
    )


def key_of(browser, genre: str) -> str:
    """Return the key that chooses a genre for the song in the unsure queue."""
    return next(
        button.get_attribute("data-key")
        for button in all_of(browser, "[data-choices] button")
        if button.text.endswith(genre)
    )


def at_rest(browser) -> bool:
    return one(browser, "[data-queue]").get_attribute("aria-busy") == "false"


def shown_title(browser) -> str:
    return one(browser, "[data-title]").text


def genres_in(path: Path) -> list[str]:
    return mediafile.MediaFile(path).genres or []


def test_drop_a_song_see_its_genre_and_play_it(page, browser, tmp_path):
    song = media.make("wma", tmp_path, source=media.CLASSICAL)
    drop(browser, page, song)
    until(lambda: one(browser, "[data-genre]").text == "Classical", "the genre")
    assert shown_title(browser) == "A title"
    assert "quite sure" in one(browser, "[data-confidence]").text
    assert len(all_of(browser, "[data-bars] li")) == 12
    assert len(all_of(browser, "[data-timeline] li")) == 4
    until(lambda: picture_ready(browser), "the picture")
    one(browser, "[data-play]").click()
    until(lambda: playing(browser), "the sound")
    assert one(browser, "[data-note]").text == "converted for the browser"
    place = "return parseFloat(getComputedStyle(document.querySelector('[data-cursor]')).left)"
    first = browser.execute_script(place)
    until(lambda: browser.execute_script(place) > first + 5, "the cursor moves")
    one(browser, "[data-play]").click()
    until(lambda: not playing(browser))
    until(lambda: all_of(browser, "[data-similar-list] li"), "what sounds like it")


def test_several_songs_make_a_playlist_that_plays_on(page, browser, tmp_path):
    songs = [media.make(kind, tmp_path, f"{n} song") for n, kind in enumerate(["wav", "mp3-bare", "ape"])]
    drop(browser, page, *songs)
    until(lambda: len(all_of(browser, "[data-playlist] li small")) == 3)
    until(lambda: all("0." in words.text for words in all_of(browser, "[data-playlist] li small")), "all are analysed")
    names = [label.text for label in all_of(browser, ".pick-song span")]
    assert names == ["A title – An artist", "1 song.mp3", "A title – An artist"]
    all_of(browser, ".pick-song")[0].click()  # the first is shown already, so this plays it
    until(lambda: playing(browser), "the sound")
    browser.execute_script("document.querySelector('[data-seek]').focus()")
    keys(browser, "\ue010")  # End
    until(lambda: shown_title(browser) == "1 song.mp3", "the next song")
    until(lambda: playing(browser), "the next song plays")
    browser.refresh()
    until(lambda: len(all_of(browser, "[data-playlist] li")) == 3, "the playlist outlives a reload")
    one(browser, "[data-clear]").click()
    until(lambda: not all_of(browser, "[data-playlist] li"))


def test_the_page_guesses_nothing_for_silence(page, browser, tmp_path):
    silent = tmp_path / "silent.flac"
    media.ffmpeg("-f", "lavfi", "-i", "anullsrc", "-t", "12", silent)
    drop(browser, page, silent)
    until(lambda: one(browser, "[data-genre]").text == "Silence", "the answer")
    assert one(browser, "[data-confidence]").text == "" and all_of(browser, "[data-bars] li") == []
    assert {part.text for part in all_of(browser, "[data-timeline] li")} == {"silence"}
    assert one(browser, "[data-playlist] small").text == "Silence"
    assert one(browser, "[data-genre-input]").get_attribute("value") == ""


def test_a_wrong_file_is_reported(page, browser, tmp_path):
    text, broken = tmp_path / "notes.txt", tmp_path / "broken.mp3"
    text.write_text("no song")
    broken.write_text("no song")
    drop(browser, page, text, broken)
    until(lambda: len(all_of(browser, "[data-playlist] .bad")) == 2)
    assert "not an audio file" in one(browser, "[data-playlist]").text
    one(browser, "[data-clear]").click()
    until(lambda: not all_of(browser, "[data-playlist] li"))
    browser.get_log("browser")  # a browser notes each refusal


def test_find_play_correct_and_undo(music, page, browser):
    song = music / "Combo" / "jam-0.mp3"
    before = song.read_bytes()
    browser.get(page.address + "/library")
    assert len(all_of(browser, "tr[data-id]")) == 8
    one(browser, "#q").send_keys("JAM-0\n")
    until(lambda: len(all_of(browser, "tr[data-id]")) == 1)
    until(lambda: one(browser, "[data-name]").text == "A title", "the title")
    assert one(browser, "[data-artist]").text == "An artist"
    one(browser, "[data-play-track]").click()
    until(lambda: playing(browser), "the sound")
    one(browser, "[data-pick]").click()
    one(browser, "#bulk-genre").send_keys("Bossa Nova\n")
    until(lambda: "A title: Bossa Nova written" in one(browser, "[data-toasts]").text, "the word")
    assert genres_in(song) == ["Bossa Nova"]
    until(lambda: one(browser, "[data-status]").text == "kept")
    assert one(browser, "[data-says]").text == "Bossa Nova"
    assert "?" not in one(browser, "[data-suggestion]").text
    one(browser, "[data-pick]").click()
    for bar in all_of(browser, "[data-bulk] button, #bulk-genre, [data-bar] button, [data-bar-seek]"):
        assert not covered(browser, bar), bar.get_attribute("outerHTML")
    browser.get(page.address + "/history")
    all_of(browser, "[data-undo-run]")[0].click()
    until(lambda: "undone" in one(browser, "[data-toasts]").text)
    assert song.read_bytes() == before


def test_accept_many_at_once_and_undo_from_the_message(music, page, browser):
    songs = [music / "Combo" / f"jam-{number}.mp3" for number in (2, 4)]
    browser.get(page.address + "/library?format=MP3&folder=" + str(music / "Combo"))
    boxes = all_of(browser, "[data-pick]")
    assert len(boxes) == 3
    one(browser, "[data-all]").click()
    assert one(browser, "[data-picked]").text == "3"
    one(browser, "[data-accept]").click()
    until(lambda: "3 songs: suggestion accepted" in one(browser, "[data-toasts]").text)
    assert [genres_in(song) for song in songs] == [["Jazz"]] * 2
    one(browser, ".toast button").click()
    until(lambda: "undone" in one(browser, "[data-toasts]").text)
    assert [genres_in(song) for song in songs] == [[], []]
    until(lambda: [cell.text for cell in all_of(browser, "[data-says]")] == ["–"] * 3, "the rows as they are")
    assert one(browser, "[data-state]").text == "unsure\na genre set by hand was undone"


def test_decide_by_keys_alone(page, browser, tmp_path_factory):
    program, music = Program(tmp_path_factory.mktemp("keys")), tmp_path_factory.mktemp("keys-music")
    for number in range(4):
        make_jazz("mp3-v2.3", music, number, str(number))
    program.scan(music)
    with serving(program) as own:
        browser.get(own.address + "/unsure")
        until(lambda: shown_title(browser) == "A title")
        assert one(browser, "[data-left]").text == "4 to decide"
        keys(browser, " ")
        until(lambda: playing(browser), "space plays")
        keys(browser, "a")
        until(lambda: one(browser, "[data-left]").text == "3 to decide" and at_rest(browser), "accepted")
        until(lambda: playing(browser), "the next one plays by itself")
        keys(browser, key_of(browser, "Pop"))
        until(lambda: one(browser, "[data-left]").text == "2 to decide" and at_rest(browser), "chosen")
        keys(browser, "n")
        time.sleep(0.2)
        until(lambda: at_rest(browser))
        assert one(browser, "[data-left]").text == "2 to decide"
        assert sorted(genres_in(song) for song in music.iterdir()) == [[], [], ["Jazz"], ["Pop"]]
        until(lambda: one(browser, "[data-undo]").is_enabled())
        keys(browser, "u")
        until(lambda: one(browser, "[data-left]").text == "3 to decide" and at_rest(browser), "taken back")
        assert sorted(genres_in(song) for song in music.iterdir()) == [[], [], [], ["Jazz"]]
        one(browser, ".other-genres summary").click()
        one(browser, "#other").send_keys("an8")  # letters and digits are words here
        assert one(browser, "[data-left]").text == "3 to decide"
        browser.get("about:blank")


@pytest.fixture
def undecided(tmp_path_factory):
    """A running page over four songs that the program is unsure of, and their folder."""
    program, music = Program(tmp_path_factory.mktemp("queue")), tmp_path_factory.mktemp("queue-music")
    for number in range(4):
        make_jazz("mp3-v2.3", music, number, str(number))
    program.scan(music)
    with serving(program) as own:
        yield own, music


def test_a_song_that_cannot_be_shown_is_skipped(undecided, browser):
    own, music = undecided
    order = [track["name"] for track in own.get("/api/tracks", status="unsure", order="margin").json["tracks"]]
    browser.get(own.address + "/unsure")
    until(lambda: shown_title(browser) == "A title" and at_rest(browser))
    (music / order[1]).rename(music / "renamed.ogg.part")
    keys(browser, "n")
    until(lambda: "A title is skipped" in one(browser, "[data-toasts]").text and at_rest(browser))
    keys(browser, " ")
    until(lambda: playing(browser), "the sound")
    assert one(browser, "[data-note]").text == ""
    keys(browser, "a")
    until(lambda: "A title: Jazz written" in one(browser, "[data-toasts]").text and at_rest(browser))
    assert [name for name in order if (music / name).exists() and genres_in(music / name)] == [order[2]]
    browser.get("about:blank")
    browser.get_log("browser")  # a browser notes each refusal


def test_what_is_accepted_is_what_is_shown(program, browser, tmp_path):
    song = media.make("mp3-v2.3", tmp_path / "music")
    program.scan(song, "--min-confidence", "1")
    with closing(sqlite3.connect(program.database)) as database, database:
        database.execute('UPDATE files SET scores = \'{"pop": 0.6, "jazz": 0.4}\'')  # as another model scored it
    with serving(program) as own:
        browser.get(own.address + "/unsure")
        until(lambda: one(browser, "[data-genre]").text == "Jazz?" and at_rest(browser), "the genre")
        assert one(browser, "[data-accept-words]").text == "Accept Jazz"
        keys(browser, "a")
        until(lambda: "Jazz" in one(browser, "[data-toasts]").text, "accepted")
        assert genres_in(song) == ["Jazz"]
        browser.get("about:blank")


def test_undo_in_an_older_message_undoes_its_own_decision(undecided, browser):
    own, music = undecided
    order = [track["name"] for track in own.get("/api/tracks", status="unsure", order="margin").json["tracks"]]
    browser.get(own.address + "/unsure")
    until(lambda: shown_title(browser) == "A title")
    for choose, count in ((lambda: "a", 3), (lambda: key_of(browser, "Pop"), 2)):
        keys(browser, choose())
        until(lambda count=count: one(browser, "[data-left]").text == f"{count} to decide" and at_rest(browser))
    choices = all_of(browser, "[data-choices] button, [data-accept], [data-next], [data-undo], [data-play]")
    assert [what.text for what in choices if covered(browser, what)] == []
    all_of(browser, ".toast button")[0].click()
    until(lambda: one(browser, "[data-left]").text == "3 to decide" and at_rest(browser), "taken back")
    assert [genres_in(music / name) for name in order] == [[], ["Pop"], [], []]
    browser.get("about:blank")


def test_the_keyboard_reaches_everything(page, browser):
    browser.get(page.address + "/library")
    reached = set()
    keys(browser, "\ue004")
    assert browser.switch_to.active_element.text == "Skip to the content"
    for _ in range(60):
        keys(browser, "\ue004")
        element = browser.switch_to.active_element
        plays = element.get_attribute("data-play-track") and "play"
        reached.add(plays or element.get_attribute("id") or element.text)
        outline = element.value_of_css_property("outline-style")
        assert outline != "none" or element.tag_name == "body" or element.get_attribute("id") == "main", (
            element.get_attribute("outerHTML")
        )
    assert {"Library", "Unsure", "q", "status", "genre-filter", "play"} <= {word.split("\n")[0] for word in reached} | {
        "Unsure" if any(word.startswith("Unsure") for word in reached) else ""
    }


def test_titles_are_text(music, page, browser):
    browser.get(page.address + "/library?q=odd")
    until(lambda: MARKUP in one(browser, "[data-name]").text)
    one(browser, "[data-name]").click()
    until(lambda: shown_title(browser) == MARKUP)
    assert browser.execute_script("return [...document.images].filter((i) => i.src.endsWith('/x')).length") == 0


def test_filters_narrow_and_pages_turn(page, browser):
    browser.get(page.address + "/library")
    browser.execute_script(
        "const s = document.querySelector('#status'); s.value = 'unsure';"
        "s.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    until(lambda: "status=unsure" in browser.current_url)
    assert "sort=" not in browser.current_url and "q=" not in browser.current_url
    assert {cell.text for cell in all_of(browser, "[data-status]")} == {"unsure"}
    browser.get(page.address + "/library?sort=surest")
    shown = [float(cell.text) for cell in all_of(browser, ".suggestion small")]
    assert shown == sorted(shown, reverse=True)


def test_back_restores_the_filters_of_the_address(page, browser):
    browser.get(page.address + "/library")
    browser.execute_script(
        "const s = document.querySelector('#status'); s.value = 'unsure';"
        "s.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    until(lambda: "status=unsure" in browser.current_url)
    one(browser, "#q").send_keys("jam\n")
    until(lambda: "q=jam" in browser.current_url)
    for status in ("unsure", ""):
        browser.back()
        until(lambda: "q=jam" not in browser.current_url and one(browser, "#q"))
        until(lambda status=status: one(browser, "#status").get_property("value") == status, "the filters")
        assert one(browser, "#q").get_property("value") == ""
    one(browser, "[data-all]").click()
    one(browser, "[data-name]").click()
    until(lambda: "/tracks/" in browser.current_url)
    browser.back()
    until(lambda: "/library" in browser.current_url and all_of(browser, "tr[data-id]"))
    until(lambda: one(browser, "[data-bulk]").is_displayed() == one(browser, "[data-pick]").is_selected())


def test_the_focus_stays_where_something_was_done(page, browser):
    browser.get(page.address + "/library?q=jam-2")
    one(browser, "[data-pick]").click()
    one(browser, "#bulk-genre").send_keys("Swing\n")
    until(
        lambda: (
            "A title: Swing written" in one(browser, "[data-toasts]").text
            and not one(browser, "[data-bulk]").is_displayed()
        )
    )
    assert browser.execute_script("return document.activeElement.matches('[data-pick]')")
    browser.get(page.address + "/history")
    browser.execute_script("document.querySelector('[data-undo-run]').focus()")
    keys(browser, "\ue007")
    until(lambda: "undone" in one(browser, "[data-toasts]").text)
    until(lambda: browser.execute_script("return document.activeElement.textContent") == "undone", "the focus")


def test_a_damaged_database_is_reported(program, browser, tmp_path):
    program.scan(media.make("flac", tmp_path / "music"))
    with serving(program) as own:
        browser.get(own.address + "/")
        for file in program.database.parent.glob("library.db*"):
            if file.is_file():  # not the folder of the embeddings
                file.write_bytes(b"no database" * 1000)
        browser.get(own.address + "/unsure")
        for place in ("[data-toasts]", "[data-service-words]"):  # the toast goes away by itself
            until(lambda place=place: "damaged or is not a database" in one(browser, place).text, place)
        browser.get("about:blank")
    browser.get_log("browser")  # a browser notes each refusal


def test_undo_is_within_reach_on_a_phone(page, browser):
    run = page.post("/api/genres", {"ids": [page.track("jam-4")["id"]], "genres": ["Jazz"]})["run"]
    dress(browser, size=PHONE)
    for address, undo in (
        ("/history", f"[data-undo-run='{run}']"),
        (f"/history/{run}", "[data-undo-change]"),
        (f"/tracks/{page.track('jam-4')['id']}", "[data-undo-change]"),
    ):
        browser.get(page.address + address)
        place = one(browser, undo).rect
        assert place["x"] >= 0 and place["x"] + place["width"] <= PHONE[0], (address, place)
    one(browser, "[data-undo-change]").click()
    until(lambda: "undone" in one(browser, "[data-toasts]").text)


@pytest.fixture
def albums(tmp_path):
    """A running page over two albums, one with a cover, and its folder."""
    program, music = Program(tmp_path / "home"), tmp_path / "music"
    program.home.mkdir()
    media.ffmpeg("-f", "lavfi", "-i", "testsrc=s=400x400", "-frames:v", "1", tmp_path / "cover.png")
    for number in range(3):
        song = make_jazz("mp3-v2.3", music / "Jazz", number, str(number))
        tags = mediafile.MediaFile(song)
        tags.title, tags.album = f"Tune {number}", "Tunes"
        tags.images = [mediafile.Image(data=(tmp_path / "cover.png").read_bytes())]
        tags.save()
    media.make("flac", music / "Other", "dance", source=media.CLASSICAL)
    program.scan(music)
    with serving(program) as own:
        yield own, music


def test_an_album_is_accepted_at_once_and_undone(albums, browser):
    own, music = albums
    songs = [music / "Jazz" / f"{number}.mp3" for number in range(3)]
    browser.get(own.address + "/library")
    album = next(one for one in all_of(browser, "[data-album]") if "Tunes" in one.text)
    until(
        lambda: browser.execute_script("return arguments[0].querySelector('[data-cover]').naturalWidth", album) == 320,
        "the cover",
    )
    accept = album.find_element("css selector", "[data-accept-album]")
    assert accept.text == "Accept 3 suggestions"
    accept.click()
    until(lambda: "3 songs: suggestion accepted" in one(browser, "[data-toasts]").text)
    assert [genres_in(song) for song in songs] == [["Jazz"]] * 3
    until(lambda: not accept.is_displayed(), "nothing is left to accept")
    assert genres_in(music / "Other" / "dance.flac") == ["Classical"]
    one(browser, ".toast button").click()
    until(lambda: "3 songs: undone" in one(browser, "[data-toasts]").text)
    assert [genres_in(song) for song in songs] == [[]] * 3
    until(lambda: accept.text == "Accept 3 suggestions", "they can be accepted again")
    album.find_element("css selector", "[data-all-of-album]").click()
    assert one(browser, "[data-picked]").text == "3"
    browser.get("about:blank")


def test_on_a_phone_the_answers_are_within_the_thumb_s_reach(undecided, browser):
    own, music = undecided
    dress(browser, size=PHONE)
    browser.get(own.address + "/unsure")
    until(lambda: shown_title(browser) == "A title" and at_rest(browser))
    accept, choices = one(browser, "[data-accept]"), all_of(browser, "[data-choices] button")
    assert len(choices) == 10
    assert accept.rect["y"] < min(choice.rect["y"] for choice in choices)
    for button in (accept, *choices):
        place = browser.execute_script(
            "const r = arguments[0].getBoundingClientRect(); return [r.top, r.bottom]", button
        )
        assert PHONE[1] / 2 < place[0] and place[1] <= PHONE[1], button.text
        assert not covered(browser, button), button.text
    assert choices[0].text == "Jazz" and accept.text == "Accept Jazz"
    scores = [bar.text for bar in all_of(browser, "[data-bars] li > span:first-child")]
    assert [choice.text for choice in choices] == scores[:10], "likeliest first"
    assert not any(key.is_displayed() for key in all_of(browser, "kbd"))
    accept.click()
    until(lambda: "A title: Jazz written" in one(browser, "[data-toasts]").text and at_rest(browser))
    left = one(browser, "[data-left]").text
    assert (left, one(browser, "[data-unsure-count]").text) == ("3 to decide", "3")
    assert sum(genres_in(song) == ["Jazz"] for song in music.iterdir()) == 1
    browser.get("about:blank")


def test_on_a_phone_filters_fold_away_and_the_navigation_is_one_row(page, browser):
    dress(browser, size=PHONE)
    browser.get(page.address + "/library")
    until(lambda: not one(browser, "#status").is_displayed(), "the filters are folded")
    assert one(browser, "#q").is_displayed() and one(browser, "#sort").is_displayed()
    one(browser, ".more-filters summary").click()
    assert one(browser, "#status").is_displayed()
    until(lambda: one(browser, "[data-unsure-count]").text, "the badge")
    links = [link.rect for link in all_of(browser, "nav[aria-label=Main] a")]
    assert len(links) == 6 and len({link["y"] for link in links}) == 1
    assert links[0]["x"] >= 0 and links[-1]["x"] + links[-1]["width"] <= PHONE[0]
    row = one(browser, "tr[data-id]")
    assert row.text.index("A title") < row.text.index("An artist")
    browser.get(page.address + f"/tracks/{page.track('brahms')['id']}")
    until(lambda: one(browser, "[data-legend]").text == "Classical", "the colours have names")


def test_one_number_stands_for_the_confidence_and_none_is_a_percentage(page, browser):
    track = page.track("brahms")
    browser.get(page.address + f"/tracks/{track['id']}")
    until(lambda: one(browser, "[data-genre]").text)
    sure = f"{track['confidence']:.2f}"
    assert one(browser, "[data-confidence]").text.startswith(f"confidence {sure}, ")
    assert re.search(r"; Classical 0\.\d\d: Classical is written$", one(browser, "[data-confidence]").text)
    assert "%" not in one(browser, "main").text
    browser.get(page.address + "/library?q=brahms")
    assert one(browser, "[data-suggestion] small").text == sure


def test_a_genre_is_removed_only_where_there_is_one(page, browser):
    track = page.track("jam-4")
    browser.get(page.address + f"/tracks/{track['id']}")
    until(lambda: one(browser, "[data-genre]").text)
    assert track["genres"] == [] and not one(browser, "[data-remove-genre]").is_displayed()
    one(browser, "#genre").clear()
    one(browser, "#genre").send_keys("Swing\n")
    until(lambda: "A title: Swing written" in one(browser, "[data-toasts]").text)
    one(browser, "[data-remove-genre]").click()
    until(lambda: "A title: genre removed" in one(browser, "[data-toasts]").text)
    assert not one(browser, "[data-remove-genre]").is_displayed()


@pytest.fixture(scope="module")
def teaching(tmp_path_factory):
    """A running page over a library to learn from, with three wrong genres and a dozen unsure songs, and its folder."""
    program, music = InProcessProgram(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("taught")
    wrong = [(f"Wrong {number}", f"Someone {number}", "Kids", "Doom Metal") for number in range(3)]
    unsure = [(f"Unsure {number:02}", f"Artist {number}", "", GENRES[number % 3]) for number in range(12)]
    add_real_songs(program, music, [*wrong, *unsure])
    fill(settings_at(program.database))
    with serving(program) as own:
        yield own, music


def test_the_audit_starts_by_itself_and_is_answered_and_undone(teaching, browser):
    own, music = teaching
    browser.get(own.address + "/audit")
    rows = until(lambda: all_of(browser, "tr[data-id]"), "the list")
    assert len(rows) == 3 == int(one(browser, "[data-undecided]").text)
    one(browser, "[data-play-track]").click()
    until(lambda: playing(browser), "the sound")
    for answer, done in (("[data-accept]", "Doom Metal written"), ("[data-keep]", "kept")):
        title = rows[0].find_element("css selector", "[data-name]").text
        song = music / f"{title}.flac"
        before = song.read_bytes()
        browser.execute_script("arguments[0].focus()", rows[0].find_element("css selector", answer))
        keys(browser, "\ue007")
        until(lambda title=title, done=done: f"{title}: {done}" in one(browser, "[data-toasts]").text, "the answer")
        assert genres_in(song) == (["Doom Metal"] if answer == "[data-accept]" else ["Kids"])
        assert not rows[0].is_displayed() and one(browser, "[data-undecided]").text == "2"
        focus = browser.execute_script("return document.activeElement")
        assert focus == rows[1].find_element("css selector", answer), "the next song is a key away"
        all_of(browser, ".toast button")[-1].click()
        until(lambda: rows[0].is_displayed(), "taken back")
        assert song.read_bytes() == before
    one(browser, "[data-start-audit]").click()
    until(lambda: all_of(browser, "tr[data-id]") and all_of(browser, "tr[data-id]") != rows, "a new list")
    for size, dark in ((DESKTOP, True), (PHONE, False)):
        dress(browser, size=size, dark=dark)
        assert faults(browser) == []
        for button in all_of(browser, "tr[data-id] button"):
            assert button.rect["x"] >= 0 and button.rect["x"] + button.rect["width"] <= size[0]
    browser.get("about:blank")


def test_after_ten_answers_the_page_learns_and_offers_the_learned_genres(teaching, browser):
    own, _ = teaching
    first = own.get("/api/tracks", status="unsure", order="margin").json["tracks"][0]
    browser.get(own.address + "/unsure")
    browser.execute_script("sessionStorage.setItem('answers', 9)")
    until(lambda: shown_title(browser) == first["title"] and at_rest(browser), "the most informative song")
    assert not one(browser, "[data-learn]").is_displayed()
    keys(browser, "a")
    until(lambda: "answered 10 songs" in one(browser, "[data-learn-words]").text, "the offer")
    one(browser, "[data-learn-start]").click()
    until(lambda: one(browser, "[data-learn-use]").is_displayed(), "it has learned")
    assert "for new artists" in one(browser, "[data-learn-words]").text
    one(browser, "[data-learn-use]").click()
    offered = (
        "return [...document.querySelectorAll('[data-choices] button')].map((button) => button.lastChild.data).sort()"
    )
    until(lambda: at_rest(browser) and browser.execute_script(offered) == sorted(GENRES), "the learned genres")
    assert not one(browser, "[data-learn]").is_displayed()
    assert "compared with your songs" in one(browser, "[data-why]").text
    assert faults(browser) == []
    browser.execute_script("sessionStorage.clear()")
    browser.get("about:blank")


def test_below_a_base_path_the_page_works(program, browser, tmp_path):
    song = media.make("flac", tmp_path / "music", source=media.CLASSICAL)
    media.make("mp3-v2.3", tmp_path / "music", "other", genre="Jazz")
    program.scan(tmp_path / "music")
    with serving(program, GENRIFY_WEB__BASE_PATH="/genrify") as own:
        browser.get(own.address + "/genrify/")
        browser.execute_script("sessionStorage.clear()")
        one(browser, "#files").send_keys(str(song))
        until(lambda: one(browser, "[data-genre]").text == "Classical", "the genre")
        until(lambda: picture_ready(browser), "the picture")
        until(lambda: all_of(browser, "[data-similar-list] a"), "similar songs")
        all_of(browser, "[data-similar-list] a")[0].click()
        until(lambda: "/genrify/tracks/" in browser.current_url and one(browser, "[data-genre]").text, "the track")
        one(browser, "[data-play]").click()
        until(lambda: playing(browser), "the sound")
        one(browser, "[data-remove-genre]").click()
        until(lambda: "genre removed" in one(browser, "[data-toasts]").text)
        browser.get("about:blank")


PAGES = ("/", "/library", "/unsure", "/audit", "/overview", "/history", "/history/1", "track", "song")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_axe_finds_no_fault_and_nothing_runs_off_the_screen(page, browser, tmp_path, size, dark):
    song = media.make("flac", tmp_path, source=media.CLASSICAL)
    dress(browser, size=size, dark=dark)
    for name in PAGES:
        if name == "song":
            drop(browser, page, song)
        else:
            browser.get(page.address + (f"/tracks/{page.track('brahms')['id']}" if name == "track" else name))
        if name in {"song", "track", "/unsure"}:
            until(lambda: one(browser, "[data-genre]").text, name)
            until(lambda: picture_ready(browser), "the picture")
        if name == "/audit":
            until(lambda: one(browser, "[data-start-audit]").is_displayed(), "the audit ends")
        if name == "/library":
            all_of(browser, "[data-pick]")[0].click()
        assert faults(browser) == [], (name, size, dark)
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= size[0], (name, width)


def test_the_first_page_is_small_and_quick(page, browser):
    browser.get(page.address + "/history")
    browser.execute_script("sessionStorage.clear()")
    browser.execute_cdp_cmd("Network.clearBrowserCache", {})
    browser.get(page.address + "/")
    time.sleep(0.5)
    size = browser.execute_script(
        "return performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))"
        ".reduce((sum, entry) => sum + entry.encodedBodySize, 0)"
    )
    assert 10_000 < size <= 100_000


def test_the_token_is_asked_for_once(browser, program):
    with serving(program, "--host", "0.0.0.0", GENRIFY_WEB__TOKEN="correct horse battery") as page:
        wanted = f"http://127.0.0.1:{page.port}/library?status=unsure&q=a%20b"
        browser.get(wanted)
        assert "/login?to=" in browser.current_url
        assert faults(browser) == []
        dress(browser, size=PHONE)
        right = "return document.querySelector(arguments[0]).getBoundingClientRect().right"
        assert browser.execute_script(right, "label") < browser.execute_script(right, ".card")
        one(browser, "#token").send_keys("wrong\n")
        until(lambda: "wrong token" in one(browser, "[data-problem]").text)
        one(browser, "#token").clear()
        one(browser, "#token").send_keys("correct horse battery\n")
        until(lambda: browser.current_url == wanted and all_of(browser, "[data-logout]"), "the page that was asked for")
        browser.get_log("browser")  # a browser notes each refusal
        one(browser, "[data-logout]").click()
        until(lambda: browser.current_url.endswith("/login"))
        one(browser, "#token").send_keys("correct horse battery\n")
        until(lambda: "Genrify it." in one(browser, "h1").text and all_of(browser, "[data-logout]"))
        browser.delete_all_cookies()  # as if it had run out while the page was open
        browser.get_log("browser")
        browser.execute_script("import('/static/api.js').then((api) => api.get('/api/tracks').catch(() => {}))")
        until(lambda: browser.current_url.endswith("/login?to=%2F"))
        browser.get("about:blank")
        browser.get_log("browser")

// The song panel: cover, player, waveform, spectrogram, timeline, scores, similar songs.

import { base, get } from "./api.js";
import { colourClass, createElement, displayName, find, findAll, formatScore, formatTime, showError } from "./common.js";

// The decision, or the suggestion with a question mark; there is none for silence.
export function describeResult(song) {
  if (song.genres.length) return song.genres.join(", ");
  return song.guess ? `${song.guess}?` : "Silence";
}

export class SongPanel {
  constructor(root, { onEnded } = {}) {
    this.root = root;
    this.audio = new Audio();
    this.audio.preload = "metadata";
    this.song = null;
    this.picture = null;
    this.part = (name) => find(`[data-${name}]`, root);
    this.audio.addEventListener("ended", () => onEnded?.());
    for (const kind of ["play", "pause", "ended"]) this.audio.addEventListener(kind, () => this.showState());
    for (const kind of ["timeupdate", "seeked", "loadedmetadata"]) this.audio.addEventListener(kind, () => this.move());
    this.audio.addEventListener("error", () => this.convert());
    this.part("play").addEventListener("click", () => this.toggle());
    this.part("seek").addEventListener("input", (event) => this.seek(Number(event.target.value)));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.part("stage"));
  }

  get playing() {
    return !this.audio.paused && !this.audio.ended;
  }

  show(song, { play = false } = {}) {
    this.stopWaiting?.abort();
    this.stopWaiting = new AbortController();
    this.song = song;
    this.picture = null;
    this.converted = false;
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.root.hidden = false;
    this.words();
    this.bars();
    this.timeline();
    this.legend();
    this.part("mel").hidden = true;
    this.part("note").textContent = "";
    this.draw();
    this.move();
    const { signal } = this.stopWaiting;
    this.ready = this.load(song.sound, signal);
    this.ready.catch((error) => this.remark(error));
    this.cover(song, signal).catch((error) => this.remark(error));
    this.pictures(song, signal).catch((error) => this.remark(error));
    this.similar(song, signal).catch((error) => this.remark(error));
    if (play) this.play();
  }

  hide() {
    this.stopWaiting?.abort();
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.song = null;
    this.root.hidden = true;
  }

  words() {
    const song = this.song;
    this.part("title").textContent = displayName(song);
    this.part("sub").textContent = [song.artist, song.album].filter(Boolean).join(" – ") || (song.title ? song.name : "");
    this.part("genre").textContent = describeResult(song);
    const written = song.genres.length ? "" : ": not written";
    const sure = `confidence ${formatScore(song.confidence)}, ${song.confidence_words}${song.tree ? "" : written}`;
    this.part("confidence").textContent = song.guess ? [sure, song.tree].filter(Boolean).join("; ") : "";
    this.part("why").textContent = song.guess && song.explanation ? `Why: ${song.explanation}.` : "";
  }

  bars() {
    this.part("bars").replaceChildren(
      ...scoresOf(this.song).map(({ label, path, score }) => {
        const fill = createElement("span", { class: colourClass(label) });
        fill.style.width = `${(score * 100).toFixed(1)}%`;
        return createElement("li", {}, createElement("span", { text: path }), createElement("span", { class: "track" }, fill), createElement("span", { class: "number", text: formatScore(score) }));
      }),
    );
  }

  timeline() {
    this.part("timeline").replaceChildren(
      ...this.song.timeline.map((segment) => {
        const name = segment.name || "silence";
        const score = segment.name ? `, score ${formatScore(segment.score)}` : "";
        const words = `${formatTime(segment.start)} to ${formatTime(segment.end)}: ${name}${score}`;
        return createElement("li", {}, createElement("button", {
          type: "button", class: colourClass(segment.label), text: name, title: words, "aria-label": words,
          onclick: () => { this.seek(segment.start); this.play(); },
        }));
      }),
    );
  }

  // Narrow segments have no room for a name.
  legend() {
    const distinct = new Map(this.song.timeline.map((segment) => [segment.label, segment.name || "silence"]));
    this.part("legend").replaceChildren(
      ...[...distinct].map(([label, name]) => createElement("li", {}, createElement("span", { class: `swatch ${colourClass(label)}` }), name)),
    );
  }

  async cover(song, signal) {
    const image = this.part("cover");
    image.hidden = true;
    const { url } = await get(song.cover, { signal });
    if (url) image.src = url;
    image.hidden = !url;
  }

  async load(address, signal) {
    const sound = await get(address, { signal });
    this.converted = sound.converted;
    this.audio.src = sound.url;
    this.part("note").textContent = sound.converted ? "converted for the browser" : "";
  }

  // The browser could not play the file as it is (ALAC, say): ask for Opus.
  convert() {
    if (!this.song || this.converted || !this.audio.hasAttribute("src")) return;
    const again = this.wanted;
    this.part("note").textContent = "converting for the browser …";
    this.ready = this.load(`${this.song.sound}?converted=1`, this.stopWaiting.signal);
    this.ready.then(() => { if (again) this.audio.play(); }).catch((error) => this.remark(error));
  }

  async pictures(song, signal) {
    const picture = await get(song.picture, { signal });
    this.picture = picture;
    const image = this.part("mel");
    image.alt = "Mel spectrogram of the song: time from left to right, pitch from low to high, bright where it is loud";
    image.src = picture.mel;
    image.hidden = false;
    this.draw();
  }

  async similar(song, signal) {
    const place = this.part("similar");
    place.hidden = true;
    const { similar } = await get(`${song.similar}?count=8`, { signal });
    place.hidden = !similar.length;
    this.part("similar-list").replaceChildren(
      ...similar.map(({ similarity, track }) => createElement("li", {},
        createElement("span", { class: "muted number", text: similarity.toFixed(2), title: "similarity; 1 is identical" }),
        createElement("a", { href: `${base}/tracks/${track.id}`, title: track.name, text: [displayName(track), track.artist].filter(Boolean).join(" – ") }),
        createElement("span", { class: "muted", text: track.genres.join(", ") }))),
    );
  }

  get duration() {
    return Number.isFinite(this.audio.duration) && this.audio.duration > 0 ? this.audio.duration : this.song?.duration || 0;
  }

  async play() {
    this.wanted = true;
    try {
      if (!this.audio.hasAttribute("src")) this.part("note").textContent = "preparing …";
      await this.ready;
      await this.audio.play();
    } catch (error) {
      // `convert` deals with files that the browser cannot play.
      if (error.name === "NotAllowedError") this.part("note").textContent = "press play";
      else if (error.name !== "NotSupportedError") this.remark(error);
    }
  }

  toggle() {
    if (this.playing) {
      this.wanted = false;
      this.audio.pause();
    } else {
      this.play();
    }
  }

  async seek(seconds) {
    const { song } = this;
    await this.ready.catch(() => {});
    if (song !== this.song) return;
    if (this.audio.readyState === 0) {
      this.audio.load();
      await new Promise((resolve) => this.audio.addEventListener("loadedmetadata", resolve, { once: true }));
    }
    this.audio.currentTime = Math.min(seconds, this.duration);
  }

  showState() {
    const button = this.part("play");
    button.classList.toggle("playing", this.playing);
    button.setAttribute("aria-label", this.playing ? "Pause" : "Play");
    if (this.playing) requestAnimationFrame(() => this.follow());
  }

  follow() {
    this.move();
    if (this.playing) requestAnimationFrame(() => this.follow());
  }

  move() {
    const { duration } = this;
    const time = Math.min(this.audio.currentTime || 0, duration);
    const share = duration ? time / duration : 0;
    this.part("cursor").style.left = `calc(${(share * 100).toFixed(3)}% - ${(share * 2).toFixed(2)}px)`;
    this.part("clock").textContent = `${formatTime(time)} / ${formatTime(duration)}`;
    const seek = this.part("seek");
    seek.max = Math.max(1, Math.floor(duration));
    seek.value = Math.floor(time);
    seek.setAttribute("aria-valuetext", `${formatTime(time)} of ${formatTime(duration)}`);
    const segments = this.song ? this.song.timeline.length : 0;
    const now = Math.min(segments - 1, Math.floor(share * segments));
    findAll("button", this.part("timeline")).forEach((button, index) => button.classList.toggle("now", index === now && time > 0));
    if (Math.abs(share - (this.drawn ?? -1)) > 0.002) this.draw();
  }

  // The waveform: peaks pale, levels strong, the part already played in the accent colour.
  draw() {
    const canvas = this.part("wave");
    const scale = window.devicePixelRatio || 1;
    const width = (canvas.width = Math.round(canvas.clientWidth * scale));
    const height = (canvas.height = Math.round(canvas.clientHeight * scale));
    const share = this.duration ? (this.audio.currentTime || 0) / this.duration : 0;
    this.drawn = share;
    if (!this.picture || !width) return;
    const style = getComputedStyle(this.root);
    const pen = canvas.getContext("2d");
    const { peaks, levels } = this.picture;
    const step = 3 * scale;
    for (let x = 0; x < width; x += step) {
      const from = Math.floor((x / width) * peaks.length);
      const to = Math.max(from + 1, Math.floor(((x + step) / width) * peaks.length));
      const tall = (values) => (Math.max(...values.slice(from, to)) / 255) * height * 0.94;
      pen.fillStyle = style.getPropertyValue(x / width < share ? "--accent" : "--wave");
      pen.globalAlpha = 0.45;
      pen.fillRect(x, (height - tall(peaks)) / 2, step - scale, Math.max(tall(peaks), scale));
      pen.globalAlpha = 1;
      pen.fillRect(x, (height - tall(levels)) / 2, step - scale, Math.max(tall(levels), scale));
    }
  }

  remark(error) {
    if (error.name === "AbortError") return;
    if (this.song) this.part("note").textContent = error.message;
    else showError(error);
  }
}

// The scores of silence mean nothing, and a long list is no help.
function scoresOf(song) {
  return song.guess ? song.scores.slice(0, 12) : [];
}

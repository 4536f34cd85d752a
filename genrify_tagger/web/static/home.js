// Dropped songs: upload, analysis, and a playlist.

import { base, get, send, upload } from "./api.js";
import { createElement, displayName, find, formatScore, showError, showToast } from "./common.js";
import { SongPanel, describeResult } from "./song.js";

const AT_ONCE = 3;
const POLL_MS = 250;

const zone = find("[data-drop]");
const list = find("[data-playlist]");
const largest = Number(zone.dataset.largest) * 1024 * 1024;
const entries = [];
const panel = new SongPanel(find("[data-song]"), { onEnded: () => playNext() });
let chosen = null;
let sending = 0;
let polling = false;

const remember = () =>
  sessionStorage.setItem("uploads", JSON.stringify(entries.filter((entry) => entry.id).map(({ id, name }) => ({ id, name }))));

function add({ file = null, name, id = null }) {
  const entry = { file, id, name, state: file ? "waiting" : "analysing", song: null };
  entry.note = createElement("small", { text: file ? "waiting" : "analysing" });
  entry.label = createElement("span", { text: name });
  entry.progress = createElement("progress", { max: 1, value: 0, "aria-label": `Upload of ${name}` });
  entry.progress.hidden = !file;
  entry.row = createElement("li", {},
    createElement("button", { type: "button", class: "pick-song", onclick: () => choose(entry, { play: true }) }, entry.label, entry.note, entry.progress),
    createElement("button", { type: "button", class: "drop-song", "aria-label": `Remove ${name}`, text: "×", onclick: () => remove(entry) }));
  entries.push(entry);
  list.append(entry.row);
  show();
  return entry;
}

function show() {
  find("[data-desk]").hidden = !entries.length;
  document.body.classList.toggle("working", entries.length > 0);
}

function fail(entry, words) {
  entry.state = "failed";
  entry.progress.hidden = true;
  entry.note.textContent = words;
  entry.note.className = "bad";
}

async function work() {
  const entry = entries.find((one) => one.file && one.state === "waiting");
  if (!entry || sending >= AT_ONCE) return;
  sending += 1;
  entry.state = "sending";
  entry.note.textContent = "sending";
  try {
    if (entry.file.size > largest) throw new Error(`larger than ${largest >> 20} MB`);
    const answer = await upload(entry.file, (share) => { entry.progress.value = share; });
    if (entry.removed) {
      await send("DELETE", `${base}/api/uploads/${answer.id}`);
    } else {
      entry.id = answer.id;
      entry.state = "analysing";
      entry.note.textContent = "analysing …";
      remember();
      poll();
    }
  } catch (error) {
    fail(entry, error.message);
  }
  entry.progress.hidden = true;
  entry.file = null;
  sending -= 1;
  work();
}

async function poll() {
  if (polling) return;
  polling = true;
  try {
    for (;;) {
      const waiting = entries.filter((entry) => entry.id && entry.state === "analysing").slice(0, 50);
      if (!waiting.length) break;
      const { uploads } = await get(`${base}/api/uploads?${waiting.map((entry) => `id=${entry.id}`).join("&")}`);
      const found = new Map(uploads.map((one) => [one.id, one]));
      for (const entry of waiting) settle(entry, found.get(entry.id));
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } catch (error) {
    showError(error);
  }
  polling = false;
}

function settle(entry, answer) {
  if (!answer) {
    fail(entry, "removed");
  } else if (answer.state === "failed") {
    fail(entry, answer.error);
  } else if (answer.state === "done") {
    entry.state = "done";
    entry.song = answer.song;
    entry.label.textContent = [displayName(answer.song), answer.song.artist].filter(Boolean).join(" – ");
    entry.note.textContent = describeResult(answer.song) + (answer.song.guess ? ` ${formatScore(answer.song.confidence)}` : "");
    if (!chosen) choose(entry);
  }
}

function choose(entry, { play = false } = {}) {
  if (entry === chosen && entry.song) {
    if (play) panel.toggle();
    return;
  }
  if (!entry.song) {
    showToast(entry.state === "failed" ? `${entry.name}: ${entry.note.textContent}` : "This song is still being analysed.");
    return;
  }
  for (const one of entries) {
    one.row.classList.toggle("chosen", one === entry);
    one.row.firstChild.toggleAttribute("aria-current", one === entry);
  }
  chosen = entry;
  panel.show(entry.song, { play });
  find("[data-genre-input]").value = entry.song.genres.join(", ") || entry.song.guess || "";
  find("[data-download] button").disabled = !entry.song.taggable;
}

function playNext() {
  const next = entries.slice(entries.indexOf(chosen) + 1).find((entry) => entry.song);
  if (next) choose(next, { play: true });
}

async function remove(entry) {
  entries.splice(entries.indexOf(entry), 1);
  entry.row.remove();
  entry.removed = true;
  if (entry === chosen) {
    chosen = null;
    panel.hide();
    const next = entries.find((one) => one.song);
    if (next) choose(next);
  }
  show();
  remember();
  if (entry.id) await send("DELETE", `${base}/api/uploads/${entry.id}`).catch(() => {});
}

function take(files) {
  for (const file of files) add({ file, name: file.name });
  for (let i = 0; i < AT_ONCE; i += 1) work();
}

find("[data-files]").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
find("[data-clear]").addEventListener("click", () => [...entries].forEach(remove));
find("[data-download]").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = find("[data-genre-input]").value.split(",").map((word) => word.trim()).filter(Boolean);
  const query = words.map((word) => `genre=${encodeURIComponent(word)}`).join("&");
  fetchCopy(`${base}/api/uploads/${chosen.id}/tagged?${query}`, chosen.name);
});

async function fetchCopy(address, name) {
  const response = await fetch(address);
  if (!response.ok) {
    showToast(`Error: ${(await response.json()).error}.`);
    return;
  }
  const url = URL.createObjectURL(await response.blob());
  createElement("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  showToast(`${name}: saved with its genre.`);
}

let depth = 0;
const hasFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
addEventListener("dragenter", (event) => { if (hasFiles(event)) { depth += 1; document.body.classList.add("dragging"); } });
addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (!depth) document.body.classList.remove("dragging"); });
addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  depth = 0;
  document.body.classList.remove("dragging");
  take(event.dataTransfer.files);
});

for (const { id, name } of JSON.parse(sessionStorage.getItem("uploads") || "[]")) add({ id, name });
poll();

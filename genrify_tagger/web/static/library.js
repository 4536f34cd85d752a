// The library: hear a track in place, choose some, write a genre into them.

import { get } from "./api.js";
import { carryOut, clock, colour, complain, find, findAll, labels, make, names } from "./common.js";

const table = find("[data-tracks]");
const audio = new Audio();
let current = null;

function picked() {
  return findAll("[data-pick]:checked", table).map((box) => box.value);
}

function showPicked() {
  const count = picked().length;
  find("[data-bulk]").hidden = !count;
  find("[data-picked]").textContent = count;
  const all = find("[data-all]");
  all.checked = count > 0 && count === findAll("[data-pick]", table).length;
  all.indeterminate = count > 0 && !all.checked;
}

function rowOf(id) {
  return findAll("tr[data-id]", table).find((row) => row.dataset.id === id);
}

// What a change did to a row is not guessed: the rows are asked for again.
async function refresh(task) {
  const ids = task.results.map((result) => result.id).filter(rowOf);
  if (!ids.length) return;
  const { tracks } = await get(`/api/rows?${ids.map((id) => `id=${id}`).join("&")}`);
  for (const track of tracks) showRow(rowOf(track.id), track);
}

function showRow(row, track) {
  const nothing = () => make("span", { class: "muted", text: "–" });
  const tags = track.genres.map((text) => make("span", { class: `tag ${colour(labels[names.indexOf(text)])}`, text }));
  find("[data-says]", row).replaceChildren(...(tags.length ? tags : [nothing()]));
  const sure = track.confidence === null ? "" : track.confidence.toFixed(2);
  const guess = track.guess && `${track.guess}${track.status === "unsure" ? "?" : ""} `;
  const heard = guess ? [guess, make("small", { class: "muted", title: track.confidence_words, text: sure })] : [nothing()];
  find("[data-heard]", row).replaceChildren(...heard);
  const state = [make("span", { class: `status ${track.status}`, "data-status": "", text: track.status })];
  if (track.reason) state.push(make("small", { class: "muted", text: track.reason }));
  find("[data-state]", row).replaceChildren(...state);
}

async function write(url, body, verb) {
  const task = await carryOut(url, body, verb, { undone: (back) => refresh(back).catch(complain) });
  if (!task) return;
  if (find("[data-bulk]").contains(document.activeElement)) find("[data-pick]:checked", table)?.focus({ preventScroll: true });
  for (const box of findAll("[data-pick]", table)) box.checked = false;
  showPicked();
  await refresh(task).catch(complain);
}

function showPlayer() {
  const playing = !audio.paused && !audio.ended;
  for (const button of findAll("[data-hear]", table)) {
    const here = playing && button === current;
    const name = find("[data-name]", button.closest("tr")).textContent;
    button.classList.toggle("playing", here);
    button.setAttribute("aria-label", `${here ? "Pause" : "Play"} ${name}`);
    button.closest("tr").classList.toggle("playing-row", here);
  }
  const bar = find("[data-bar-play]");
  bar.classList.toggle("playing", playing);
  bar.setAttribute("aria-label", playing ? "Pause" : "Play");
}

async function hear(button) {
  if (button === current) {
    if (audio.paused) audio.play();
    else audio.pause();
    return;
  }
  current = button;
  audio.pause();
  find("[data-bar]").hidden = false;
  find("[data-bar-name]").textContent = find("[data-name]", button.closest("tr")).textContent;
  try {
    await start(button, "");
  } catch (error) {
    complain(error);
  }
}

async function start(button, how) {
  find("[data-bar-clock]").textContent = "…";
  const sound = await get(`/api/tracks/${button.dataset.hear}/sound${how}`);
  if (button !== current) return;
  audio.src = sound.url;
  audio.dataset.converted = sound.converted ? "1" : "";
  await audio.play().catch((error) => { if (error.name !== "NotSupportedError") throw error; });
}

function move() {
  const seek = find("[data-bar-seek]");
  const duration = Number.isFinite(audio.duration) ? audio.duration : 0;
  seek.max = Math.max(1, Math.floor(duration));
  seek.value = Math.floor(audio.currentTime);
  seek.setAttribute("aria-valuetext", `${clock(audio.currentTime)} of ${clock(duration)}`);
  find("[data-bar-clock]").textContent = `${clock(audio.currentTime)} / ${clock(duration)}`;
}

if (table) {
  table.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) for (const box of findAll("[data-pick]", table)) box.checked = event.target.checked;
    showPicked();
  });
  table.addEventListener("click", (event) => {
    const button = event.target.closest("[data-hear]");
    if (button) hear(button);
  });
  find("[data-accept]").addEventListener("click", () => write("/api/accept", { ids: picked() }, "Accepted in"));
  find("[data-choose]").addEventListener("submit", (event) => {
    event.preventDefault();
    const genre = find("#bulk-genre").value.trim();
    if (genre) write("/api/genres", { ids: picked(), genres: [genre] }, `${genre} written into`);
  });
  for (const kind of ["play", "pause", "ended"]) audio.addEventListener(kind, showPlayer);
  for (const kind of ["timeupdate", "durationchange"]) audio.addEventListener(kind, move);
  audio.addEventListener("error", () => {
    if (current && audio.hasAttribute("src") && !audio.dataset.converted) start(current, "?converted=1").catch(complain);
  });
  find("[data-bar-play]").addEventListener("click", () => (audio.paused ? audio.play() : audio.pause()));
  find("[data-bar-seek]").addEventListener("input", (event) => { audio.currentTime = Number(event.target.value); });
  addEventListener("pageshow", showPicked); // going back, a browser gives back what was chosen
}
for (const select of findAll(".filters select")) select.addEventListener("change", () => select.form.requestSubmit());
// Empty fields would only make addresses long.
find(".filters")?.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (value === "" || (name === "order" && value === "path")) event.formData.delete(name);
});

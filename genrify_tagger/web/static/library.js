// The library: play tracks in place, select some, write genres into them, accept an album's suggestions.

import { base, get } from "./api.js";
import { colourClass, createElement, find, findAll, formatScore, labels, names, runChange, showError } from "./common.js";
import { playTracks } from "./player.js";

const table = find("[data-tracks]");

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
  for (const album of findAll("[data-album]", table)) showAlbum(album);
}

function openRows(album) {
  return findAll("tr[data-id]", album).filter((row) => find("[data-status]", row).textContent === "unsure" && find("[data-suggestion] small", row));
}

function showAlbum(album) {
  const boxes = findAll("[data-pick]", album);
  const count = boxes.filter((box) => box.checked).length;
  const all = find("[data-all-of-album]", album);
  all.checked = count === boxes.length;
  all.indeterminate = count > 0 && !all.checked;
  const open = openRows(album).length;
  const accept = find("[data-accept-album]", album);
  accept.hidden = !open;
  accept.textContent = `Accept ${open} ${open === 1 ? "suggestion" : "suggestions"}`;
}

function rowOf(id) {
  return findAll("tr[data-id]", table).find((row) => row.dataset.id === id);
}

// The rows are fetched again rather than guessed.
async function refresh(task) {
  const ids = task.results.map((result) => result.id).filter(rowOf);
  if (!ids.length) return;
  const { tracks } = await get(`${base}/api/rows?${ids.map((id) => `id=${id}`).join("&")}`);
  for (const track of tracks) showRow(rowOf(track.id), track);
  for (const album of findAll("[data-album]", table)) showAlbum(album);
}

function showRow(row, track) {
  const nothing = () => createElement("span", { class: "muted", text: "–" });
  const tags = track.genres.map((text) => createElement("span", { class: `tag ${colourClass(labels[names.indexOf(text)])}`, text }));
  find("[data-says]", row).replaceChildren(...(tags.length ? tags : [nothing()]));
  const sure = track.confidence === null ? "" : formatScore(track.confidence);
  const guess = track.guess && `${track.guess}${track.status === "unsure" ? "?" : ""} `;
  const suggestion = guess ? [guess, createElement("small", { class: "muted", title: `confidence: ${track.confidence_words}`, text: sure })] : [nothing()];
  find("[data-suggestion]", row).replaceChildren(...suggestion);
  const state = [createElement("span", { class: `status ${track.status}`, "data-status": "", text: track.status })];
  if (track.reason) state.push(createElement("small", { class: "muted", text: track.reason }));
  find("[data-state]", row).replaceChildren(...state);
}

async function write(url, body, done) {
  const task = await runChange(url, body, done, { undone: (back) => refresh(back).catch(showError) });
  if (!task) return;
  if (find("[data-bulk]").contains(document.activeElement)) find("[data-pick]:checked", table)?.focus({ preventScroll: true });
  for (const box of findAll("[data-pick]", table)) box.checked = false;
  showPicked();
  await refresh(task).catch(showError);
}

// Covers are read from the files by the server, as they come into view.
function showCovers() {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      const image = find("[data-cover]", target);
      get(`${base}/api/tracks/${image.dataset.cover}/cover`).then(({ url }) => {
        if (!url) return;
        image.src = url;
        image.hidden = false;
      }).catch(() => {}); // the initial stays
    }
  }, { rootMargin: "200px" });
  for (const place of findAll(".album .cover", table)) observer.observe(place);
}

if (table) {
  playTracks(table);
  table.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) for (const box of findAll("[data-pick]", table)) box.checked = event.target.checked;
    if (event.target.matches("[data-all-of-album]")) {
      for (const box of findAll("[data-pick]", event.target.closest("[data-album]"))) box.checked = event.target.checked;
    }
    showPicked();
  });
  table.addEventListener("click", (event) => {
    const accept = event.target.closest("[data-accept-album]");
    if (accept) write(`${base}/api/accept`, { ids: openRows(accept.closest("[data-album]")).map((row) => row.dataset.id) }, "suggestion accepted");
  });
  showCovers();
  find("[data-accept]").addEventListener("click", () => write(`${base}/api/accept`, { ids: picked() }, "suggestion accepted"));
  find("[data-choose]").addEventListener("submit", (event) => {
    event.preventDefault();
    const genre = find("#bulk-genre").value.trim();
    if (genre) write(`${base}/api/genres`, { ids: picked(), genres: [genre] }, `${genre} written`);
  });
  addEventListener("pageshow", showPicked); // on "back", browsers restore the checkboxes
}
for (const select of findAll(".filters select")) select.addEventListener("change", () => select.form.requestSubmit());
// On a narrow screen the filters are folded away.
const folded = find("[data-more-filters]");
if (folded && matchMedia("(max-width: 46rem)").matches) folded.open = false;
// Leave empty fields out of the address.
find(".filters")?.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) if (value === "" || (name === "sort" && value === "album")) event.formData.delete(name);
});

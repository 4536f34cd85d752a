// One track of the library.

import { base, get } from "./api.js";
import { find, runChange, showError, showLocalTimes } from "./common.js";
import { SongPanel } from "./song.js";
import "./history.js";

const root = find("[data-track]");
const key = root.dataset.track;
const panel = new SongPanel(find("[data-song]", root));

async function show() {
  try {
    panel.show(await get(`${base}/api/tracks/${key}`));
    find("[data-waiting]").hidden = true;
  } catch (error) {
    find("[data-waiting]").textContent = `This track cannot be analysed: ${error.message}.`;
    showError(error);
  }
}

function showGenres(task) {
  const [result] = task.results;
  if (result.status === "failed") return;
  find("[data-in-file]").textContent = result.after.length ? `Genre in the file: ${result.after.join(", ")}` : "The file has no genre.";
  find("[data-remove-genre]").hidden = !result.after.length;
}

async function write(genres) {
  const task = await runChange(`${base}/api/genres`, { ids: [key], genres }, genres.length ? `${genres.join(", ")} written` : "genre removed", { undone: showGenres });
  if (task) showGenres(task);
}

find("[data-correct]").addEventListener("submit", (event) => {
  event.preventDefault();
  const genres = find("#genre").value.split(",").map((word) => word.trim()).filter(Boolean);
  if (genres.length) write(genres);
});
find("[data-remove-genre]").addEventListener("click", () => write([]));
showLocalTimes(root);
show();

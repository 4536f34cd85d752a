// The audit: started when the page is opened for the first time; each song is accepted or kept.

import { base, get, send, wait } from "./api.js";
import { describeStep, find, findAll, runChange, showError } from "./common.js";
import { playTracks } from "./player.js";

const POLL_MS = 500;
const table = find("[data-tracks]");
const job = find("[data-job]");
const start = find("[data-start-audit]");

// Follow a running audit, and show its list when it is done.
async function follow() {
  start.hidden = true;
  find("[data-problem]").hidden = true;
  find("[data-empty]").hidden = true;
  find("[data-progress]").hidden = false;
  try {
    for (;;) {
      const status = await get(`${base}/api/audit`);
      if (status.state === "done") return location.assign(`${base}/audit`);
      if (status.state === "failed") throw new Error(status.error);
      find("[data-step]").textContent = describeStep(status);
      await wait(POLL_MS);
    }
  } catch (error) {
    find("[data-progress]").hidden = true;
    find("[data-problem]").hidden = false;
    find("[data-problem]").textContent = `The audit failed: ${error.message}.`;
    start.hidden = false;
  }
  return undefined;
}

async function begin() {
  try {
    await send("POST", `${base}/api/audit`);
    follow();
  } catch (error) {
    showError(error);
  }
}

function showUndecided(change) {
  const place = find("[data-undecided]");
  place.textContent = (Number(place.textContent.replaceAll(",", "")) + change).toLocaleString("en");
  find("[data-empty]").hidden = findAll("tr[data-id]", table).some((row) => !row.hidden);
}

// A decided song goes from the list, and the focus to the same button of the next one.
function hide(row, selector) {
  const next = [...findAll("tr[data-id]", table)].slice(row.rowIndex).find((other) => !other.hidden);
  row.hidden = true;
  (next ? find(selector, next) : find("#main")).focus({ preventScroll: !next });
  showUndecided(-1);
}

function reveal(row) {
  row.hidden = false;
  showUndecided(1);
}

async function decide(row, selector) {
  const ids = row.dataset.ids.split(" ");
  const accepts = selector === "[data-accept]";
  const genre = row.dataset.expected;
  const [url, body, done] = accepts
    ? [`${base}/api/genres`, { ids, genres: [genre] }, `${genre} written`]
    : [`${base}/api/keep`, { ids }, "kept"];
  const buttons = findAll(".decision button", row);
  for (const button of buttons) button.disabled = true;
  const task = await runChange(url, body, done, { undone: () => reveal(row), undoable: true });
  for (const button of buttons) button.disabled = false;
  if (task && !task.failed) hide(row, selector);
}

if (table) {
  playTracks(table);
  table.addEventListener("click", (event) => {
    for (const selector of ["[data-accept]", "[data-keep]"]) {
      const button = event.target.closest(selector);
      if (button) decide(button.closest("tr"), selector);
    }
  });
}
start.addEventListener("click", begin);
if (job.dataset.state === "none") begin();
else if (job.dataset.state === "running") follow();
else start.hidden = false;

// The queue of unsure songs: one at a time, with a key for each answer.

import { ApiError, base, change, get, send, wait } from "./api.js";
import { colourClass, createElement, describeStep, describeTask, displayName, find, findAll, labels, names, showError, showToast, showUnsureCount } from "./common.js";
import { SongPanel } from "./song.js";

const KEYS = "1234567890";
const AHEAD = 25;
const ENOUGH = 10; // answers after which learning is offered
const POLL_MS = 500;

const queue = [];
const seen = new Set();
const panel = new SongPanel(find("[data-song]"));
const done = [];
let current = null;
let guess = [];
let last = null;
let left = 0;
let busy = false;
let started = false;

async function refill() {
  if (queue.length > 3 || last === "end") return;
  const place = last ? `&after=${last}` : "";
  const page = await get(`${base}/api/tracks?status=unsure&order=margin&limit=${AHEAD}${place}`);
  if (!last) left = page.total;
  last = page.after || "end";
  for (const track of page.tracks) {
    if (!seen.has(track.id)) queue.push(track);
    seen.add(track.id);
  }
}

// An answer is for the song on the screen: `current` changes only together with what is shown.
async function next() {
  setBusy(true);
  try {
    for (;;) {
      await refill();
      const track = queue.shift();
      if (!track) {
        showNothing();
        break;
      }
      if (await show(track)) break;
      left = Math.max(0, left - 1);
    }
    if (queue[0]) get(`${base}/api/tracks/${queue[0].id}`).catch(() => {}); // prefetch
  } catch (error) {
    showError(error);
  }
  setBusy(false);
}

// Show a song; false if it cannot be shown (it was renamed, say), and then nothing on the screen has changed.
async function show(track) {
  let song;
  try {
    song = await get(`${base}/api/tracks/${track.id}`);
  } catch (error) {
    if (error instanceof ApiError) {
      showToast(`${displayName(track)} is skipped: ${error.message}.`);
      return false;
    }
    queue.unshift(track); // the server is unreachable, which is not the song's fault
    throw error;
  }
  current = track;
  // Accept what is shown, though the settings may have changed since the scan.
  guess = song.genres.length || !song.guess ? song.genres : [song.guess];
  find("[data-queue]").hidden = false;
  find("[data-empty]").hidden = true;
  showLeft();
  panel.show(song, { play: started });
  find("[data-accept]").disabled = !guess.length;
  find("[data-accept-words]").textContent = guess.length ? `Accept ${guess.join(", ")}` : "Nothing to accept";
  showChoices(song);
  find("[data-title]").focus({ preventScroll: true });
  return true;
}

function showNothing() {
  current = null;
  panel.hide();
  find("[data-queue]").hidden = true;
  find("[data-empty]").hidden = false;
  showLeft();
}

function showLeft() {
  find("[data-left]").textContent = current ? `${left} to decide` : "";
  showUnsureCount(left);
}

// The likeliest ten genres have buttons and keys; the others are folded away.
function showChoices(song) {
  const buttons = song.scores.map(({ label, path }, index) => {
    const name = names[labels.indexOf(label)] || label;
    const key = KEYS[index];
    const best = index === 0 && song.guess;
    const button = createElement("button", { type: "button", class: best ? "best" : null, "aria-keyshortcuts": key, "data-key": key, onclick: () => answer([name]) });
    button.append(createElement("span", { class: `swatch ${colourClass(label)}` }));
    if (key) button.append(createElement("kbd", { text: key, "aria-hidden": "true" }), " ");
    button.append(path);
    return button;
  });
  find("[data-choices]").replaceChildren(...buttons.slice(0, KEYS.length));
  find("[data-more-choices]").replaceChildren(...buttons.slice(KEYS.length));
  find(".other-genres").open = false;
}

// Keys are ignored during a write, because they would be meant for the next song.
function setBusy(value) {
  busy = value;
  find("[data-queue]").setAttribute("aria-busy", value);
}

async function answer(genres) {
  if (busy || !current) return;
  setBusy(true);
  const track = current;
  try {
    const task = await change(`${base}/api/genres`, { ids: [track.id], genres });
    if (task.failed) throw new Error(task.results[0]?.error || "it could not be written");
    const decision = { track, run: task.run };
    done.push(decision);
    countAnswers(1);
    left = Math.max(0, left - 1);
    showToast(`${displayName(track)}: ${task.results[0]?.after.join(", ")} written.`, { action: "Undo", onaction: () => undo(decision), seconds: 5 });
    find("[data-undo]").disabled = false;
    await next();
  } catch (error) {
    showError(error);
  }
  setBusy(false);
}

// Undo one decision, whichever it was, and show its song again.
async function undo(decision) {
  while (busy) await wait(50);
  if (!done.includes(decision)) return;
  setBusy(true);
  done.splice(done.indexOf(decision), 1);
  find("[data-undo]").disabled = !done.length;
  try {
    const task = await change(`${base}/api/runs/${decision.run}/undo`);
    showToast(describeTask(task, "undone"));
    const put = current;
    if (!task.failed) {
      countAnswers(-1);
      left += 1;
      if (!(await show(decision.track))) left -= 1;
      else if (put) queue.unshift(put);
    }
  } catch (error) {
    showError(error);
  }
  setBusy(false);
}

// After ten answers the page offers to learn from them.
function countAnswers(change) {
  const count = Math.max(0, Number(sessionStorage.getItem("answers")) + change);
  sessionStorage.setItem("answers", count);
  if (count < ENOUGH) return;
  find("[data-learn]").hidden = false;
  find("[data-learn-words]").textContent = `You have answered ${count} songs. Learn from them, and from all songs that have a genre?`;
}

async function learn() {
  try {
    await send("POST", `${base}/api/learn`);
    await followLearning();
  } catch (error) {
    showError(error);
  }
}

async function followLearning() {
  find("[data-learn]").hidden = false;
  find("[data-learn-start]").hidden = true;
  find("[data-learn-progress]").hidden = false;
  let status = await get(`${base}/api/learn`);
  while (status.state === "running") {
    find("[data-learn-words]").textContent = describeStep(status);
    await wait(POLL_MS);
    status = await get(`${base}/api/learn`);
  }
  find("[data-learn-progress]").hidden = true;
  const failed = status.state === "failed";
  const next = status.in_use ? " The next scan fills them in." : "";
  find("[data-learn-words]").textContent = failed ? `Learning failed: ${status.error}.` : status.summary + next;
  find("[data-learn-start]").hidden = !failed;
  find("[data-learn-use]").hidden = failed || !status.in_use;
  if (!failed) sessionStorage.removeItem("answers");
}

const actions = {
  a: () => { if (guess.length) answer(guess); },
  n: () => { if (!busy) next(); },
  u: () => { if (!busy && done.length) undo(done.at(-1)); },
  " ": () => { started = true; panel.toggle(); },
};

addEventListener("keydown", (event) => {
  if (!find("[data-keys]").checked || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target } = event;
  if (target.matches("input:not([type=checkbox]):not([type=range]), select, textarea")) return;
  if (event.key === " " && target.matches("button, a, input, summary")) return;
  const choice = findAll("[data-choices] button").find((button) => button.dataset.key === event.key);
  const action = actions[event.key.toLowerCase()] || (choice && (() => choice.click()));
  if (!action || event.repeat) return;
  event.preventDefault();
  action();
});

find("[data-accept]").addEventListener("click", actions.a);
find("[data-next]").addEventListener("click", actions.n);
find("[data-undo]").addEventListener("click", actions.u);
find("[data-play]").addEventListener("click", () => { started = true; });
find("[data-other]").addEventListener("submit", (event) => {
  event.preventDefault();
  const word = find("#other").value.trim();
  if (word) answer([word]);
  find("#other").value = "";
});
find("[data-learn-start]").addEventListener("click", learn);
find("[data-learn-use]").addEventListener("click", () => location.reload());
get(`${base}/api/learn`).then(({ state }) => (state === "running" ? followLearning() : countAnswers(0))).catch(showError);
// The queue on this page knows better than the last statistics.
document.addEventListener("service", () => { if (last) showUnsureCount(left); });
next();

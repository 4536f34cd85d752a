// The queue of what the program was unsure of: one song at a time, one key for each answer.

import { ApiError, change, get, wait } from "./api.js";
import { complain, find, findAll, labels, make, names, outcome, percent, tell } from "./common.js";
import { SongPanel } from "./song.js";

const KEYS = "1234567890";
const AHEAD = 25;

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
  const page = await get(`/api/tracks?status=unsure&order=confidence&limit=${AHEAD}${place}`);
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
    if (queue[0]) get(`/api/tracks/${queue[0].id}`).catch(() => {}); // so that it is ready
  } catch (error) {
    complain(error);
  }
  setBusy(false);
}

// Show a song; false if it cannot be shown (it was renamed, say), and then nothing on the screen has changed.
async function show(track) {
  let song;
  try {
    song = await get(`/api/tracks/${track.id}`);
  } catch (error) {
    if (error instanceof ApiError) {
      tell(`${track.name} is passed over: ${error.message}.`);
      return false;
    }
    queue.unshift(track); // the server cannot be reached, which is not the song's fault
    throw error;
  }
  current = track;
  // What is shown is what is accepted, though the settings may have changed since the scan.
  guess = song.genres.length || !song.guess ? song.genres : [song.guess];
  find("[data-queue]").hidden = false;
  find("[data-empty]").hidden = true;
  showLeft();
  panel.show(song, { play: started });
  find("[data-accept]").disabled = !guess.length;
  find("[data-accept-words]").textContent = guess.length ? `Accept ${guess.join(", ")}` : "Nothing to accept";
  choices(song);
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
}

// Ten genres keep their places and keys from song to song; of a larger vocabulary the likeliest ten have keys.
function choices(song) {
  const scores = new Map(song.scores.map(({ label, score }) => [label, score]));
  const best = song.guess ? song.scores[0].label : null;
  const order = labels.length <= KEYS.length ? labels : song.scores.map(({ label }) => label);
  find("[data-choices]").replaceChildren(
    ...order.map((label, index) => {
      const name = names[labels.indexOf(label)] || label;
      const key = KEYS[index];
      const button = make("button", { type: "button", class: label === best ? "best" : "", "aria-keyshortcuts": key, onclick: () => answer([name]) });
      if (key) button.append(make("kbd", { text: key, "aria-hidden": "true" }), " ");
      button.append(`${name} `);
      if (best) button.append(make("small", { class: "muted", text: percent(scores.get(label) || 0) }));
      if (key) button.dataset.key = key;
      return button;
    }),
  );
}

// While a word is being written no key counts: it would be meant for another song.
function setBusy(value) {
  busy = value;
  find("[data-queue]").setAttribute("aria-busy", value);
}

async function answer(genres) {
  if (busy || !current) return;
  setBusy(true);
  const track = current;
  try {
    const task = await change("/api/genres", { ids: [track.id], genres });
    if (task.failed) throw new Error(task.results[0]?.error || "it could not be written");
    const decision = { track, run: task.run };
    done.push(decision);
    left = Math.max(0, left - 1);
    tell(`${track.name}: ${task.results[0]?.after.join(", ")}`, { action: "Undo", onaction: () => takeBack(decision), seconds: 5 });
    find("[data-undo]").disabled = false;
    await next();
  } catch (error) {
    complain(error);
  }
  setBusy(false);
}

// Take back one decision, whichever it was, and show its song again.
async function takeBack(decision) {
  while (busy) await wait(50);
  if (!done.includes(decision)) return;
  setBusy(true);
  done.splice(done.indexOf(decision), 1);
  find("[data-undo]").disabled = !done.length;
  try {
    const task = await change(`/api/runs/${decision.run}/undo`);
    tell(outcome(task, "Taken back:"));
    const put = current;
    if (!task.failed) {
      left += 1;
      if (!(await show(decision.track))) left -= 1;
      else if (put) queue.unshift(put);
    }
  } catch (error) {
    complain(error);
  }
  setBusy(false);
}

const actions = {
  a: () => { if (guess.length) answer(guess); },
  n: () => { if (!busy) next(); },
  u: () => { if (!busy && done.length) takeBack(done.at(-1)); },
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
next();

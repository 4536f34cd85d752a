// The queue of what the program was unsure of: one song at a time, one key for each answer.

import { change, get } from "./api.js";
import { complain, find, findAll, labels, make, names, outcome, percent, tell } from "./common.js";
import { SongPanel } from "./song.js";

const KEYS = "1234567890";
const AHEAD = 25;

const queue = [];
const seen = new Set();
const panel = new SongPanel(find("[data-song]"));
const done = [];
let current = null;
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

async function next() {
  try {
    await refill();
    current = queue.shift() || null;
    await showCurrent();
    if (queue[0]) get(`/api/tracks/${queue[0].id}`).catch(() => {}); // so that it is ready
  } catch (error) {
    complain(error);
    if (current) tell(`${current.name} is passed over.`);
  }
}

async function showCurrent() {
  find("[data-queue]").hidden = !current;
  find("[data-empty]").hidden = Boolean(current);
  find("[data-left]").textContent = current ? `${left} to decide` : "";
  if (!current) {
    panel.hide();
    return;
  }
  const song = await get(`/api/tracks/${current.id}`);
  panel.show(song, { play: started });
  find("[data-accept-words]").textContent = `Accept ${current.guess || song.guess}`;
  choices(song);
  find("[data-title]").focus({ preventScroll: true });
}

// Ten genres keep their places and keys from song to song; of a larger vocabulary the likeliest ten have keys.
function choices(song) {
  const scores = new Map(song.scores.map(({ label, score }) => [label, score]));
  const best = song.scores[0].label;
  const order = labels.length <= KEYS.length ? labels : song.scores.map(({ label }) => label);
  find("[data-choices]").replaceChildren(
    ...order.map((label, index) => {
      const name = names[labels.indexOf(label)] || label;
      const key = KEYS[index];
      const button = make("button", { type: "button", class: label === best ? "best" : "", "aria-keyshortcuts": key, onclick: () => answer([name]) });
      if (key) button.append(make("kbd", { text: key, "aria-hidden": "true" }), " ");
      button.append(`${name} `, make("small", { class: "muted", text: percent(scores.get(label) || 0) }));
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
    const task = genres
      ? await change("/api/genres", { ids: [track.id], genres })
      : await change("/api/accept", { ids: [track.id] });
    if (task.failed) throw new Error(task.results[0]?.error || "it could not be written");
    done.push({ track, run: task.run });
    left = Math.max(0, left - 1);
    tell(`${track.name}: ${task.results[0]?.after.join(", ")}`, { action: "Undo", onaction: undo, seconds: 5 });
    find("[data-undo]").disabled = false;
    await next();
  } catch (error) {
    complain(error);
  }
  setBusy(false);
}

async function undo() {
  const former = busy ? null : done.pop();
  if (!former) return;
  setBusy(true);
  try {
    const task = await change(`/api/runs/${former.run}/undo`);
    tell(outcome(task, "Taken back:"));
    if (current) queue.unshift(current);
    current = former.track;
    left += 1;
    find("[data-undo]").disabled = !done.length;
    await showCurrent();
  } catch (error) {
    complain(error);
  }
  setBusy(false);
}

const actions = {
  a: () => answer(null),
  n: async () => {
    if (busy) return;
    setBusy(true);
    await next();
    setBusy(false);
  },
  u: () => undo(),
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

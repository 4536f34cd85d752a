// What every page needs: small makers of elements, words to the user, times, the line about the service, undo.

import { ApiError, change, get, send } from "./api.js";

export const labels = JSON.parse(document.body.dataset.labels || "[]");
export const names = JSON.parse(document.body.dataset.names || "[]");
export const find = (selector, root = document) => root.querySelector(selector);
export const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

// Text is always text: nothing here ever makes markup out of a string.
export function make(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function colour(label) {
  const index = labels.indexOf(label);
  return index < 0 ? "" : `g${index % 20}`;
}

export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds || 0));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export const percent = (share) => `${Math.round(share * 100)} %`;

export function tell(words, { action, onaction, seconds = 8 } = {}) {
  const place = find("[data-toasts]");
  const toast = make("div", { class: "toast" }, make("span", { text: words }));
  if (action) {
    toast.append(make("button", { type: "button", text: action, onclick: () => { toast.remove(); onaction(); } }));
  }
  place.append(toast);
  while (place.children.length > 3) place.firstChild.remove();
  setTimeout(() => toast.remove(), seconds * 1000);
}

export const complain = (error) => { if (error.name !== "AbortError") tell(`Sorry: ${error.message}.`, { seconds: 12 }); };

// What became of files, of all that were asked for.
export function outcome(task, verb, asked = 0) {
  const count = task.changed + task.kept;
  const files = (n) => (n === 1 ? "1 file" : `${n} files`);
  const failure = task.results.find((result) => result.status === "failed");
  const gone = Math.max(0, asked - count - task.skipped - task.failed);
  return `${[
    count && `${verb} ${files(count)}`,
    task.skipped && `${files(task.skipped)} left out: nothing was heard there`,
    task.failed && `${files(task.failed)} left alone (${failure?.error || "failed"})`,
    gone && `${files(gone)} no longer in the library`,
  ].filter(Boolean).join("; ") || "Nothing to do"}.`;
}

// Carry a change out, tell of it and offer to take it back; returns the task, or null if it failed.
export async function carryOut(url, body, verb, { undone } = {}) {
  try {
    const task = await change(url, body);
    const offer = task.changed
      ? { action: "Undo", onaction: async () => {
        const back = await carryOut(`/api/runs/${task.run}/undo`, undefined, "Taken back:");
        if (back) undone?.(back);
      } }
      : {};
    tell(outcome(task, verb, body?.ids.length), offer);
    return task;
  } catch (error) {
    complain(error);
    return null;
  }
}

export function localTimes(root = document) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of findAll("time[data-local]", root)) time.textContent = format.format(new Date(time.dateTime));
}

const SERVICE_SECONDS = 10;

async function showService() {
  const line = find("[data-service]");
  if (!line || document.hidden) return;
  try {
    const state = await get("/api/service");
    line.classList.toggle("busy", state.running || Boolean(state.service?.busy));
    find("[data-service-words]").textContent = serviceWords(state);
    const unsure = state.counts.unsure || 0;
    const badge = find("[data-unsure-count]");
    badge.hidden = !unsure;
    badge.textContent = unsure > 999 ? "999+" : unsure;
    document.dispatchEvent(new CustomEvent("service", { detail: state }));
  } catch (error) {
    find("[data-service-words]").textContent =
      error instanceof ApiError ? `Sorry: ${error.message}.` : "The program does not answer; perhaps it was ended.";
  }
}

function serviceWords(state) {
  const run = state.last_run;
  if (state.service) return `The service ${state.service.words}.`;
  if (state.running) return `Run ${run.run} (${run.command}) is under way.`;
  return "Everything stays on this computer.";
}

export function everySecond(action, seconds) {
  action();
  setInterval(action, seconds * 1000);
}

localTimes();
if (find("[data-service]")) everySecond(showService, SERVICE_SECONDS);
find("[data-logout]")?.addEventListener("click", async () => {
  await send("POST", "/api/logout");
  location.assign("/login");
});

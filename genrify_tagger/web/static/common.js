// Shared by all pages: DOM helpers, messages, local times, the service line, undo.

import { ApiError, base, change, get, send } from "./api.js";

export const labels = JSON.parse(document.body.dataset.labels || "[]");
export const names = JSON.parse(document.body.dataset.names || "[]");
export const find = (selector, root = document) => root.querySelector(selector);
export const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

// Text is never parsed as markup.
export function createElement(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// The class of a label's colour; see /genres.css.
export function colourClass(label) {
  const index = labels.indexOf(label);
  return index < 0 ? "" : `g${index}`;
}

export function formatTime(seconds) {
  const whole = Math.max(0, Math.round(seconds || 0));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

// Scores and confidences are shown alike everywhere.
export const formatScore = (score) => score.toFixed(2);

export const displayName = ({ title, name }) => title || name;

export function showToast(message, { action, onaction, seconds = 8 } = {}) {
  const place = find("[data-toasts]");
  const toast = createElement("div", { class: "toast" }, createElement("span", { text: message }));
  if (action) {
    toast.append(createElement("button", { type: "button", text: action, onclick: () => { toast.remove(); onaction(); } }));
  }
  place.append(toast);
  while (place.children.length > 3) place.firstChild.remove();
  setTimeout(() => toast.remove(), seconds * 1000);
}

export const showError = (error) => { if (error.name !== "AbortError") showToast(`Error: ${error.message}.`, { seconds: 12 }); };

// How far a computation over the library is, in words.
export const describeStep = ({ step, seconds }) => `${step.charAt(0).toUpperCase()}${step.slice(1)} … ${Math.round(seconds)} s`;

// The outcome of a task in words; a single song is named.
export function describeTask(task, done, requested = 0) {
  const count = task.changed + task.kept;
  const songs = (n) => (n === 1 ? "1 song" : `${n} songs`);
  const failure = task.results.find((result) => result.status === "failed");
  const gone = Math.max(0, requested - count - task.skipped - task.failed);
  const [first, ...copies] = task.results;
  const isOne = first && !gone && (requested === 1 || !copies.length);
  const subject = isOne ? displayName(first) + (copies.length ? ` (${task.results.length} files)` : "") : "";
  return `${[
    count && `${subject || songs(count)}: ${done}`,
    task.skipped && `${subject || songs(task.skipped)} skipped: no suggestion`,
    task.failed && `${subject || songs(task.failed)} not changed: ${failure?.error || "failed"}`,
    gone && `${songs(gone)} no longer in the library`,
  ].filter(Boolean).join("; ") || "Nothing to do"}.`;
}

// Run a change, report it and offer to undo it; returns the task, or null if it failed.
export async function runChange(url, body, done, { undone, undoable = false } = {}) {
  try {
    const task = await change(url, body);
    const offer = undone && (task.changed || (undoable && task.kept))
      ? { action: "Undo", onaction: async () => {
        const back = await runChange(`${base}/api/runs/${task.run}/undo`, undefined, "undone");
        if (back) undone(back);
      } }
      : {};
    showToast(describeTask(task, done, body?.ids.length), offer);
    updateService();
    return task;
  } catch (error) {
    showError(error);
    return null;
  }
}

export function showLocalTimes(root = document) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of findAll("time[data-local]", root)) time.textContent = format.format(new Date(time.dateTime));
}

export function showUnsureCount(count) {
  const badge = find("[data-unsure-count]");
  badge.hidden = !count;
  badge.textContent = count > 999 ? "999+" : count;
}

const SERVICE_SECONDS = 10;

export async function updateService() {
  const line = find("[data-service]");
  if (!line || document.hidden) return;
  try {
    const state = await get(`${base}/api/service`);
    line.classList.toggle("busy", state.running || Boolean(state.service?.busy));
    find("[data-service-words]").textContent = describeService(state);
    showUnsureCount(state.counts.unsure || 0);
    document.dispatchEvent(new CustomEvent("service", { detail: state }));
  } catch (error) {
    find("[data-service-words]").textContent =
      error instanceof ApiError ? `Error: ${error.message}.` : "The server does not respond; it may have been stopped.";
  }
}

function describeService(state) {
  const run = state.last_run;
  if (state.service) return `The service ${state.service.words}.`;
  if (state.running) return `Run ${run.run} (${run.command}) is in progress.`;
  return "Everything stays on this computer.";
}

showLocalTimes();
if (find("[data-service]")) {
  updateService();
  setInterval(updateService, SERVICE_SECONDS * 1000);
}
find("[data-logout]")?.addEventListener("click", async () => {
  await send("POST", `${base}/api/logout`);
  location.assign(`${base}/login`);
});

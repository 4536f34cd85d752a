// Undo of a run or of one change, and the live figures of the overview.

import { base, change } from "./api.js";
import { createElement, describeTask, find, findAll, showError, showToast, updateService } from "./common.js";

async function undo(button, address) {
  button.disabled = true;
  const done = button.textContent.startsWith("Write") ? "written again" : "undone";
  try {
    const task = await change(address);
    showToast(describeTask(task, done));
    const note = createElement("span", { class: "muted", tabindex: "-1", text: task.failed ? `partly ${done}` : done });
    button.replaceWith(note);
    if (document.activeElement === document.body) note.focus();
    updateService();
  } catch (error) {
    button.disabled = false;
    showError(error);
  }
}

for (const button of findAll("[data-undo-run]")) {
  button.addEventListener("click", () => undo(button, `${base}/api/runs/${button.dataset.undoRun}/undo`));
}
for (const button of findAll("[data-undo-change]")) {
  button.addEventListener("click", () => undo(button, `${base}/api/changes/${button.dataset.undoChange}/undo`));
}

document.addEventListener("service", ({ detail }) => {
  for (const place of findAll("[data-count]")) place.textContent = (detail.counts[place.dataset.count] || 0).toLocaleString();
  const facts = find("[data-service-facts]");
  if (!facts) return;
  const run = detail.last_run;
  const rows = [
    ["Service", detail.service ? detail.service.words : "not running"],
    ["Last run", run ? `${run.run} (${run.command}), ${run.status}` : "none yet"],
    ...(detail.service?.facts || []),
  ];
  facts.replaceChildren(...rows.map(([name, value]) => createElement("div", {}, createElement("dt", { text: name }), createElement("dd", { text: value }))));
});

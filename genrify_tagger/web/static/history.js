// Undo of a run and of one file, and the live numbers of the overview.

import { change } from "./api.js";
import { complain, find, findAll, make, outcome, tell } from "./common.js";

async function takeBack(button, address) {
  button.disabled = true;
  try {
    const task = await change(address);
    tell(outcome(task, "Taken back:"));
    const words = make("span", { class: "muted", tabindex: "-1", text: task.failed ? "partly taken back" : "taken back" });
    button.replaceWith(words);
    if (document.activeElement === document.body) words.focus();
  } catch (error) {
    button.disabled = false;
    complain(error);
  }
}

for (const button of findAll("[data-undo-run]")) {
  button.addEventListener("click", () => takeBack(button, `/api/runs/${button.dataset.undoRun}/undo`));
}
for (const button of findAll("[data-undo-change]")) {
  button.addEventListener("click", () => takeBack(button, `/api/changes/${button.dataset.undoChange}/undo`));
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
  facts.replaceChildren(...rows.map(([name, value]) => make("div", {}, make("dt", { text: name }), make("dd", { text: value }))));
});

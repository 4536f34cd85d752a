// Tracks of a table are played in place, with a bar at the bottom of the page.

import { base, get } from "./api.js";
import { find, findAll, formatTime, showError } from "./common.js";

export function playTracks(table) {
  const audio = new Audio();
  let current = null;

  function show() {
    const playing = !audio.paused && !audio.ended;
    for (const button of findAll("[data-play-track]", table)) {
      const here = playing && button === current;
      const name = find("[data-name]", button.closest("tr")).textContent;
      button.classList.toggle("playing", here);
      button.setAttribute("aria-label", `${here ? "Pause" : "Play"} ${name}`);
      button.closest("tr").classList.toggle("playing-row", here);
    }
    const bar = find("[data-bar-play]");
    bar.classList.toggle("playing", playing);
    bar.setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  async function play(button) {
    if (button === current) {
      if (audio.paused) audio.play();
      else audio.pause();
      return;
    }
    current = button;
    audio.pause();
    find("[data-bar]").hidden = false;
    find("[data-bar-name]").textContent = find("[data-name]", button.closest("tr")).textContent;
    try {
      await start(button, "");
    } catch (error) {
      showError(error);
    }
  }

  async function start(button, how) {
    find("[data-bar-clock]").textContent = "…";
    const sound = await get(`${base}/api/tracks/${button.dataset.playTrack}/sound${how}`);
    if (button !== current) return;
    audio.src = sound.url;
    audio.dataset.converted = sound.converted ? "1" : "";
    await audio.play().catch((error) => { if (error.name !== "NotSupportedError") throw error; });
  }

  function move() {
    const seek = find("[data-bar-seek]");
    const duration = Number.isFinite(audio.duration) ? audio.duration : 0;
    seek.max = Math.max(1, Math.floor(duration));
    seek.value = Math.floor(audio.currentTime);
    seek.setAttribute("aria-valuetext", `${formatTime(audio.currentTime)} of ${formatTime(duration)}`);
    find("[data-bar-clock]").textContent = `${formatTime(audio.currentTime)} / ${formatTime(duration)}`;
  }

  table.addEventListener("click", (event) => {
    const button = event.target.closest("[data-play-track]");
    if (button) play(button);
  });
  for (const kind of ["play", "pause", "ended"]) audio.addEventListener(kind, show);
  for (const kind of ["timeupdate", "durationchange"]) audio.addEventListener(kind, move);
  audio.addEventListener("error", () => {
    if (current && audio.hasAttribute("src") && !audio.dataset.converted) start(current, "?converted=1").catch(showError);
  });
  find("[data-bar-play]").addEventListener("click", () => (audio.paused ? audio.play() : audio.pause()));
  find("[data-bar-seek]").addEventListener("input", (event) => { audio.currentTime = Number(event.target.value); });
}

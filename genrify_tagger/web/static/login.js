// Log in with the token; a cookie keeps the login.

import { base, send } from "./api.js";
import { find } from "./common.js";

find("[data-login]").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await send("POST", `${base}/api/login`, { token: find("#token").value });
    location.assign(event.target.dataset.to);
  } catch (error) {
    find("[data-problem]").textContent = error.message;
  }
});

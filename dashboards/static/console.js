// Starts what a page has: keyboard, selection, the live pill.
import { keyboard } from "./keyboard.js";
import { live } from "./live.js";

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-reload]")) {
    event.preventDefault();
    location.reload();
    return;
  }
  const row = event.target.closest("tr[data-alert]");
  if (row && !event.target.closest("a")) row.querySelector("a").click();
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "panel") return;
  const shown = document.querySelector("#panel article")?.dataset.alert;
  for (const row of document.querySelectorAll("tr[data-alert]")) {
    row.setAttribute("aria-selected", String(row.dataset.alert === shown));
  }
  fade();
});

let fading;
function fade() {
  clearTimeout(fading);
  const toast = document.querySelector("[data-fades]");
  if (toast) fading = setTimeout(() => toast.remove(), 10_000);
}

keyboard();
if (document.getElementById("pill")) live(document.getElementById("pill"));

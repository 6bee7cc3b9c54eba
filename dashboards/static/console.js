// Starts what a page has: keyboard, selection, who else looks, what was typed and refused,
// what takes long, the live pill.
import { bulk } from "./bulk.js";
import { drafts } from "./drafts.js";
import { keyboard } from "./keyboard.js";
import { live } from "./live.js";
import { presence } from "./presence.js";
import { waiting } from "./waiting.js";

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-reload]")) {
    event.preventDefault();
    location.reload();
    return;
  }
  const row = event.target.closest("tr[data-alert]");
  if (row && !event.target.closest("a, input")) row.querySelector("a").click();
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "panel") return;
  const shown = document.querySelector("#panel article")?.dataset.alert;
  for (const row of document.querySelectorAll("tr[data-alert]")) {
    row.setAttribute("aria-selected", String(row.dataset.alert === shown));
  }
  fade();
});

// Who may be given an alert is asked for when the menu opens.
document.addEventListener(
  "toggle",
  async (event) => {
    const input = event.target.open && event.target.querySelector("[data-people]");
    if (!input) return;
    const answer = await fetch(input.dataset.people);
    if (!answer.ok) return;
    const names = await answer.json();
    input.list.replaceChildren(...names.map((name) => new Option(name)));
  },
  true,
);

// Copies what a link leads to; where a page may not write the clipboard, the link is followed.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-copy]");
  if (!link || !navigator.clipboard) return;
  event.preventDefault();
  const answer = await fetch(link.href);
  if (!answer.ok) return;
  await navigator.clipboard.writeText(await answer.text());
  const said = Object.assign(document.createElement("p"), { className: "toast", textContent: link.dataset.copied });
  said.dataset.fades = "";
  document.getElementById("toast").replaceChildren(said);
  fade();
});

let fading;
function fade() {
  clearTimeout(fading);
  const toast = document.querySelector("[data-fades]");
  if (toast) fading = setTimeout(() => toast.remove(), 10_000);
}

keyboard();
bulk();
presence();
drafts();
waiting();
if (document.getElementById("pill")) live(document.getElementById("pill"));

// Triage by keyboard. Keys are off inside inputs, except Enter in the note and Esc.

import { chooseRow } from "./bulk.js";

const one = (selector) => document.querySelector(selector);
const click = (selector) => one(selector)?.click();

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  Enter: () => click("[data-full-link]"),
  a: () => click("#panel [data-key=a]"),
  c: () => open("#closing"),
  s: () => open("#assigning")?.querySelector("input[name=assignee]").focus(),
  x: () => open("#suppressing"),
  w: () => click("#panel [data-key=w]"),
  y: () => click("#panel [data-key=y]"),
  e: () => open("#escalating, #editing")?.querySelector("input[name=title]")?.focus(),
  r: () => (one("#asking") ? open("#asking").querySelector("select").focus() : click("#panel [data-key=r]")),
  p: () => click("#panel [data-key=p]"),
  h: () => pivot(),
  ".": () => open(".menu.tenants")?.querySelector("nav a").focus(),
  z: () => click("#toast [data-key=z]"),
  X: () => chooseRow(),
  "/": () => one("#search")?.focus(),
  "?": () => one("#help")?.showModal(),
};

export function keyboard() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") return escape();
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) return note(event);
    if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
    const act = go(event.key) ?? choice(event.key) ?? KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  one("#help-open")?.addEventListener("click", KEYS["?"]);
  document.addEventListener("submit", askForNote, true);
}

function step(by) {
  if (one("#panel[data-full]")) return click(by > 0 ? "[rel=next]" : "[rel=prev]");
  const rows = [...document.querySelectorAll("tr[data-alert]")];
  const at = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
  const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  if (!next || next === rows[at]) return;
  for (const row of rows) row.setAttribute("aria-selected", String(row === next));
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("a").click();
}

// The next value of the alert; Enter on it lists what else has it.
function pivot() {
  const chips = [...document.querySelectorAll("#panel a.chip")];
  chips[(chips.indexOf(document.activeElement) + 1) % chips.length]?.focus();
}

function open(selector) {
  const menu = one(selector);
  if (menu) menu.open = true;
  return menu;
}

// The keys of an open menu, such as the verdicts.
function choice(key) {
  const button = one(`details.menu[open] [data-choice="${CSS.escape(key)}"]`);
  return button ? () => button.click() : undefined;
}

// "g", then a page.
const PAGES = { q: "/", c: "/cases", s: "/suppressions", t: "/tuning", f: "/figures", m: "/reports", a: "/account", r: "/reviews" };
let going = false;
function go(key) {
  const page = going ? PAGES[key] : undefined;
  going = key === "g" && !going;
  if (going) return () => {};
  return page ? () => location.assign(page) : undefined;
}

// A true positive without a note is not sent: the note is asked for, and Enter in it sends.
function askForNote(event) {
  const form = event.target;
  if (event.submitter?.value !== "true_positive" || form.elements.note.value.trim()) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  form.querySelector(".needed").hidden = false;
  form.elements.note.dataset.verdict = "true_positive";
  form.elements.note.focus();
}

function note(event) {
  const input = event.target;
  if (event.key !== "Enter" || !input.dataset.verdict || !input.value.trim()) return;
  event.preventDefault();
  click("#closing [value=true_positive]");
}

function escape() {
  document.activeElement?.blur();
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
}

// Choosing lines for a bulk change: the bar shows while any is chosen. The choice ends with the page.

const one = (selector) => document.querySelector(selector);
const boxes = () => [...document.querySelectorAll("[data-choose-row]")];

export function bulk() {
  const bar = one("#bulk");
  if (!bar) return;
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-page]")) for (const box of boxes()) box.checked = event.target.checked;
    if (event.target.matches("[data-page], [data-choose-row], #bulk [name=every]")) show(bar);
  });
  bar.addEventListener("click", (event) => {
    const verdict = event.target.closest("[data-choose]");
    if (verdict) bar.elements.verdict.value = verdict.dataset.choose;
    if (event.target.closest("[data-none]")) none(bar);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt === bar && event.detail.successful) none(bar);
  });
}

export function chooseRow() {
  const box = one("tr[aria-selected=true] [data-choose-row]");
  box?.click();
}

function none(bar) {
  for (const box of document.querySelectorAll("[data-choose-row], [data-page], #bulk [name=every]")) box.checked = false;
  for (const menu of bar.querySelectorAll("details")) menu.open = false;
  bar.elements.key.value = crypto.randomUUID();
  show(bar);
}

function show(bar) {
  const chosen = boxes().filter((box) => box.checked);
  const inputs = chosen.map((box) => {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name: "alert", value: box.value });
    return input;
  });
  one("#chosen").replaceChildren(...inputs);
  const output = bar.querySelector("output");
  output.textContent = output.dataset.text.replace("%", chosen.length);
  bar.hidden = chosen.length === 0 && !bar.elements.every?.checked;
}

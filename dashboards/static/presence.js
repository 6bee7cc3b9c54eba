// Says which alert is looked at, and shows who else does and whether it has changed meanwhile.

const EVERY_MS = 15_000;
const SHOWN = ["panel", "panel-problem"];

export function presence() {
  if (!document.getElementById("panel")) return;
  setInterval(look, EVERY_MS);
  document.addEventListener("visibilitychange", look);
  document.addEventListener("htmx:afterSwap", (event) => SHOWN.includes(event.detail.target.id) && soon());
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-reload-alert]");
    const shown = link && document.querySelector('tr[aria-selected="true"] a');
    if (!shown) return;
    event.preventDefault();
    shown.click();
  });
  look();
}

// One answer swaps several parts of the page, with an event for each.
let asked;
function soon() {
  clearTimeout(asked);
  asked = setTimeout(look);
}

export async function look() {
  const place = document.querySelector("[data-look]");
  if (!place || document.visibilityState !== "visible") return;
  const answer = await fetch(place.dataset.look).catch(() => undefined);
  if (answer?.ok) place.innerHTML = await answer.text();
}

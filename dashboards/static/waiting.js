// Says that an answer takes long, or that none came: what is on the page stays as it is.

const LONG_MS = 4_000;
const waits = new Map();

export function waiting() {
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    detail.target.ariaBusy = "true";
    waits.set(detail.xhr, setTimeout(() => say("slow"), LONG_MS));
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    detail.target.ariaBusy = null;
    clearTimeout(waits.get(detail.xhr));
    waits.delete(detail.xhr);
    if (waits.size === 0) document.querySelector("#toast [data-waits=slow]")?.remove();
  });
  for (const lost of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(lost, () => say("lost"));
}

function say(what) {
  const toast = document.getElementById("toast");
  if (!toast) return;
  const said = Object.assign(document.createElement("p"), { className: "toast", textContent: toast.dataset[what] });
  said.dataset.waits = what;
  toast.replaceChildren(said);
}

// Says that an answer takes long, or that none came: what is on the page stays as it is.

const LONG_MS = 4_000;
const waits = new Map(); // request to what waits for it

export function waiting() {
  document.addEventListener("htmx:beforeRequest", ({ detail: { target, xhr } }) => {
    target.ariaBusy = "true";
    waits.set(xhr, target);
    const timer = setTimeout(() => target.isConnected && say("slow"), LONG_MS);
    // of the request itself: events of htmx do not come out of an element that has left the page meanwhile
    for (const lost of ["error", "timeout"]) xhr.addEventListener(lost, () => target.isConnected && say("lost"));
    xhr.addEventListener("loadend", () => {
      clearTimeout(timer);
      ended(xhr, target);
    });
  });
}

function ended(xhr, target) {
  target.ariaBusy = null;
  waits.delete(xhr);
  if (xhr.status !== 0 && ![...waits.values()].some((other) => other.isConnected)) say("");
}

function say(what) {
  const place = document.getElementById("waiting");
  if (place) place.textContent = what && place.dataset[what];
}

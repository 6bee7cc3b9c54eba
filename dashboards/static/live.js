// The pill "N new": rows never move by themselves.

export function live(pill) {
  const text = pill.dataset.text;
  const fresh = new Set();
  const source = new EventSource("/api/v1/stream");
  source.addEventListener("ready", () => (document.body.dataset.live = "on"));
  source.addEventListener("error", () => (document.body.dataset.live = "off"));
  source.addEventListener("ended", () => source.close());
  source.addEventListener("alert", (event) => {
    const alert = JSON.parse(event.data);
    if (alert.kind !== "created" || document.querySelector(`tr[data-alert="${CSS.escape(alert.id)}"]`)) return;
    fresh.add(alert.id);
    const shown = document.getElementById("pill"); // replaced with the tabs after each change
    shown.textContent = text.replace("%", fresh.size);
    shown.hidden = false;
  });
}

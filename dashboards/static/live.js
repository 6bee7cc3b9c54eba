// The pill "N new", and lines that change where they stand: rows never move by themselves.
import { look } from "./presence.js";

const TOGETHER_MS = 500;
const rowOf = (id) => document.querySelector(`tr[data-alert="${CSS.escape(id)}"]`);

export function live(pill) {
  const text = pill.dataset.text;
  const fresh = new Set();
  const source = new EventSource("/api/v1/stream");
  source.addEventListener("ready", () => (document.body.dataset.live = "on"));
  source.addEventListener("error", () => (document.body.dataset.live = "off"));
  source.addEventListener("ended", () => source.close());
  source.addEventListener("alert", (event) => {
    const alert = JSON.parse(event.data);
    if (rowOf(alert.id)) return renew(alert.id);
    if (alert.kind !== "created") return;
    fresh.add(alert.id);
    const shown = document.getElementById("pill"); // replaced with the tabs after each change
    shown.textContent = text.replace("%", fresh.size);
    shown.hidden = false;
  });
}

const outdated = new Set();
function renew(id) {
  if (outdated.size === 0) setTimeout(refresh, TOGETHER_MS);
  outdated.add(id);
}

async function refresh() {
  const query = new URLSearchParams(location.search);
  for (const id of outdated) query.append("alert", id);
  outdated.clear();
  if (query.has("alert", document.querySelector("#panel article")?.dataset.alert)) look();
  const answer = await fetch(`/rows?${query}`).catch(() => undefined);
  if (!answer?.ok) return;
  for (const [id, cells] of Object.entries(await answer.json())) {
    const row = rowOf(id);
    if (!row || row.contains(document.activeElement)) continue;
    const chosen = row.querySelector("[data-choose-row]").checked;
    row.innerHTML = cells;
    row.querySelector("[data-choose-row]").checked = chosen;
    window.htmx.process(row);
  }
}

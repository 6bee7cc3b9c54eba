// What was typed into a form is not lost when the form is refused or the session has ended: it is kept in this tab until
// the form is there again. Passwords, files and what the page itself put into a form are not kept.

const KEPT = "wardwatch.draft";
const TYPED = "input:not([type=hidden], [type=password], [type=file], [type=submit]), textarea, select";

export function drafts() {
  document.addEventListener("submit", (event) => keep(event.target), true);
  document.addEventListener("htmx:afterRequest", (event) => event.detail.successful && forget(event.detail.elt));
  document.addEventListener("htmx:afterSwap", restore);
  const draft = read();
  if (draft && "refused" in document.body.dataset) write({ ...draft, refused: true });
  else if (draft && !draft.refused) sessionStorage.removeItem(KEPT);
  restore();
}

const actionOf = (form) => new URL(form.action, location.href).pathname;
const read = () => JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
const write = (draft) => sessionStorage.setItem(KEPT, JSON.stringify(draft));

function keep(form) {
  if (form.method !== "post" || "refused" in document.body.dataset) return;
  const fields = [...form.querySelectorAll(TYPED)].filter((field) => field.name);
  const values = fields.map((field) => [field.name, field.value, Boolean(field.checked)]);
  if (values.some(([, value]) => value)) write({ action: actionOf(form), values });
}

function forget(element) {
  if (element.tagName === "FORM" && read()?.action === actionOf(element)) sessionStorage.removeItem(KEPT);
}

function restore() {
  const draft = read();
  if (!draft?.refused) return;
  const form = [...document.querySelectorAll("form[method=post]")].find((each) => actionOf(each) === draft.action);
  if (!form) return;
  sessionStorage.removeItem(KEPT);
  for (const [name, value, checked] of draft.values) {
    const fields = [...form.querySelectorAll(TYPED)].filter((field) => field.name === name);
    const ticked = fields.find((field) => ["checkbox", "radio"].includes(field.type) && field.value === value);
    if (ticked) ticked.checked = checked;
    else if (fields.length === 1) fields[0].value = value;
  }
  for (let menu = form.closest("details"); menu; menu = menu.parentElement.closest("details")) menu.open = true;
}

// The page works without this script. With it, filters, sorting and pages of a table change the
// content in place: forms and links marked data-live fetch their address and swap <main>.
"use strict";

let latest = 0;
let waiting = 0;
let typing = false; // so that a word typed, or a slider drawn, is one step back, not ten

async function show(address, step) {
  const turn = ++latest;
  const main = document.querySelector("main");
  main.setAttribute("aria-busy", "true");
  let answer;
  try {
    answer = await fetch(address, { credentials: "same-origin", headers: { Accept: "text/html" } });
  } catch {
    location.assign(address);
    return;
  }
  const text = await answer.text();
  if (turn !== latest) return; // a later request has overtaken this one
  const next = new DOMParser().parseFromString(text, "text/html");
  const fresh = next.querySelector("main");
  if (answer.redirected || answer.status === 401 || !fresh) {
    location.assign(address);
    return;
  }
  const focus = document.activeElement && main.contains(document.activeElement)
    ? document.activeElement.id : "";
  const caret = focus && "selectionStart" in document.activeElement
    ? document.activeElement.selectionStart : null;
  const open = [...main.querySelectorAll("details[id][open]")].map((one) => one.id);
  main.replaceWith(fresh);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  const again = focus && document.getElementById(focus);
  if (again) {
    again.focus({ preventScroll: true });
    if (caret !== null && again.type !== "number") again.setSelectionRange?.(caret, caret);
  }
  document.title = next.title;
  document.querySelector(".themes [name=back]").value = next.querySelector(".themes [name=back]").value;
  if (step) history[step](null, "", address);
  here = location.pathname + location.search;
  const said = fresh.querySelector("[data-said]");
  document.getElementById("said").textContent = said ? said.textContent.trim() : next.title;
}

function addressOf(form) {
  const fields = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(fields).toString();
  return new URL(form.getAttribute("action"), location.href).pathname + (query ? "?" + query : "");
}

function later(form, pause) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    if (!form.isConnected || !form.checkValidity()) return;
    show(addressOf(form), typing ? "replaceState" : "pushState");
    typing = true;
  }, pause);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-live]")) return;
  event.preventDefault();
  clearTimeout(waiting);
  typing = false;
  show(addressOf(form), "pushState");
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-live]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  typing = false;
  show(link.getAttribute("href"), "pushState");
});

document.addEventListener("input", (event) => {
  const field = event.target;
  if (field.type === "range") {
    const shown = document.querySelector(`output[for="${CSS.escape(field.id)}"]`);
    const { before = "", after = "" } = shown ? shown.dataset : {};
    if (shown) shown.textContent = before + Number(field.value).toLocaleString("en") + after;
  }
  const form = field.closest("form[data-live]");
  if (form) later(form, field.type === "range" ? 120 : 400);
});

let here = location.pathname + location.search;
addEventListener("popstate", () => {
  const there = location.pathname + location.search;
  typing = false;
  if (there !== here) show(there, null); // else it was a jump within the page
});

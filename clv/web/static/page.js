// The page works without this script. With it, forms and links marked data-live change the content
// in place: they fetch their address and take over what is in #results, or all of <main> where
// there is none. A form stays where it is, so that a slider can be drawn on while answers come in.
// X-Part names what is taken over: a room may leave out the rest, and then says data-part.
"use strict";

const PAUSE = 400; // milliseconds without a key before what is typed is asked for
const QUIET = 500; // milliseconds without an answer before the last one is read out
const AGAIN = 2000; // milliseconds between two looks at what changes by itself
let turn = 0; // of the latest request
let busy = false;
let waiting = null; // the form that has changed since its last request
let pause = 0;
let speech = 0;
let here = location.pathname + location.search;

// Ask for an address and show the answer; step is "pushState", "replaceState" or null.
async function show(address, step, to) {
  const mine = ++turn;
  region().setAttribute("aria-busy", "true");
  try {
    const headers = { Accept: "text/html", "X-Part": region().id };
    const answer = await fetch(address, { credentials: "same-origin", headers });
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== turn) return; // a later request has overtaken this one
    if (answer.redirected || answer.status === 401 || !next.querySelector("main")) throw new Error("not a room");
    take(next, to);
    if (step) history[step](null, "", address);
    here = location.pathname + location.search;
  } catch {
    if (mine === turn) location.assign(address);
  }
}

function region() {
  return document.getElementById("results") ?? document.querySelector("main");
}

// What may be exchanged: the results if the forms above them are the same, else everything.
function take(next, to) {
  const fresh = next.getElementById("results");
  const same = fresh && document.getElementById("results") && agree(next);
  if (!same && next.querySelector("[data-part]")) throw new Error("not all of the room");
  const parts = same
    ? [[region(), fresh], [document.querySelector(".head"), next.querySelector(".head")]]
    : [[document.querySelector("main"), next.querySelector("main")]];
  const focus = document.activeElement?.id;
  for (const [old, now] of parts) exchange(old, now);
  document.title = next.title;
  document.querySelector(".themes [name=back]").value = next.querySelector(".themes [name=back]").value;
  const goal = document.getElementById(to ?? focus);
  if (goal && goal !== document.activeElement) goal.focus({ preventScroll: !to });
  if (to) goal?.scrollIntoView({ block: "start" });
  clearTimeout(speech);
  speech = setTimeout(() => {
    const said = document.querySelector("[data-said]")?.textContent.trim() ?? next.title;
    document.getElementById("said").textContent = said;
  }, QUIET);
}

// Open tables stay open, and stay where they were drawn to.
function exchange(old, now) {
  for (const [choose, keep] of [["details", "open"], [".scroll", "scrollLeft"]]) {
    const before = [...old.querySelectorAll(choose)].map((one) => one[keep]);
    const after = [...now.querySelectorAll(choose)];
    if (after.length !== before.length) continue;
    queueMicrotask(() => after.forEach((one, k) => { one[keep] ||= before[k]; }));
  }
  old.replaceWith(now);
}

// The fields of a form show what the answer says, but for the one that somebody is at.
function agree(next) {
  const fields = (page) => [...page.querySelectorAll("form[data-live] :is(input, select, [data-text])")];
  const [old, now] = [fields(document), fields(next)];
  if (old.length !== now.length || old.some((one, k) => one.id !== now[k].id || one.name !== now[k].name)) return false;
  old.forEach((one, k) => {
    if (one.matches("[data-text]")) one.textContent = now[k].textContent;
    if (one === document.activeElement || !("value" in one)) return;
    for (const name of ["min", "max", "step"]) if (now[k].hasAttribute(name)) one.setAttribute(name, now[k].getAttribute(name));
    one.value = now[k].value;
    one.checked = now[k].checked;
  });
  return true;
}

function addressOf(form) {
  const fields = [...new FormData(form)].filter(([, value]) => value !== "");
  const query = new URLSearchParams(fields).toString();
  return new URL(form.getAttribute("action"), location.href).pathname + (query ? "?" + query : "");
}

// One request at a time: what changes meanwhile is asked for when the answer is there.
async function ask(form) {
  clearTimeout(pause);
  waiting = form;
  while (waiting && !busy) {
    const next = waiting;
    waiting = null;
    if (!next.isConnected || !next.checkValidity()) continue;
    busy = true;
    await show(addressOf(next), "replaceState");
    busy = false;
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-live]")) return;
  event.preventDefault();
  clearTimeout(pause);
  waiting = null;
  show(addressOf(form), "pushState");
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-live]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  clearTimeout(pause);
  waiting = null;
  show(link.getAttribute("href"), "pushState", link.dataset.to);
});

document.addEventListener("input", (event) => {
  const field = event.target;
  const form = field.closest("form[data-live]");
  if (!form) return;
  if (field.type === "range") document.getElementById(field.dataset.number).value = field.value;
  clearTimeout(pause);
  if (field.matches("[type=range], [type=checkbox], select")) ask(form);
  else pause = setTimeout(() => ask(form), PAUSE);
});

// What is marked data-again changes by itself: ask for it until it is there without that mark.
setInterval(() => {
  if (document.querySelector("[data-again]") && !document.hidden && !busy) show(here, null);
}, AGAIN);

addEventListener("popstate", () => {
  const there = location.pathname + location.search;
  if (there !== here) show(there, null); // else it was a jump within the page
});

// Drawing across a chart over time with a mouse chooses that part, as the form marked data-span
// above it does by its two days: their options say which days there are.
let drawn = null; // the form, the mark, where the plot is, and where the drawing began

function across(event) {
  return Math.min(Math.max((event.clientX - drawn.left) / drawn.width, 0), 1);
}

document.addEventListener("pointerdown", (event) => {
  const plot = event.target.closest?.("figure svg:not(.plot)")?.querySelector(".plot");
  const form = plot?.closest("section")?.querySelector("form[data-span]");
  if (!form || event.pointerType !== "mouse" || event.button) return;
  event.preventDefault();
  const mark = document.createElementNS(plot.namespaceURI, "rect");
  mark.setAttribute("class", "drawn");
  mark.setAttribute("height", "100%");
  plot.append(mark);
  const left = plot.ownerSVGElement.getBoundingClientRect().left + plot.x.baseVal.value;
  drawn = { form, mark, left, width: plot.width.baseVal.value };
  drawn.start = across(event);
});

document.addEventListener("pointermove", (event) => {
  if (!drawn) return;
  const [low, high] = [drawn.start, across(event)].sort((a, b) => a - b);
  drawn.mark.setAttribute("x", `${100 * low}%`);
  drawn.mark.setAttribute("width", `${100 * (high - low)}%`);
});

document.addEventListener("pointerup", (event) => {
  if (!drawn) return;
  const { form, mark, start } = drawn;
  const part = [start, across(event)].sort((a, b) => a - b);
  mark.remove();
  drawn = null;
  const [from, to] = form.querySelectorAll("select");
  const [first, last] = [from, to].map((one) => Date.parse(one.value));
  const [low, high] = part.map((share) => first + share * (last - first));
  const inside = [...from.options].map((one) => one.value).filter((day) => low <= Date.parse(day) && Date.parse(day) <= high);
  if (inside.length < 2) return;
  [from.value, to.value] = [inside[0], inside.at(-1)];
  show(addressOf(form), "pushState");
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  drawn?.mark.remove();
  drawn = null;
});

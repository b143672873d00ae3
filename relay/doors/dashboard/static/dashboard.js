// What pages do beyond being read: they stay up to date while they are seen, ask in place, and follow the keyboard.
// Without it every page and every action works all the same.
"use strict";

const $ = (id) => document.getElementById(id);
const pulse = $("pulse"), live = $("live"), url = document.body.dataset.live;

// Light or dark.

const theme = $("theme");
function turn() {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("jobstream-theme", document.documentElement.dataset.theme); } catch { /* for now only */ }
}
theme.hidden = false;
theme.addEventListener("click", turn);

// Live: a fragment comes when something changed. Nothing is asked for while nobody sees the page.

let source = null, held = false;

function say(words, kind) {
  pulse.hidden = false;
  pulse.textContent = words;
  pulse.className = `pulse ${kind}`;
}

function listen() {
  const wanted = url && !document.hidden && !held;
  if (!wanted && source) { source.close(); source = null; }
  if (held) say("held", "held");
  if (!wanted || source) return;
  source = new EventSource(url);
  source.addEventListener("open", () => say("live", "fresh"));
  source.addEventListener("page", (event) => {
    const fresh = new DOMParser().parseFromString(event.data, "text/html");
    become(live, fresh.body);
    mark();
    say("live", "fresh");
  });
  source.addEventListener("away", (event) => { say("away", "away"); pulse.title = event.data; });
  source.addEventListener("error", () => {
    say("cut off", "away");
    if (source && source.readyState === EventSource.CLOSED) { source = null; setTimeout(listen, 5000); }
  });
}
if (url) { document.addEventListener("visibilitychange", listen); listen(); }
addEventListener("pagehide", () => { if (source) source.close(); source = null; });

// Makes an element like another with as few changes as may be, so that selection, focus and scrolling stay.
function become(old, fresh) {
  const was = [...old.childNodes], will = [...fresh.childNodes];
  will.forEach((node, place) => {
    const before = was[place];
    if (!before) old.append(document.importNode(node, true));
    else if (before.nodeType !== node.nodeType || before.nodeName !== node.nodeName) before.replaceWith(document.importNode(node, true));
    else if (node.nodeType === Node.ELEMENT_NODE) { attributes(before, node); become(before, node); }
    else if (before.nodeValue !== node.nodeValue) before.nodeValue = node.nodeValue;
  });
  was.slice(will.length).forEach((node) => node.remove());
}

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

// Questions before actions, in place.

const asked = $("asked");
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-ask]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    const form = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("ask");
    if (!answer.ok || !form) { location.href = link.href; return; }
    asked.replaceChildren(document.importNode(form, true));
    asked.showModal();
    (asked.querySelector("input:not([type=hidden]), select") || asked.querySelector("button")).focus();
  } else if (event.target.closest("[data-close]") && asked.open) {
    event.preventDefault();
    asked.close();
  } else if (event.target.closest("[data-copy]") && navigator.clipboard && getSelection().isCollapsed) {
    const text = event.target.closest("[data-copy]").textContent;
    navigator.clipboard.writeText(text).then(() => pulse && say("copied", "fresh"), () => {});
  }
});

// The keyboard.

let here = -1, going = false;
const rows = () => [...document.querySelectorAll("[data-row]")];

function mark(scroll) {
  const all = rows();
  here = Math.min(here, all.length - 1);
  all.forEach((row, place) => row.classList.toggle("here", place === here));
  if (scroll && all[here]) all[here].scrollIntoView({ block: "nearest" });
}

function help() { $("keys").showModal(); }
const button = $("help");
button.hidden = false;
button.addEventListener("click", help);

const KEYS = {
  "/": () => $("search") && $("search").focus(),
  "?": help,
  j: () => { here += 1; mark(true); },
  k: () => { here = Math.max(0, here - 1); mark(true); },
  t: turn,
  p: () => { held = !held; listen(); },
  Enter: () => { const link = rows()[here] && rows()[here].querySelector("a[href]:not([data-ask])"); if (link) link.click(); },
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, button, a, dialog[open]");
  if (event.key === "Escape" && event.target.id === "search") event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || (typing && event.target.tagName !== "A") || (typing && event.key === "Enter")) return;
  if (going) {
    going = false;
    const link = document.querySelector(`.rooms a[data-key="${CSS.escape(event.key)}"]`);
    if (link) link.click();
  } else if (event.key === "g") {
    going = true;
    setTimeout(() => { going = false; }, 1500);
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

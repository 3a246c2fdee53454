"use strict";
// Replaces the parts of the page that have changed, and copies commands. Without it the page shows what it showed when
// it was loaded.

document.documentElement.classList.add("scripted");
const connection = document.getElementById("connection");
let source = null;
let retry = 0;

function say(text) {
  if (connection.textContent !== text) connection.textContent = text;
}

function retitle() {
  const named = document.querySelector("[data-title]");
  if (named) document.title = `${named.dataset.title} · Fairlead`;
}

function replace(name, html) {
  const part = document.querySelector(`[data-part="${CSS.escape(name)}"]`);
  if (!part || part.innerHTML === html) return;
  // A person keeps the place where they are: the focus, what is folded open, and how far it is scrolled.
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
  const scrolled = [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  part.innerHTML = html;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  part.querySelectorAll(".scroll").forEach((one, at) => { one.scrollLeft = scrolled[at] || 0; });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  retitle();
}

function connect() {
  const live = document.body.dataset.live;
  if (!live || source || document.hidden) return;
  source = new EventSource(live);
  source.addEventListener("open", () => say("live"));
  source.addEventListener("part", (event) => {
    const { part, html } = JSON.parse(event.data);
    replace(part, html);
  });
  source.addEventListener("error", () => {
    say(`not connected since ${new Date().toISOString().slice(11, 19)}: this page may be old`);
    if (source.readyState !== EventSource.CLOSED) return;  // the browser tries again
    disconnect();
    clearTimeout(retry);
    retry = setTimeout(connect, 5000);
  });
}

function disconnect() {
  source?.close();
  source = null;
}

// A browser has few connections for one host: a page that nobody sees must not hold one.
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const command = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  } catch {
    getSelection().selectAllChildren(command);
  }
});

retitle();
connect();

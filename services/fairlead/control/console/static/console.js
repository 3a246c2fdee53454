"use strict";
// Replaces the parts of the page that have changed, copies commands, and sends what a person asks for without leaving the
// page. Without it the page shows what it showed when it was loaded, and a form loads it again.

document.documentElement.classList.add("scripted");
const connection = document.getElementById("connection");
let source = null;
let retry = 0;
let changed = -Infinity;

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
  // A person keeps the place where they are: the focus, what they folded or unfolded, and how far it is scrolled.
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  const folded = [...part.querySelectorAll("details")].filter((one) => one.open !== ("opened" in one.dataset));
  const scrolled = [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  part.innerHTML = html;
  for (const { id, open } of folded) document.getElementById(id)?.toggleAttribute("open", open);
  part.querySelectorAll(".scroll").forEach((one, at) => { one.scrollLeft = scrolled[at] || 0; });
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  if (name === "acts") changed = performance.now();
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

// A button that appears under the finger is not what the person meant to press.
const SETTLED_MS = 700;

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== "act" || !event.submitter) return;
  event.preventDefault();
  const outcome = document.getElementById("outcome");
  if (form.ariaBusy === "true") return;
  if (performance.now() - changed < SETTLED_MS) {
    outcome.textContent = "The buttons have just changed, so nothing was sent: look, and press again.";
    return;
  }
  const body = new URLSearchParams(new FormData(form, event.submitter));
  form.ariaBusy = "true";
  outcome.textContent = `${event.submitter.textContent}: sent`;
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { accept: "application/json" } });
    const { html, request } = await answer.json();
    outcome.innerHTML = html;
    // Until there is an outcome, pressing again is the same request.
    if (request) {
      form.elements.request.value = request;
      form.elements.reason.value = "";
      form.querySelectorAll("[name=sure]").forEach((one) => { one.checked = false; });
    }
  } catch {
    outcome.textContent = "No answer came back: it may have been carried out. See the revisions, or press again.";
  }
  form.ariaBusy = null;
});

retitle();
connect();

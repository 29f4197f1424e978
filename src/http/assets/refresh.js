// Brings the newest state in without losing the place or what is opened.
// Without script, the page reloads itself instead.
"use strict";
const PERIOD = 5000;
const stale = document.getElementById("stale");

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    const main = document.querySelector("main");
    if (!answer.ok || !fresh) throw new Error(answer.status);
    const open = new Map([...main.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    for (const one of fresh.querySelectorAll("details[id]")) {
      if (open.has(one.id)) one.open = open.get(one.id);
    }
    const focused = document.activeElement?.id;
    if (String(getSelection()) === "") main.replaceWith(fresh);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
}

setInterval(refresh, PERIOD);
document.addEventListener("visibilitychange", refresh);

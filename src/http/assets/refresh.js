// Brings the newest state in without losing the place or a selection.
// Without script, the page reloads itself instead.
"use strict";
const PERIOD = 5000;
const stale = document.getElementById("stale");

async function refresh() {
  if (document.hidden || String(getSelection()) !== "") return;
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("main");
    if (!answer.ok || !fresh) throw new Error(answer.status);
    const main = document.querySelector("main");
    const place = [...main.querySelectorAll("a")].indexOf(document.activeElement);
    main.replaceWith(fresh);
    document.title = page.title;
    if (place >= 0) fresh.querySelectorAll("a")[place]?.focus({ preventScroll: true });
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
}

setInterval(refresh, PERIOD);
document.addEventListener("visibilitychange", refresh);

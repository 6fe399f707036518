/* The live board: puts changed rows in place, keeps focus and what is open, moves nothing under a pressing hand. */
"use strict";
(() => {
  const list = document.getElementById("calls");
  const none = document.getElementById("none");
  const sums = document.getElementById("sums");
  const heard = document.getElementById("heard");
  const only = list.dataset.only;
  const known = new WeakMap(); /* row -> the HTML of its parts as the server sent them */
  const parse = (html) => { const box = document.createElement("template"); box.innerHTML = html.trim(); return box.content.firstElementChild; };
  const parts = (row) => [...row.children].map((part) => part.outerHTML);
  for (const row of list.children) known.set(row, null);

  let hovered = 0;
  list.addEventListener("pointermove", () => { hovered = Date.now(); }, { passive: true });
  const busy = () => list.contains(document.activeElement) || Date.now() - hovered < 1500;

  function patch(row, fresh) {
    const wanted = parts(fresh);
    const had = known.get(row) || [];
    row.className = fresh.className;
    row.dataset.need = fresh.dataset.need;
    const active = row.contains(document.activeElement) ? document.activeElement : null;
    const mark = active && { name: active.name, value: active.value, href: active.getAttribute("href") };
    const news = [...fresh.children];
    if (row.children.length !== news.length) row.replaceChildren(...news);
    else news.forEach((part, at) => { if (wanted[at] !== had[at]) row.children[at].replaceWith(part); });
    known.set(row, wanted);
    if (mark && !row.contains(document.activeElement)) {
      const same = [...row.querySelectorAll("button, a")].find((one) => (mark.name && one.name === mark.name && one.value === mark.value) || (mark.href && one.getAttribute("href") === mark.href));
      (same || row).focus({ preventScroll: true });
    }
  }

  let unsorted = false;
  function sort() {
    if (busy()) { unsorted = true; return; }
    unsorted = false;
    const rows = [...list.children];
    const right = [...rows].sort((one, other) => (one.dataset.need < other.dataset.need ? -1 : 1));
    right.forEach((row, at) => { if (list.children[at] !== row) list.insertBefore(row, list.children[at] || null); });
  }

  function place(row) {
    for (const other of list.children) if (other.dataset.need > row.dataset.need) { list.insertBefore(row, other); return; }
    list.append(row);
  }

  function take(news) {
    for (const one of news.rows) {
      const fresh = parse(one.html);
      if (only && fresh.dataset.call !== only) continue;
      const row = document.getElementById(one.id);
      if (row) {
        const before = row.className;
        patch(row, fresh);
        if (!/level-3|care/.test(before) && /level-3|care/.test(row.className)) tell(row);
      } else {
        known.set(fresh, parts(fresh));
        fresh.classList.add("fresh");
        place(fresh);
        if (/level-3|care/.test(fresh.className)) tell(fresh);
      }
    }
    for (const id of news.gone) { const row = document.getElementById(id); if (row && !only) row.remove(); }
    if (news.all && !only) { const there = new Set(news.all); for (const row of [...list.children]) if (!there.has(row.id)) row.remove(); }
    if (sums && sums.dataset.html !== news.sums) { sums.innerHTML = news.sums; sums.dataset.html = news.sums; }
    if (none) none.hidden = list.children.length > 0;
    if (news.rows.length) sort();
    clocks();
  }

  function tell(row) { if (heard) heard.textContent = heard.dataset.new.replace("{who}", row.querySelector(".who").textContent); }

  const two = (n) => String(n).padStart(2, "0");
  function clocks() {
    const now = Date.now();
    for (const node of list.querySelectorAll("[data-since]")) {
      if (node.closest(".ended")) continue;
      const seconds = Math.max(0, Math.floor((now - Date.parse(node.dataset.since)) / 1000));
      if (node.tagName === "PROGRESS") { node.value = Math.min(seconds, node.max); node.classList.toggle("over", seconds >= node.max); }
      else { const h = Math.floor(seconds / 3600); node.textContent = (h ? `${h}:${two(Math.floor(seconds / 60) % 60)}` : Math.floor(seconds / 60)) + `:${two(seconds % 60)}`; }
    }
    const wall = document.querySelector("[data-clock]");
    if (wall) { const at = new Date(); wall.textContent = `${two(at.getHours())}:${two(at.getMinutes())}`; }
  }
  setInterval(() => { clocks(); if (unsorted) sort(); }, 1000);
  clocks();

  let lost = null;
  const source = new EventSource(list.dataset.events);
  source.addEventListener("rows", (event) => take(JSON.parse(event.data)));
  source.addEventListener("open", () => { if (lost) { lost.close(); lost = null; desk.toast(desk.texts.found); } });
  source.addEventListener("error", () => { if (!lost) lost = desk.toast(desk.texts.lost, { bad: true, seconds: 0 }); });

  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-orders]");
    if (!form || !event.submitter) return;
    event.preventDefault();
    const button = event.submitter;
    const body = new URLSearchParams(new FormData(form));
    body.set("what", button.value);
    body.set("csrf", desk.csrf);
    if (button.dataset.sure) {
      if (!(await desk.sure(button.dataset.sure, button.dataset.sureText))) { button.focus(); return; }
      body.set("sure", "yes");
    }
    button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
      const told = await answer.json();
      desk.toast(told.text || desk.texts.failed, { bad: !told.done });
    } catch (error) { desk.toast(desk.texts.failed, { bad: true }); }
    button.disabled = false;
    button.focus({ preventScroll: true });
  });

  for (const row of list.children) row.dataset.row = "";
  new MutationObserver((changes) => { for (const one of changes) for (const node of one.addedNodes) if (node.dataset) node.dataset.row = ""; }).observe(list, { childList: true });
})();

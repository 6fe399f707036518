/* Every page: keys, forms that ask first, messages, and what htmx needs to be let in. No page needs this file to work. */
"use strict";
(() => {
  const csrf = document.querySelector('meta[name="csrf"]').content;
  const texts = document.getElementById("texts").dataset;
  const toasts = document.getElementById("toasts");

  function toast(text, { bad = false, button = null, act = null, seconds = 5 } = {}) {
    const box = document.createElement("div");
    box.className = bad ? "toast bad" : "toast";
    const span = document.createElement("span");
    span.textContent = text;
    box.append(span);
    let timer;
    if (button) {
      const press = document.createElement("button");
      press.type = "button";
      press.className = "tiny";
      press.textContent = button;
      press.addEventListener("click", () => { box.remove(); act(); });
      box.append(press);
    }
    toasts.append(box);
    if (seconds) timer = setTimeout(() => box.remove(), seconds * 1000);
    return { box, span, close: () => { clearTimeout(timer); box.remove(); } };
  }

  /* Resolves to true once the person says yes. */
  function sure(title, text) {
    const dialog = document.getElementById("sure");
    document.getElementById("sure-title").textContent = title;
    document.getElementById("sure-text").textContent = text || "";
    return new Promise((resolve) => {
      const done = (answer) => { dialog.removeEventListener("close", no); if (dialog.open) dialog.close(); resolve(answer); };
      const no = () => done(false);
      dialog.addEventListener("close", no);
      dialog.querySelector("[data-no]").onclick = () => done(false);
      dialog.querySelector("[data-yes]").onclick = () => done(true);
      dialog.showModal();
      dialog.querySelector("[data-yes]").focus();
    });
  }

  document.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (!button || !button.dataset.sure || button.dataset.yes || event.target.matches("[data-orders]")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (await sure(button.dataset.sure, button.dataset.sureText)) {
      button.dataset.yes = "1";
      event.target.requestSubmit(button);
      delete button.dataset.yes;
    }
  }, true);

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-auto]");
    if (form) form.requestSubmit();
  });

  document.addEventListener("htmx:config:request", (event) => {
    event.detail.ctx.request.headers["X-CSRF-Token"] = csrf;
  });
  document.addEventListener("told", (event) => toast(event.detail.text, { bad: event.detail.bad }));

  /* keys: never while something is typed, never while an input method composes */
  let pending = "";
  let pendingAt = 0;
  const typing = (node) => node.closest && (node.closest("textarea, select, [contenteditable]") || (node.matches("input") && !/^(checkbox|radio|range|button|submit)$/.test(node.type)));

  const local = {};
  function onKey(key, act) { local[key] = act; }

  function move(step) {
    const rows = [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
    if (!rows.length) return false;
    const active = document.activeElement && document.activeElement.closest("[data-row]");
    const at = rows.indexOf(active);
    const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step))];
    const target = next.matches("a, button") ? next : next.querySelector("a, button") || next;
    target.focus();
    target.scrollIntoView({ block: "nearest" });
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return;
    const node = event.target;
    if (event.key === "Escape" && typing(node)) { node.blur(); return; }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && local["Ctrl Enter"]) { event.preventDefault(); local["Ctrl Enter"](); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(node) || document.querySelector("dialog[open]")) return;
    const key = event.key === " " ? "Space" : event.key;
    if (pending === "g" && Date.now() - pendingAt < 1500) {
      pending = "";
      const way = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
      if (way) { event.preventDefault(); way.click(); }
      return;
    }
    if (key === "g") { pending = "g"; pendingAt = Date.now(); return; }
    if (key === "?") { event.preventDefault(); const help = document.querySelector("[data-help]"); if (help) help.click(); return; }
    if (key === "/") { const search = document.querySelector("[data-search]"); if (search) { event.preventDefault(); const box = search.closest("details"); if (box) box.open = true; search.focus(); search.select(); } return; }
    if (local[key]) {
      if (key === "Space" && node.matches("button, a, summary, audio, input")) return;
      event.preventDefault();
      local[key](event);
      return;
    }
    if (key === "j" || key === "k") { if (move(key === "j" ? 1 : -1)) event.preventDefault(); }
  });

  window.desk = { toast, sure, onKey, csrf, texts, move };
})();

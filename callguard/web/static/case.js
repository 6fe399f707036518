/* The case page: wave, seeking by line, following, verdict by keys. The native player works without any of it. */
"use strict";
(() => {
  const card = document.getElementById("player");
  const audio = document.getElementById("audio");
  const talk = document.getElementById("talk");
  const side = document.getElementById("side");

  if (audio) {
    const sounds = JSON.parse(card.dataset.sounds);
    const marks = JSON.parse(card.dataset.marks);
    const track = document.getElementById("track");
    const canvas = document.getElementById("wave");
    const lines = talk ? [...talk.querySelectorAll(".bubble[data-at]")] : [];
    let sound = sounds[0];
    const atMs = () => sound.s + audio.currentTime * 1000;

    function choose(next, ms, play) {
      const was = !audio.paused || play;
      if (next.n !== sound.n) {
        sound = next;
        track.value = String(next.n);
        audio.src = `/cases/${card.dataset.case}/sound/${next.n}`;
        audio.playbackRate = Number(speed.value);
        draw();
      }
      const seek = () => { audio.currentTime = Math.max(0, (ms - sound.s) / 1000); if (was) audio.play().catch(() => {}); };
      if (audio.readyState >= 1) seek();
      else { audio.addEventListener("loadedmetadata", seek, { once: true }); audio.preload = "metadata"; audio.load(); }
    }
    function seekTo(ms, play = false) {
      const fits = (one) => ms >= one.s - 250 && ms <= one.e + 250;
      const next = fits(sound) ? sound : sounds.find((one) => one.t === sound.t && fits(one)) || sounds.find(fits) || sound;
      choose(next, Math.max(next.s, Math.min(next.e, ms)), play);
    }

    track.addEventListener("change", () => choose(sounds.find((one) => one.n === Number(track.value)), atMs(), false));
    const speed = document.getElementById("speed");
    speed.addEventListener("change", () => { audio.playbackRate = Number(speed.value); });
    const step = (n) => { speed.selectedIndex = Math.max(0, Math.min(speed.options.length - 1, speed.selectedIndex + n)); speed.dispatchEvent(new Event("change")); };
    const skip = (s) => seekTo(atMs() + s * 1000);
    document.getElementById("back").addEventListener("click", () => skip(-5));
    document.getElementById("on").addEventListener("click", () => skip(5));
    const toMark = () => { const now = atMs() + 300; const next = marks.find(([ms]) => ms > now) || marks[0]; if (next) seekTo(next[0] - 1000 > now ? next[0] - 1000 : next[0]); };
    document.getElementById("to-mark").addEventListener("click", toMark);

    /* balance: only once it is asked for, so that the plain player needs no audio graph */
    let sides = null;
    document.getElementById("balance").addEventListener("input", (event) => {
      if (!sides) {
        const room = new AudioContext();
        const from = room.createMediaElementSource(audio);
        const cut = room.createChannelSplitter(2);
        const join = room.createChannelMerger(2);
        sides = [room.createGain(), room.createGain()];
        from.connect(cut);
        sides.forEach((gain, at) => { cut.connect(gain, at); gain.connect(join, 0, at); });
        join.connect(room.destination);
        room.resume();
      }
      const lean = Number(event.target.value);
      sides[0].gain.value = Math.min(1, 1 - lean);
      sides[1].gain.value = Math.min(1, 1 + lean);
    });

    /* wave: one strip a track, drawn from peaks that the server made */
    const loaded = new Map();
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
    async function draw() {
      const take = sounds.filter((one) => one.t !== "mix" && one.s < sound.e && one.e > sound.s);
      const strips = take.length ? take : [sound];
      canvas.hidden = false;
      await Promise.all(strips.filter((one) => !loaded.has(one.n)).map(async (one) => {
        const answer = await fetch(`/cases/${card.dataset.case}/peaks/${one.n}`);
        loaded.set(one.n, answer.ok ? (await answer.json()).peaks : []);
      }));
      paint(strips);
    }
    let strips = [];
    function paint(wanted) {
      strips = wanted || strips;
      const ratio = window.devicePixelRatio || 1;
      const width = canvas.clientWidth, height = canvas.clientHeight;
      if (!width) return;
      canvas.width = width * ratio; canvas.height = height * ratio;
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const from = sound.s, length = Math.max(1, sound.e - sound.s);
      const x = (ms) => ((ms - from) / length) * width;
      const foot = 14, room = (height - foot) / strips.length;
      strips.forEach((one, row) => {
        const peaks = loaded.get(one.n) || [], top = Math.max(20, ...peaks), middle = row * room + room / 2;
        pen.fillStyle = colour(one.t === "mix" ? "accent" : one.t);
        const left = x(one.s), wide = x(one.e) - left;
        peaks.forEach((peak, at) => { const high = Math.max(1, (peak / top) * (room - 4)); pen.fillRect(left + (at / peaks.length) * wide, middle - high / 2, Math.max(1, wide / peaks.length - 0.3), high); });
        pen.strokeStyle = colour("line"); pen.beginPath(); pen.moveTo(0, (row + 1) * room); pen.lineTo(width, (row + 1) * room); pen.stroke();
      });
      for (const [ms, what] of marks) {
        if (ms < from || ms > sound.e) continue;
        pen.fillStyle = colour({ flag: "now-line", finding: "look-line", warning: "announcements" }[what]);
        pen.fillRect(x(ms) - (what === "flag" ? 1 : 0.5), 0, what === "flag" ? 2 : 1, height - foot);
        if (what === "flag") { pen.beginPath(); pen.moveTo(x(ms), 0); pen.lineTo(x(ms) + 11, 5); pen.lineTo(x(ms), 10); pen.fill(); }
        else { pen.beginPath(); pen.arc(x(ms), height - foot - 3, 3, 0, 7); pen.fill(); }
      }
      pen.fillStyle = colour("soft"); pen.font = "11px sans-serif"; pen.textBaseline = "bottom";
      const steps = [5, 10, 15, 30, 60, 120, 300, 600, 1800].map((s) => s * 1000);
      const every = steps.find((ms) => (ms / length) * width > 64) || 3600000;
      for (let ms = Math.ceil(from / every) * every; ms < sound.e; ms += every) pen.fillText(`${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`, Math.min(width - 28, x(ms) + 2), height);
      pen.fillStyle = colour("ink"); pen.fillRect(x(atMs()) - 1, 0, 2, height - foot);
    }
    canvas.addEventListener("pointerdown", (event) => { const box = canvas.getBoundingClientRect(); seekTo(sound.s + ((event.clientX - box.left) / box.width) * (sound.e - sound.s)); });
    addEventListener("resize", () => paint());
    draw();

    /* lines seek, and follow */
    talk && talk.addEventListener("click", (event) => { const line = event.target.closest(".bubble[data-at]"); if (line) seekTo(Number(line.dataset.at), true); });
    let current = null;
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    audio.addEventListener("timeupdate", () => {
      const now = atMs();
      const line = lines.findLast((one) => Number(one.dataset.at) <= now + 50 && Number(one.dataset.end) >= now - 1500) || null;
      if (line !== current) {
        if (current) { current.classList.remove("now"); current.removeAttribute("aria-current"); }
        current = line;
        if (line) { line.classList.add("now"); line.setAttribute("aria-current", "true"); if (!audio.paused && !talk.contains(document.activeElement)) line.scrollIntoView({ block: "center", behavior: still.matches ? "auto" : "smooth" }); }
      }
      paint();
    });
    audio.addEventListener("seeked", () => paint());
    desk.onKey("Space", () => { if (audio.paused) audio.play().catch(() => {}); else audio.pause(); });
    desk.onKey("l", () => skip(5));
    desk.onKey("h", () => skip(-5));
    desk.onKey("f", toMark);
    desk.onKey("]", () => step(1));
    desk.onKey("[", () => step(-1));
  }

  /* verdict */
  const press = (selector) => { const node = side.querySelector(selector); if (node) node.click(); return Boolean(node); };
  for (const key of ["1", "2", "3", "4", "5", "6", "c", "d"]) desk.onKey(key, () => { const box = side.querySelector(`[data-key="${key}"]`); if (box) { box.click(); box.focus(); } });
  desk.onKey("u", () => press("[data-undo] button"));
  desk.onKey("a", () => press("[data-to-me]"));
  desk.onKey("n", () => { const next = document.querySelector("[data-next]"); if (next) next.click(); });
  desk.onKey("Ctrl Enter", () => { const form = document.getElementById("judge"); if (form) form.requestSubmit(); });

  function fair() {
    const form = document.getElementById("judge");
    if (!form) return;
    const yes = (name) => form.querySelector(`[name="${name}"][value="yes"]`).checked;
    const both = yes("justified") && yes("acceptable");
    document.getElementById("fair").hidden = !both;
    form.querySelector('[value="confirmed"]').disabled = both;
    if (both) form.querySelector('[value="confirmed"]').checked = false;
  }
  side.addEventListener("change", fair);

  let timer = null;
  function countdown() {
    clearInterval(timer);
    const box = side.querySelector("[data-undo]");
    if (!box) return;
    const until = Date.now() + Number(box.dataset.undo) * 1000;
    timer = setInterval(() => {
      const left = Math.ceil((until - Date.now()) / 1000);
      if (left <= 0) { clearInterval(timer); box.remove(); return; }
      box.querySelector("[data-left]").textContent = String(left);
    }, 250);
  }
  document.addEventListener("htmx:after:swap", () => { countdown(); const box = side.querySelector("[data-undo] button"); if (box) box.focus({ preventScroll: true }); });
  countdown();

  /* words chosen in the transcript go into the verdict */
  document.addEventListener("selectionchange", () => {
    const chosen = String(document.getSelection()).trim();
    const node = document.getSelection().anchorNode;
    const into = document.getElementById("exact");
    if (chosen && into && !into.value && talk && node && talk.contains(node)) into.placeholder = chosen;
  });
})();

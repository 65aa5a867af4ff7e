// The page's script: it logs in, lets sections follow the stream, sends what a
// form asks for, and draws plots. What devices say reaches the page as text that
// the server has escaped, or as numbers.
(() => {
  "use strict";
  const $ = (what, of = document) => of.querySelector(what);
  const all = (what, of = document) => [...of.querySelectorAll(what)];

  async function login() {
    const token = new URLSearchParams(location.hash.slice(1)).get("t");
    if (!token) return false;
    history.replaceState(null, "", location.pathname + location.search);
    const answer = await fetch("/login", { method: "POST", body: token });
    if (answer.ok) location.reload();
    else say((await answer.text()).trim());
    return true;
  }

  function say(text) {
    const note = $("#said");
    if (note) note.textContent = text;
  }

  // Times are UTC in the page's text, and here become the reader's.
  function local(of) {
    for (const t of all("time[datetime]", of)) {
      const at = new Date(t.getAttribute("datetime"));
      if (!isNaN(at)) { t.title = t.textContent; t.textContent = at.toLocaleString([], { dateStyle: "short", timeStyle: "short" }); }
    }
  }

  // The stream. A section under the pointer or the focus waits until it is left,
  // or until the reader wants it: nothing moves under a finger.
  const waiting = new Map();
  const busy = (section) => section.matches(":hover") && $("table", section) !== null || section.contains(document.activeElement);

  function put(id, html) {
    const section = document.getElementById(id);
    if (!section) return;
    section.innerHTML = html;
    local(section);
  }

  function flush() {
    for (const [id, html] of waiting) put(id, html);
    waiting.clear();
    pending();
  }

  function pending() {
    const button = $("#pending");
    button.hidden = waiting.size === 0;
    button.textContent = waiting.size === 1 ? "1 change, apply" : waiting.size + " changes, apply";
  }

  let stream = null, hide = 0;
  function open() {
    if (stream || document.hidden) return;
    stream = new EventSource("/events?path=" + encodeURIComponent(location.pathname + location.search));
    stream.addEventListener("section", (e) => {
      const { id, html } = JSON.parse(e.data);
      const section = document.getElementById(id);
      if (section && busy(section)) { waiting.set(id, html); pending(); } else { waiting.delete(id); put(id, html); pending(); }
    });
    stream.onopen = () => say("");
    stream.onerror = () => say("the server does not answer: what is shown is as it was");
  }
  function close() { if (stream) { stream.close(); stream = null; } }

  // Forms that change something ask first, and want the name of what they change.
  async function act(form) {
    const name = form.dataset.name || "", dialog = $("#confirm");
    let explained = "";
    const order = {};
    for (const [key, value] of new FormData(form)) {
      if (value === "") continue;
      order[key] = key === "to" ? value.split(/[\s,]+/).filter(Boolean) : key === "percent" ? Number(value) : value;
    }
    if (form.dataset.explain) {
      const answer = await fetch("/api/v1/explain", { method: "POST", body: JSON.stringify({ job: order.job || "" }) });
      const text = await answer.json();
      if (!answer.ok) return say(text.error);
      explained = text.lines.join("\n");
      dialog.dataset.want = text.job;
    } else dialog.dataset.want = name;
    $("#confirm-what").textContent = form.dataset.what + " " + dialog.dataset.want;
    $("#confirm-explain").textContent = explained;
    $("#confirm-explain").hidden = explained === "";
    $("#confirm-name").value = "";
    const before = document.activeElement;
    dialog.returnValue = "";
    dialog.showModal();
    dialog.onclose = async () => {
      before.focus();
      if (dialog.returnValue !== "yes") return;
      if ($("#confirm-name").value !== dialog.dataset.want) return say("nothing was sent: the name is another one");
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body: JSON.stringify(order) });
      const text = await answer.json();
      say(answer.ok ? form.dataset.what + " " + dialog.dataset.want + ": done" : text.error);
      if (answer.ok && form.dataset.then) location.href = form.dataset.then + encodeURIComponent(text.job);
    };
  }

  // Plots. A gap stays a gap: where samples are missing the line is broken.
  const plots = [
    ["CPU, %", ["cpu"], [0, 100]], ["Memory, %", ["memory"], [0, 100]], ["Fullest disk, %", ["disk"], [0, 100]],
    ["Network, kB/s", ["rx", "tx"], null, 1000], ["Temperature, °C", ["celsius"], null],
  ];
  function broken(rows, step) {
    const times = [], out = [];
    rows.forEach((row, i) => {
      if (i > 0 && row[0] - rows[i - 1][0] > gap(rows, step)) { times.push(rows[i - 1][0] + 1); out.push(null); }
      times.push(row[0]); out.push(row);
    });
    return [times, out];
  }
  // gap is when two samples are apart: 2.5 times what is usual here.
  function gap(rows, step) {
    if (rows.usual === undefined) {
      const d = rows.slice(1).map((r, i) => r[0] - rows[i][0]).sort((a, b) => a - b);
      rows.usual = 2.5 * Math.max(step, d.length ? d[d.length >> 1] : 0);
    }
    return rows.usual;
  }
  let drawn = [], wide = 0;
  async function draw() {
    const place = $("#plots");
    if (!place) return;
    const span = $("#span").value;
    const answer = await fetch("/api/v1/health?device=" + encodeURIComponent(place.dataset.device) + "&span=" + span);
    if (!answer.ok) return say((await answer.json()).error);
    const health = await answer.json(), [times, rows] = broken(health.rows, health.step);
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name).trim();
    drawn.forEach((p) => p.destroy());
    drawn = [];
    place.replaceChildren();
    const boxes = plots.map(([title, names, range, scale = 1]) => {
      const lines = names.map((n) => { const c = health.columns.indexOf(n); return rows.map((r) => r === null || r[c] === null ? null : r[c] / scale); });
      const values = lines.flat().filter((v) => v !== null);
      const box = document.createElement("figure"), head = document.createElement("h3"), note = document.createElement("figcaption");
      box.className = "plot"; head.textContent = title; note.className = "dim";
      note.textContent = values.length ? names.map((n, i) => sum(n, lines[i])).join("; ") : "nothing was measured";
      box.append(head, note);
      place.append(box);
      return { box, names, range, lines, values };
    });
    // All boxes are there before the first is measured: their number decides how wide they are.
    for (const { box, names, range, lines, values } of boxes) {
      if (!values.length) continue;
      const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
      drawn.push(new uPlot({
        width: box.clientWidth - 16, height: 180, legend: { show: false }, axes: [axis, { ...axis, size: 56 }],
        scales: { x: { min: Date.parse(health.from) / 1000, max: Date.parse(health.to) / 1000 }, y: range ? { range } : {} },
        series: [{}, ...names.map((n, i) => ({ label: n, stroke: colour(i ? "--wait" : "--link"), width: 1.5, points: { show: values.length < 60 } }))],
      }, [times, ...lines], box));
    }
  }
  // sum says in words what a line shows.
  function sum(name, line) {
    const values = line.filter((v) => v !== null);
    if (!values.length) return `${name}: not measured`;
    return `${name}: ${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)}, last ${values[values.length - 1].toFixed(1)}`;
  }

  document.addEventListener("submit", (e) => {
    if (e.target.dataset.what) { e.preventDefault(); act(e.target).catch((why) => say(String(why))); }
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hide);
    if (document.hidden) hide = setTimeout(close, 60000); else open();
  });
  login().then((going) => {
    local(document);
    if (going || !$("#pending")) return;
    $("#pending").addEventListener("click", flush);
    document.addEventListener("focusout", () => setTimeout(() => { if (!all(".live").some(busy)) flush(); }, 0));
    all(".live").forEach((s) => s.addEventListener("pointerleave", () => { if (!busy(s)) flush(); }));
    const span = $("#span");
    if (span) { span.addEventListener("change", draw); window.addEventListener("resize", () => { clearTimeout(wide); wide = setTimeout(draw, 300); }); draw(); setInterval(() => { if (!document.hidden) draw(); }, 60000); }
    open();
  });
})();

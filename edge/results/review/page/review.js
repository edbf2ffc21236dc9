// The review page: look at every cell beside its label, correct, sign.
// Names and texts become text nodes only; nothing is parsed as HTML. One file without a build
// step, in this order: pure rules, texts and elements, requests, cells on the screen, screens.
"use strict";

// ---------------------------------------------------------------- pure rules (tested under node)

const LABEL_KEYS = {
  n: "neutrophil",
  e: "eosinophil",
  b: "basophil",
  l: "lymphocyte",
  m: "monocyte",
  i: "ig",
  r: "erythroblast",
  p: "platelet",
  a: "artefact",
  o: "other",
};
const ABNORMAL = ["ig", "erythroblast", "other"];
// Tiles are fitted between these sides, in CSS pixels. An image's cell fills about half of it, so
// that below 76 px its nucleus can no longer be judged.
const TILE = { least: 76, most: 180, step: 4, gap: 4 };
// The largest leukocytes are about 20 um across; a tile shows this much of the slide, or more.
const FIELD_UM = 28;
const COUNT_PAUSE_MS = 250;
// The signature dialog takes no Enter before it was on the screen for so long.
const READ_MS = 700;
const LIST_EVERY_MS = 10000;
const TILE_SIZES = [56, 76, 96, 120, 150, 180, 240, 360];

/** The text with `{name}` replaced; an object is chosen from by the plural form of `vars.n`. */
function formatted(text, vars, lang) {
  let chosen = text;
  if (text && typeof text === "object") {
    chosen = text[new Intl.PluralRules(lang).select(vars.n)] || text.other;
  }
  return chosen.replace(/\{(\w+)\}/g, (whole, name) => (name in vars ? String(vars[name]) : whole));
}

/** Each cell as the person sees it: the server's word, and what is on its way laid over it. */
function viewed(cells, pending) {
  const laid = new Map();
  for (const entry of pending) {
    if (entry.action !== "decide") continue;
    for (const cell of entry.cells) laid.set(cell.id, entry.label === null ? laid.get(cell.id) : entry.label);
  }
  return cells.map((cell, at) => {
    const view = { ...cell, n: at + 1, pending: laid.has(cell.id) };
    if (view.pending) {
      view.decided = true;
      if (laid.get(cell.id) !== undefined) view.label = laid.get(cell.id);
    }
    return view;
  });
}

/** Groups whose cells have labels of several classes. */
const MIXED = ["unfamiliar", "differ"];

/** Least certain first; cells that a person moved here come last, as they need no look. */
function byCertainty(a, b) {
  const moved = (a.label !== a.suggested) - (b.label !== b.suggested);
  return moved || a.confidence - b.confidence || a.n - b.n;
}

/** The groups of a slide in the order of the walk; a cell may be in one of attention, too. */
function groupsOf(views, classes, others, reading, rejected) {
  const order = [...classes, ...others];
  // By the model's label, which stays: a cell that gets another one keeps its place.
  const byClass = (a, b) =>
    order.indexOf(a.suggested) - order.indexOf(b.suggested) || a.confidence - b.confidence || a.n - b.n;
  const group = (name, kind, cells) => ({
    name,
    kind,
    cells,
    open: cells.filter((cell) => !cell.decided).length,
  });
  const found = [];
  if (reading === "consensus") {
    found.push(group("differ", "attention", views.filter(differs).sort(byClass)));
  }
  found.push(group("unidentified", "attention", views.filter((c) => c.label === null).sort(byCertainty)));
  const strange = views.filter((c) => c.familiar === false && c.label !== null);
  found.push(group("unfamiliar", "attention", strange.sort(byClass)));
  for (const name of order) {
    const kind = others.includes(name) ? "outside" : "class";
    found.push(group(name, kind, views.filter((c) => c.label === name).sort(byCertainty)));
  }
  if (rejected) found.push({ name: "rejected", kind: "outside", cells: [], open: 0, images: rejected });
  // Classes are always shown, so that a missing one is seen to be missing.
  return found.filter((one) => one.kind === "class" || one.cells.length || one.images);
}

function differs(cell) {
  return cell.other !== null && cell.other !== undefined && cell.other !== cell.label;
}

/** The next group with open cells after the named one, from the top again at the end; or null. */
function nextOpenGroup(groups, name) {
  const at = groups.findIndex((group) => group.name === name);
  const turned = [...groups.slice(at + 1), ...groups.slice(0, at + 1)];
  return turned.find((group) => group.open > 0) || null;
}

/** The next open cell after one of a group, from the top again at the end; the neighbour if none is open. */
function nextOpenCell(cells, id) {
  const at = cells.findIndex((cell) => cell.id === id);
  const turned = [...cells.slice(at + 1), ...cells.slice(0, at + 1)];
  return (turned.find((cell) => !cell.decided) || cells[Math.min(at + 1, cells.length - 1)]).id;
}

/** What Enter does: which cells it decides, and where it goes. `seen`, `loaded`: sets of ids. */
function planEnter(group, groups, seen) {
  const open = group.cells.filter((cell) => !cell.decided);
  const decide = open.filter((cell) => cell.label !== null && seen.has(cell.id));
  const left = open.filter((cell) => !decide.includes(cell));
  if (left.length) {
    const unseen = left.find((cell) => !seen.has(cell.id));
    return { decide, then: unseen ? "unseen" : "label", cell: (unseen || left[0]).id, left: left.length };
  }
  const closed = new Set(decide.map((cell) => cell.id));
  const after = groups.map((one) => ({
    ...one,
    open: one.cells.filter((cell) => !cell.decided && !closed.has(cell.id)).length,
  }));
  const next = nextOpenGroup(after, group.name);
  return next ? { decide, then: "group", group: next.name } : { decide, then: "sign" };
}

/** Columns and rows of tiles that fit, and the screens that a group takes. */
function layout(count, width, height, side) {
  const fit = (length) => Math.max(1, Math.floor((length + TILE.gap) / (side + TILE.gap)));
  const columns = fit(width),
    rows = fit(height);
  return { columns, rows, screens: Math.max(1, Math.ceil(count / (columns * rows))) };
}

/** The largest side of a tile with which a group takes no more screens than with the least one. */
function fittedSide(count, width, height) {
  const fewest = layout(count, width, height, TILE.least).screens;
  let side = TILE.least;
  for (let s = TILE.least; s <= TILE.most; s += TILE.step) {
    if (layout(count, width, height, s).screens <= fewest) side = s;
  }
  return side;
}

/** How much a tile enlarges the middle of its image, so that the cell is seen and not its surroundings. */
function zoomOf(width, height, pixelSize) {
  return pixelSize ? Math.max(1, (Math.min(width, height) * pixelSize) / FIELD_UM) : 1;
}

/** The letter of a key; on a Greek, Cyrillic or other such layout the Latin one of its place. */
function latinOf({ key, code }) {
  const place = /^Key([A-Z])$/.exec(code || "");
  return place && /[^\x00-\x7f]/.test(key) && !/\p{Script=Latin}/u.test(key) ? place[1] : key;
}

/** What a pressed key means on a slide; null: nothing of ours. */
function actionOf(event) {
  const { key, ctrlKey, metaKey, altKey, shiftKey } = event;
  if (altKey || event.isComposing) return null;
  if (ctrlKey || metaKey) return latinOf(event).toLowerCase() === "a" ? { name: "all" } : null;
  const moves = {
    ArrowLeft: "left",
    ArrowRight: "right",
    ArrowUp: "up",
    ArrowDown: "down",
    Home: "home",
    End: "end",
    PageUp: "pageup",
    PageDown: "pagedown",
  };
  if (moves[key]) return { name: "move", to: moves[key], select: shiftKey };
  const low = key.length === 1 ? latinOf(event).toLowerCase() : key;
  if (LABEL_KEYS[low]) return { name: "label", label: LABEL_KEYS[low] };
  const names = {
    Enter: "enter",
    " ": "toggle",
    u: "undo",
    c: "compare",
    "+": "larger",
    "=": "larger",
    "-": "smaller",
    0: "fit",
    1: "big",
    d: "differential",
    t: "note",
    s: "sign",
    g: "list",
    j: "next",
    k: "previous",
    "?": "keys",
    Escape: "clear",
  };
  return names[low] ? { name: names[low] } : null;
}

// What needs a person comes first: a result that is out and no longer right, a consensus, then
// what somebody began.
const STAGES = ["again", "consensus", "begun", "open", "first", "signed", "held", "waiting", "corrected", "final"];

/** Where a slide stands in the list of slides. */
function sectionOf(slide) {
  if (["final", "corrected", "signed"].includes(slide.stage)) return "done";
  if (["waiting", "held"].includes(slide.stage)) return "stuck";
  // After one's own first blind reading another person is needed.
  return slide.stage === "first" && slide.mine ? "else" : "todo";
}

/** Slides by section, what waits longest first; among finished ones the newest first. */
function sortedSlides(slides) {
  const sections = { todo: [], else: [], stuck: [], done: [] };
  for (const slide of slides) sections[sectionOf(slide)].push(slide);
  const age = (a, b) => Date.parse(a.newest) - Date.parse(b.newest) || (a.key < b.key ? -1 : 1);
  const rank = (a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage) || b.mine - a.mine;
  for (const name of ["todo", "else", "stuck"]) sections[name].sort((a, b) => rank(a, b) || age(a, b));
  sections.done.sort((a, b) => age(b, a));
  return sections;
}

/** Whether a slide's ids have each typed word. */
function isFound(slide, typed) {
  const ids = `${slide.sample_id} ${slide.slide_id || ""}`.toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => ids.includes(word));
}

/** Minutes, hours or days since a time, as name of a text and number. */
function ageOf(time, now) {
  const minutes = Math.max(0, Math.floor((now - Date.parse(time)) / 60000));
  if (minutes < 1) return ["age.now", 0];
  if (minutes < 60) return ["age.min", minutes];
  return minutes < 1440 ? ["age.hour", Math.floor(minutes / 60)] : ["age.day", Math.floor(minutes / 1440)];
}

/** A confidence in whole percent; never 100 of what is not certain. */
function percentOf(confidence) {
  return Math.min(confidence < 1 ? 99 : 100, Math.round(confidence * 100));
}

/** The labels with their keys, and whether these cells have each: all "true", some "mixed", none "false". */
function labelChoices(cells) {
  return Object.entries(LABEL_KEYS).map(([key, label]) => {
    const n = cells.filter((cell) => cell.label === label).length;
    return { key, label, pressed: n === 0 ? "false" : n === cells.length ? "true" : "mixed" };
  });
}

/** The classes by probability, the first `most` of them. */
function runnersUp(cell, classes, most) {
  return classes
    .map((name, at) => ({ name, p: cell.probabilities[at] || 0 }))
    .sort((a, b) => b.p - a.p)
    .slice(0, most);
}

/** What changed between two answers of one slide, by cells of both. */
function changedCells(before, after) {
  const was = new Map(before.map((cell) => [cell.id, cell]));
  return after.filter((cell) => was.has(cell.id) && was.get(cell.id).label !== cell.label);
}

/** 32 hexadecimal digits: names a request, so that it is recorded once however often it is sent. */
function requestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---------------------------------------------------------------- texts and elements

let TEXTS = {};
const LANG = typeof document === "undefined" ? "en" : document.documentElement.lang;
const byId = (id) => document.getElementById(id);
const T = (key, vars = {}) => (key in TEXTS ? formatted(TEXTS[key], vars, LANG) : key);
const called = (label) => T(`cell.${label === null ? "none" : label}`);
const short = (label) => T(`short.${label === null ? "none" : label}`);
const groupName = (name) => (`group.${name}` in TEXTS ? T(`group.${name}`) : called(name));
const percent = (share) => T("percent", { n: share });
/** The local date and time, in the one order that no reader takes for another. */
function moment(time) {
  const date = new Date(time);
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** A new element; properties with `-` or of a role are attributes, `on` functions are listeners. */
function h(name, props = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.startsWith("--")) element.style.setProperty(key, value);
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Says a line below, which screen readers read out. */
function say(text) {
  byId("status").textContent = text;
}

/** The keys of a screen; what stands in brackets is a key. */
function hints(text) {
  const parts = text.split(/\[(.+?)\]/);
  byId("hints").replaceChildren(...parts.map((part, at) => (at % 2 ? h("kbd", {}, part) : part)));
}

/** Shows one line on top until it is closed or shown anew; without a text it goes. */
function line(name, text, { kind = "warn", label = "", act = null, closes = true } = {}) {
  const old = byId(`line-${name}`);
  if (!text) {
    if (old) old.remove();
    return;
  }
  const bar = h("div", { id: `line-${name}`, class: `line ${kind}` }, h("span", {}, text));
  if (act) bar.append(h("button", { type: "button", onclick: act }, label));
  if (closes) bar.append(h("button", { type: "button", onclick: () => bar.remove() }, T("line.close")));
  if (old) old.replaceWith(bar);
  else byId("lines").append(bar);
}

function button(key, act, props = {}) {
  return h("button", { type: "button", onclick: act, ...props }, T(key));
}

/** A small button that does what a key does, and leaves the focus with the cells, where the keys go. */
function keyButton(key, action, props, ...children) {
  return h(
    "button",
    {
      type: "button",
      // The key is there for those who use no mouse: Tab need not pass here.
      tabindex: "-1",
      "aria-keyshortcuts": key,
      onmousedown: (event) => event.preventDefault(),
      // A double click presses once: a second label would be that of a cell that nobody looked at.
      onclick: (event) => {
        if (event.detail < 2) act(action, event);
      },
      ...props,
      class: "by-key",
    },
    h("span", { class: "key" }, key),
    " ",
    ...children,
  );
}

/** Opens the dialog with these parts; `form` gets Enter. */
function openDialog(title, parts, { wide = false, closed = null } = {}) {
  const dialog = byId("dialog");
  dialog.className = wide ? "wide" : "";
  dialog.replaceChildren(h("h2", { id: "dialog-title" }, title), ...parts.filter(Boolean));
  dialog.oncancel = null;
  dialog.onclose = () => {
    dialog.replaceChildren();
    if (closed) closed();
    else backToCells();
    looks.restart();
  };
  if (!dialog.open) dialog.showModal();
  looks.restart();
  return dialog;
}

function closeDialog() {
  const dialog = byId("dialog");
  if (dialog.open) dialog.close();
}

/** Keeps a small setting; a browser may forbid it. Never used for anything of a patient. */
const kept = {
  get(name) {
    try {
      return localStorage.getItem(`review.${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`review.${name}`, value);
    } catch {
      /* as if never set */
    }
  },
};

// Tests and measurements read these: what was done, and after how many milliseconds it was there.
const timings = [];
function timed(action, since) {
  timings.push({ action, ms: performance.now() - since });
}

// ---------------------------------------------------------------- requests

let session = null; // the answer of /api/session
let state = "start"; // the screen: start, login, list, slide
let lastPerson = null; // id of who was last signed in here
let covered = null; // why nothing is shown: "idle", "person", "enter"; null: it is

class Answer extends Error {
  constructor(status, error) {
    super(error.text);
    this.status = status;
    this.code = error.code;
    this.more = error;
  }
}

// Who is here is asked, or changes, with these.
const NAMELESS = ["/texts.json", "/api/session", "/api/login"];

/** The JSON of an answer. Throws Answer for a refusal, TypeError without any answer. */
async function ask(path, body = null) {
  const options = { credentials: "same-origin", cache: "no-store", headers: {} };
  // Another tab may have logged another person in: nothing of this one is recorded under that name.
  if (me() !== null && !NAMELESS.includes(path)) options.headers["Edge-Person"] = encodeURIComponent(me());
  if (body !== null) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  const found = await answer.json().catch(() => null);
  if (answer.ok && found !== null) return found;
  const error = found && found.error ? found.error : { code: "http", text: T("error.http", { status: answer.status }) };
  if (error.code === "no_person") cover("person");
  if (error.code === "no_session") cover("enter");
  throw new Answer(answer.status, error);
}

/** Whether the program does not know who asks, which the cover tells. */
function isOut(error) {
  return error.code === "no_person" || error.code === "no_session";
}

/** Shows why a request failed, and what to do. */
function failed(error, again) {
  if (error instanceof Answer) {
    if (isOut(error)) return;
    line("failed", error.message, {
      kind: "bad",
      label: T("line.retry"),
      act: () => {
        line("failed");
        again();
      },
    });
  } else if (error instanceof TypeError) {
    line("offline", T("line.offline"), { kind: "bad", closes: false });
    setTimeout(again, 1000);
  } else throw error;
}

// Decisions on their way, in order. Each is sent until it is answered, with the same request id.
const outgoing = {
  // undos: by slide, the number of the entry that can be taken back.
  items: [],
  sending: false,
  stopped: false,
  undos: new Map(),

  start() {
    try {
      this.items = JSON.parse(sessionStorage.getItem("pending") || "[]");
    } catch {
      this.items = [];
    }
    for (const item of this.items) item.since = performance.now();
  },
  // Notes stay out of it: they may say something of a patient.
  keep() {
    const items = this.items.filter((item) => item.body.action !== "note");
    try {
      sessionStorage.setItem("pending", JSON.stringify(items));
    } catch {
      /* kept in memory alone */
    }
  },
  of(key) {
    return this.items.filter((item) => item.key === key && item.person === me()).map((item) => item.body);
  },
  mine() {
    return this.items.filter((item) => item.person === me());
  },

  add(key, body, since) {
    this.items.push({ key, person: me(), name: session.person.name, since, body: { request: requestId(), ...body } });
    this.keep();
    this.show();
    this.send();
  },

  show() {
    const n = this.mine().length;
    document.body.dataset.pending = n;
    const loud = n > 0 && (this.stopped || document.body.dataset.offline);
    line("pending", loud ? T("line.pending", { n }) : "", { kind: "bad", closes: false });
  },

  async send() {
    if (this.sending) return;
    this.sending = true;
    let pause = 250;
    while (this.items.length && !covered) {
      const at = this.items.findIndex((item) => item.person === me());
      if (at < 0) break;
      const item = this.items[at];
      const body = this.whole(item);
      if (body.action === "undo" && body.undoes === null) {
        this.remove(item);
        say(T("say.nolabel"));
        continue;
      }
      try {
        const answer = await ask(`/api/slides/${item.key}/entries`, body);
        online();
        this.remove(item);
        this.undos.set(item.key, answer.undo);
        timed("saved", item.since);
        slideScreen.saved(item, answer);
        pause = 250;
      } catch (error) {
        if (!(error instanceof Answer || error instanceof TypeError)) throw error;
        if (!this.refused(item, error)) {
          await later(pause);
          pause = Math.min(4000, pause * 2);
        }
      }
      this.show();
    }
    this.sending = false;
    if (!this.mine().length && !covered) slideScreen.allSaved();
  },

  // The number to undo is known only once everything before it is answered. It stays with a retry.
  whole(item) {
    if (item.body.action === "undo" && item.body.undoes === null) {
      const number = this.undos.get(item.key);
      item.body.undoes = number === undefined ? null : number;
      this.keep();
    }
    return item.body;
  },

  /** Whether the item is done with, as no retry can help. */
  refused(item, error) {
    if (!(error instanceof Answer)) {
      offline();
      return false;
    }
    if (isOut(error)) {
      this.stopped = true;
      return true;
    }
    if (error.status >= 500 || error.status === 429) {
      line("storage", T("line.storage", { text: error.message }), { kind: "bad", closes: false });
      document.body.dataset.offline = "1";
      return false;
    }
    this.remove(item);
    slideScreen.notSaved(item, error);
    return true;
  },

  remove(item) {
    this.items = this.items.filter((one) => one !== item);
    this.stopped = false;
    this.keep();
  },
};

const later = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });
const me = () => (session && session.person ? session.person.id : null);

function offline() {
  document.body.dataset.offline = "1";
  line("offline", T("line.offline"), { kind: "bad", closes: false });
  outgoing.show();
}

/** The page asks by itself; what it shows meanwhile is old, which a person must know. */
function pollFailed(error) {
  if (error instanceof TypeError) offline();
  else if (!(error instanceof Answer)) throw error;
  else if (error.status >= 500) line("away", T("line.away", { text: error.message }), { kind: "bad", closes: false });
}

function online() {
  if (!document.body.dataset.offline) return;
  delete document.body.dataset.offline;
  line("offline");
  line("storage");
  loader.retry();
}

// ---------------------------------------------------------------- images and what was on the screen

// Loads images in the order in which they are needed. Four at a time: a browser opens six
// connections to a program, and a decision must never wait behind images.
const loader = {
  wanted: [],
  busy: 0,
  // A browser has six connections; those that wait let it take the next one in the same frame.
  most: 12,

  want(tiles) {
    this.wanted = tiles.filter((tile) => tile.image === "none");
    this.pump();
  },

  pump() {
    while (this.busy < this.most && this.wanted.length) {
      const tile = this.wanted.shift();
      if (tile.image !== "none") continue;
      this.busy += 1;
      tile.image = "coming";
      tile.img.removeAttribute("src");
      tile.img.src = `/images/${tile.key}/${tile.id}`;
    }
  },

  done(tile, isThere) {
    this.busy -= 1;
    tile.image = isThere ? "there" : "failed";
    tile.element.classList.toggle("missing", !isThere);
    if (isThere) {
      tile.why = "";
      tile.img.style.setProperty(
        "--zoom",
        zoomOf(tile.img.naturalWidth, tile.img.naturalHeight, session.pixel_size_um),
      );
      looks.check(tile);
    } else this.learnWhy(tile);
    if (slideScreen.focusId === tile.id) {
      if (isThere && slideScreen.opened) timed("first", slideScreen.opened);
      focusPanel.show();
    }
    this.pump();
  },

  // An <img> does not say why it failed.
  async learnWhy(tile) {
    try {
      const answer = await fetch(tile.img.src, { credentials: "same-origin", cache: "no-store" });
      const found = answer.ok ? null : await answer.json().catch(() => null);
      tile.why = found && found.error ? found.error.text : T("image.gone");
      if (found && found.error.code === "no_person") cover("person");
    } catch {
      tile.why = T("image.wait");
      offline();
    }
    tile.element.querySelector(".why").textContent = tile.why;
    slideScreen.paintTile(tile.id);
    if (slideScreen.focusId === tile.id) focusPanel.show();
  },

  retry() {
    let missing = 0;
    for (const tile of slideScreen.tiles.values()) {
      if (tile.image !== "failed" || !tile.isNear) continue;
      tile.image = "none";
      missing += 1;
    }
    if (missing) looks.wanted();
  },
};

// A cell was on the screen when its image was there and at least 60 % of its tile was in sight of a
// visible, uncovered page for 0.2 s.
const looks = {
  seen: new Set(),
  inSight: new Set(),
  timers: new Map(),
  observer: null,

  start() {
    this.observer = new IntersectionObserver(
      (changes) => {
        for (const change of changes) {
          const tile = slideScreen.tiles.get(change.target.dataset.id);
          if (!tile) continue;
          tile.isNear = change.isIntersecting;
          if (change.intersectionRatio >= 0.6) this.inSight.add(tile.id);
          else this.inSight.delete(tile.id);
          this.check(tile);
        }
        this.wanted();
        this.busy();
      },
      { threshold: [0, 0.6] },
    );
    document.addEventListener("visibilitychange", () => this.restart());
  },

  counts() {
    return !document.hidden && !covered && !byId("dialog").open;
  },

  check(tile) {
    const shows = this.counts() && tile.image === "there" && this.inSight.has(tile.id);
    if (!shows) {
      clearTimeout(this.timers.get(tile.id));
      this.timers.delete(tile.id);
      return;
    }
    if (this.seen.has(tile.id) || this.timers.has(tile.id)) return;
    this.timers.set(
      tile.id,
      setTimeout(() => {
        this.timers.delete(tile.id);
        if (!this.counts() || !this.inSight.has(tile.id)) return;
        this.seen.add(tile.id);
        slideScreen.paintTile(tile.id);
        this.busy();
      }, 200),
    );
  },

  restart() {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    for (const id of this.inSight) if (slideScreen.tiles.has(id)) this.check(slideScreen.tiles.get(id));
  },

  /** Asks for images: those in sight, then what follows, then the beginning of the next group. */
  wanted() {
    const tiles = slideScreen.shownTiles();
    const first = tiles.findIndex((tile) => tile.isNear);
    if (first < 0) {
      loader.want(tiles.slice(0, 40));
      return;
    }
    const near = tiles.filter((tile) => tile.isNear);
    loader.want([...near, ...tiles.slice(first, first + 3 * near.length), ...slideScreen.tilesToCome(near.length)]);
  },

  /** The gallery is busy while a cell in sight does not count as looked at. */
  busy() {
    const grid = byId("gallery");
    if (!grid) return;
    const waits = [...this.inSight].some(
      (id) => !this.seen.has(id) && slideScreen.tiles.has(id) && slideScreen.tiles.get(id).image !== "failed",
    );
    grid.setAttribute("aria-busy", waits || (!this.inSight.size && slideScreen.ids.length > 0));
    if (!waits && slideScreen.opened && this.inSight.size) {
      timed("looked", slideScreen.opened);
      slideScreen.opened = 0;
    }
  },

  forget() {
    if (this.observer) this.observer.disconnect();
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.seen.clear();
    this.inSight.clear();
    this.timers.clear();
  },
};

// ---------------------------------------------------------------- one slide

const slideScreen = {
  key: null,
  data: null,
  diff: null,
  views: [],
  cellOf: new Map(),
  groups: [],
  group: null,
  ids: [],
  tiles: new Map(),
  focusId: null,
  anchorId: null,
  selected: new Set(),
  opened: 0,
  side: 0,
  poll: 0,
  printsImages: false,

  async open(key, since = performance.now()) {
    // Leaving a slide with decisions on their way is allowed: they go on being sent.
    try {
      const data = await ask(`/api/slides/${key}`);
      this.leave();
      this.key = key;
      this.opened = since;
      looks.start();
      this.take(data);
      state = "slide";
      if (location.hash !== `#${key}`) history.pushState(null, "", `#${key}`);
      this.draw();
      // What was said of another slide is not of this one.
      say("");
      const first = this.groups.find((group) => group.open) || this.groups.find((group) => group.cells.length);
      this.enter((first || this.groups[0]).name);
      problemsPanel.show();
      timed("slide", since);
      this.countAnew();
      this.watch();
    } catch (error) {
      if (error instanceof Answer && error.status === 404)
        line("failed", T("line.gone", { text: error.message }), { kind: "bad" });
      else failed(error, () => this.open(key));
      if (state !== "slide" && error instanceof Answer) listScreen.open();
    }
  },

  leave() {
    // A dialog is about the slide that it was opened on.
    signDialog.result = null;
    closeDialog();
    clearInterval(this.poll);
    looks.forget();
    loader.wanted = [];
    this.tiles.clear();
    this.selected.clear();
    Object.assign(this, { key: null, data: null, diff: null, group: null, ids: [], focusId: null, anchorId: null });
    // What was not saved stays told until the person closes it.
    for (const name of ["changed", "failed"]) line(name);
  },

  take(data) {
    this.data = data;
    this.regroup();
  },

  regroup() {
    if (!outgoing.mine().length) outgoing.undos.set(this.key, this.data.undo);
    this.views = viewed(this.data.cells, outgoing.of(this.key));
    this.cellOf = new Map(this.views.map((cell) => [cell.id, cell]));
    this.groups = groupsOf(this.views, session.classes, session.others, this.data.reading, this.data.rejected.length);
  },

  current() {
    return this.groups.find((group) => group.name === this.group) || { name: this.group, cells: [], open: 0 };
  },
  shownTiles() {
    return this.ids.map((id) => this.tiles.get(id)).filter(Boolean);
  },

  tilesToCome(count) {
    const next = nextOpenGroup(this.groups, this.group);
    return next ? next.cells.slice(0, Math.max(count, 12)).map((cell) => this.tile(cell)) : [];
  },

  // ------------------------------------------------ drawing

  draw() {
    const grid = h("div", {
      id: "gallery",
      class: "gallery",
      role: "listbox",
      "aria-multiselectable": "true",
      "aria-busy": "true",
      onclick: (event) => this.clicked(event),
      ondblclick: () => bigView(),
      tabindex: "-1",
    });
    const main = byId("screen");
    main.className = "slide";
    main.replaceChildren(
      h("nav", { id: "groups", "aria-label": T("groups") }),
      h(
        "section",
        { id: "cells", "aria-labelledby": "gallery-title" },
        h(
          "div",
          { class: "bar" },
          h("h1", { id: "gallery-title" }),
          h("span", { id: "gallery-size", class: "soft" }),
          button("slide.right", (event) => this.enterKey(event.timeStamp), { id: "right" }),
        ),
        grid,
      ),
      h(
        "aside",
        { id: "side" },
        h("div", { id: "focus" }),
        ...labelPanel.drawn(),
        h("div", { id: "about" }),
        h("div", { id: "reference", hidden: true }),
        h("div", { id: "differential" }),
        h("div", { id: "problems" }),
        h("div", { id: "notes" }),
      ),
    );
    this.drawTop();
    notesPanel.show();
    if (!this.sizes) {
      this.sizes = new ResizeObserver(() => {
        if (state === "slide" && this.group) this.measure();
      });
    }
    this.sizes.disconnect();
    this.sizes.observe(grid);
  },

  drawTop() {
    const { slide, signature, reading } = this.data;
    hints(T(reading === "blind" ? "hint.blind" : "hint.slide"));
    const blind = reading === "blind" ? T("blind.on") : reading === "consensus" ? T("consensus.on") : "";
    drawTop(
      [
        button("top.slides", () => listScreen.open(), { class: "quiet" }),
        h("strong", { class: "sample" }, slide.sample_id),
        slide.slide_id ? h("span", { class: "sample" }, slide.slide_id) : null,
        stageOf(slide),
        driftBadge(slide),
        h("span", { id: "progress" }),
        blind ? h("span", { class: "soft cut", title: blind }, blind) : null,
        signature && this.data.stands
          ? h("span", { class: "soft cut", title: signed(signature) }, signed(signature)) : null,
        slide.text ? h("span", { class: "soft cut", title: slide.text }, slide.text) : null,
      ],
      [
        button("top.note", () => notesPanel.write(), { class: "quiet" }),
        button(reading === "blind" ? "slide.finish" : "slide.sign", () => signDialog.open(), {
          id: "sign",
          class: "main",
        }),
      ],
    );
    this.showProgress();
  },

  showProgress() {
    const done = this.views.filter((cell) => cell.decided).length;
    const line = byId("progress");
    if (line) line.textContent = T("slide.progress", { done, cells: this.views.length });
  },

  showGroups() {
    const focused =
      document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.group : null;
    const parts = [];
    for (const [kind, title] of [
      ["attention", "group.attention"],
      ["class", "group.classes"],
      ["outside", "group.outside"],
    ]) {
      const groups = this.groups.filter((group) => group.kind === kind);
      if (groups.length)
        parts.push(
          h("h2", {}, T(title)),
          h(
            "ul",
            {},
            groups.map((group) => h("li", {}, this.groupButton(group))),
          ),
        );
    }
    byId("groups").replaceChildren(...parts);
    const again = focused && byId("groups").querySelector(`[data-group="${focused}"]`);
    if (again) again.focus();
  },

  groupButton(group) {
    const count = group.images || group.cells.length;
    const open = group.open ? T("group.open", { n: group.open }) : count ? T("group.done") : "";
    const key = Object.keys(LABEL_KEYS).find((one) => LABEL_KEYS[one] === group.name);
    return h(
      "button",
      {
        type: "button",
        class: `group ${group.kind}${group.open ? " has-open" : ""}${count ? "" : " empty"}`,
        "data-group": group.name,
        "aria-current": group.name === this.group ? "true" : null,
        "aria-label": T("group.name", {
          name: groupName(group.name),
          cells: T(group.images ? "images" : "cells", { n: count }),
          open,
        }),
        onclick: () => {
          this.enter(group.name);
          this.focusCell(this.focusId);
        },
      },
      h("kbd", {}, key || ""),
      h("span", { class: "name" }, groupName(group.name)),
      h("span", { class: "count" }, String(count)),
      h("span", { class: "open" }, group.open ? String(group.open) : count && !group.images ? "✓" : ""),
    );
  },

  /** Shows a group; its first open cell gets the focus. */
  enter(name, id = null) {
    this.group = name;
    this.selected.clear();
    this.anchorId = null;
    byId("gallery").replaceChildren();
    looks.inSight.clear();
    this.ids = [];
    byId("gallery").scrollTop = 0;
    this.resize();
    this.showGallery();
    this.showGroups();
    this.showProgress();
    const cells = this.current().cells;
    const focus = cells.find((cell) => cell.id === id) || cells.find((cell) => !cell.decided) || cells[0];
    this.focusCell(focus ? focus.id : null, { steal: !byId("dialog").open });
    looks.wanted();
    looks.busy();
  },

  /** Chooses the size of the tiles: at a group's beginning and for another window, never in between. */
  resize() {
    const { grid, width, height } = this.room();
    this.side = Number(kept.get("tile")) || fittedSide(this.current().cells.length, width, height);
    grid.style.setProperty("--tile", `${this.side}px`);
    this.measure();
  },

  /** Counts what fits. A line on top takes room, and must not move the cells under a person's keys. */
  measure() {
    const { width, height } = this.room();
    const count = this.current().cells.length;
    const plan = layout(count, width, height, this.side);
    this.columns = plan.columns;
    this.rows = plan.rows;
    byId("gallery-size").textContent = count ? T("slide.screens", { n: plan.screens }) : "";
  },

  room() {
    const grid = byId("gallery");
    const style = getComputedStyle(grid);
    return {
      grid,
      width: grid.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight),
      height: grid.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom),
    };
  },

  /** Brings the gallery to what the group holds now, touching no more than what changed. */
  showGallery() {
    const grid = byId("gallery");
    const group = this.current();
    const order = MIXED.includes(group.name) ? "slide.gallery.mixed" : "slide.gallery";
    byId("gallery-title").textContent = T(order, {
      name: groupName(group.name),
      cells: T(group.images ? "images" : "cells", { n: group.images || group.cells.length }),
    });
    grid.setAttribute("aria-label", groupName(group.name));
    // Cells without a label cannot be right.
    byId("right").textContent = T(group.cells.some((cell) => cell.label !== null) ? "slide.right" : "slide.next");
    if (group.name === "rejected") {
      grid.replaceChildren(...this.data.rejected.map((one) => this.rejectedRow(one)));
      this.ids = [];
      return;
    }
    const ids = group.cells.map((cell) => cell.id);
    const now = new Set(ids);
    for (const id of this.ids) {
      if (!now.has(id)) {
        this.tiles.get(id).element.remove();
        looks.inSight.delete(id);
        this.tiles.get(id).isNear = false;
        this.selected.delete(id);
      }
    }
    const old = this.ids.filter((id) => now.has(id));
    const oldSet = new Set(old);
    this.ids = ids;
    let before = null;
    if (!old.length) {
      grid.replaceChildren(
        ...(ids.length
          ? group.cells.map((cell) => this.tile(cell).element)
          : [h("p", { class: "soft" }, T("slide.empty"))]),
      );
    } else {
      // From the end, so that each is put before one that is in its place.
      const inOrder = ids.filter((id) => oldSet.has(id)).every((id, at) => id === old[at]);
      for (let at = ids.length - 1; at >= 0; at -= 1) {
        const element = this.tile(this.cellOf.get(ids[at])).element;
        if (!oldSet.has(ids[at]) || !inOrder) grid.insertBefore(element, before);
        before = element;
      }
    }
    for (const id of ids) this.paintTile(id);
  },

  rejectedRow(one) {
    return h(
      "div",
      { class: "rejected" },
      h("img", { src: `/images/${this.key}/${one.id}`, alt: "", class: "small" }),
      h("span", {}, one.message || one.reason),
    );
  },

  /** The tile of a cell; made once for each visit of a slide, as its image is. */
  tile(cell) {
    const known = this.tiles.get(cell.id);
    if (known) return known;
    const tile = { id: cell.id, key: this.key, image: "none", why: "", isNear: false, painted: "" };
    tile.img = h("img", {
      alt: "",
      decoding: "async",
      draggable: "false",
      onload: () => loader.done(tile, true),
      onerror: () => loader.done(tile, false),
    });
    tile.element = h(
      "div",
      { id: `c-${cell.id}`, class: "tile", role: "option", tabindex: "-1", "data-id": cell.id },
      tile.img,
      h("span", { class: "why" }),
      h("span", { class: "mark", "aria-hidden": "true" }),
      h("span", { class: "chip", "aria-hidden": "true" }),
    );
    this.tiles.set(cell.id, tile);
    looks.observer.observe(tile.element);
    this.paintTile(cell.id);
    return tile;
  },

  paintTile(id) {
    const tile = this.tiles.get(id);
    const cell = this.cellOf.get(id);
    if (!tile || !cell) return;
    const mixed = MIXED.includes(this.group);
    const mark = cell.pending ? "…" : cell.decided ? "✓" : "";
    const sure = percentOf(cell.confidence);
    let chip = cell.decided || (cell.label === null && !cell.suggested) ? "" : sure < 90 ? String(sure) : "";
    if (mixed) chip = short(cell.label);
    if (differs(cell)) chip = `${short(cell.label)} / ${short(cell.other)}`;
    const unseen = !cell.decided && !looks.seen.has(id);
    const name = [
      "tile",
      cell.pending ? "pending" : cell.decided ? "decided" : "undecided",
      unseen ? "unseen" : "",
      cell.familiar === false ? "strange" : "",
      this.selected.has(id) ? "selected" : "",
      tile.image === "failed" ? "missing" : "",
    ]
      .filter(Boolean)
      .join(" ");
    const painted = `${name}|${mark}|${chip}|${cell.label}|${tile.image}`;
    if (painted === tile.painted) return;
    tile.painted = painted;
    tile.element.className = name;
    tile.element.setAttribute("aria-selected", this.selected.has(id));
    tile.element.setAttribute("aria-label", this.spoken(cell, tile));
    tile.element.children[2].textContent = mark;
    tile.element.children[3].textContent = chip;
  },

  spoken(cell, tile) {
    const states = [T(cell.pending ? "state.pending" : cell.decided ? "state.decided" : "state.open")];
    if (cell.familiar === false) states.push(T("state.unfamiliar"));
    if (tile.image === "failed") states.push(T("state.image"));
    return T("cell.said", {
      label: called(cell.label),
      confidence: percent(percentOf(cell.confidence)),
      state: states.join(", "),
    });
  },

  /** After the cells changed: groups, gallery, numbers; the focus stays where a person expects it. */
  refresh({ at = null } = {}) {
    this.regroup();
    this.showGallery();
    this.showGroups();
    this.showProgress();
    const ids = this.ids;
    if (!ids.includes(this.focusId)) {
      this.focusCell(ids[Math.min(at === null ? 0 : at, ids.length - 1)] || null, {
        steal: !byId("dialog").open && !covered,
      });
    } else focusPanel.show();
    looks.wanted();
    looks.busy();
    problemsPanel.show();
  },

  // ------------------------------------------------ moving and selecting

  focusCell(id, { steal = true, scroll = true } = {}) {
    const old = this.tiles.get(this.focusId);
    if (old) {
      old.element.tabIndex = -1;
      old.element.classList.remove("focus");
    }
    this.focusId = id;
    const tile = id ? this.tiles.get(id) : null;
    if (tile) {
      tile.element.tabIndex = 0;
      if (steal) tile.element.focus({ preventScroll: true });
      if (scroll) tile.element.scrollIntoView({ block: "nearest" });
    } else if (steal) byId("gallery").focus({ preventScroll: true });
    focusPanel.show();
  },

  move(to, select) {
    const ids = this.ids;
    if (!ids.length) return;
    const at = Math.max(0, ids.indexOf(this.focusId));
    const page = Math.max(1, this.columns * this.rows);
    const steps = {
      left: -1,
      right: 1,
      up: -this.columns,
      down: this.columns,
      pageup: -page,
      pagedown: page,
      home: -at,
      end: ids.length,
    };
    let next = at + steps[to];
    // Down from above a shorter last row goes to its end; up from the first row stays.
    if (to === "down" && next >= ids.length)
      next = Math.floor(at / this.columns) < Math.floor((ids.length - 1) / this.columns) ? ids.length - 1 : at;
    if (to === "up" && next < 0) next = at;
    next = Math.max(0, Math.min(ids.length - 1, next));
    if (select) this.selectTo(ids[next], this.anchorId || ids[at]);
    else this.select([], ids[next]);
    this.focusCell(ids[next]);
  },

  select(ids, anchor) {
    const old = [...this.selected];
    this.selected = new Set(ids);
    this.anchorId = anchor;
    for (const id of new Set([...old, ...ids])) this.paintTile(id);
    if (ids.length) say(T("say.selected", { n: ids.length }));
    focusPanel.show();
  },

  selectTo(id, anchor) {
    const [a, b] = [this.ids.indexOf(anchor), this.ids.indexOf(id)].sort((x, y) => x - y);
    this.select(this.ids.slice(Math.max(0, a), b + 1), anchor);
  },

  toggle(id) {
    const ids = new Set(this.selected);
    if (ids.has(id)) ids.delete(id);
    else ids.add(id);
    this.select([...ids], id);
  },

  clicked(event) {
    const element = event.target.closest(".tile");
    if (!element) return;
    const id = element.dataset.id;
    const tile = this.tiles.get(id);
    if (tile.image === "failed") {
      tile.image = "none";
      looks.wanted();
    }
    if (event.shiftKey) this.selectTo(id, this.anchorId || this.focusId || id);
    else if (event.ctrlKey || event.metaKey) this.toggle(id);
    else this.select([], id);
    this.focusCell(id, { scroll: false });
  },

  // ------------------------------------------------ deciding

  /** Records that the label of the focused or selected cells is this one. */
  label(label, since) {
    const many = this.selected.size > 0;
    const ids = many ? this.ids.filter((id) => this.selected.has(id)) : this.focusId ? [this.focusId] : [];
    if (!ids.length) {
      say(T("say.nothing"));
      return;
    }
    if (ids.some((id) => this.tiles.get(id).image === "failed")) {
      say(T("say.noimage"));
      return;
    }
    // A chosen cell is before the person's eyes once its image is there; of many, each must have been.
    const unseen = ids.filter((id) => (many ? !looks.seen.has(id) : this.tiles.get(id).image !== "there"));
    if (unseen.length) {
      say(many ? T("say.unseen", { n: unseen.length }) : T("say.loading"));
      return;
    }
    const at = this.ids.indexOf(ids[0]);
    const stays = this.focusId;
    this.decide(ids, label, since);
    this.selected.clear();
    this.refresh({ at });
    for (const id of ids) this.paintTile(id);
    say(T("say.relabelled", { n: ids.length, label: called(label) }));
    // A cell that stays gives the focus to the next open one.
    if (this.ids.includes(stays)) this.focusCell(nextOpenCell(this.current().cells, stays));
    if (!this.ids.length) {
      const next = nextOpenGroup(this.groups, this.group);
      if (next) this.goTo(next);
      else this.goTo(this.groups.find((group) => group.cells.length));
    }
  },

  decide(ids, label, since) {
    const cells = ids.map((id) => ({ id, before: this.cellOf.get(id).label }));
    outgoing.add(this.key, { action: "decide", cells, label }, since);
  },

  goTo(group) {
    if (!group) return;
    this.enter(group.name);
    say(T("say.next", { name: groupName(group.name), open: T("group.open", { n: group.open }) }));
  },

  enterKey(since) {
    const group = this.current();
    const plan = planEnter(group, this.groups, looks.seen);
    if (plan.decide.length) {
      this.decide(
        plan.decide.map((cell) => cell.id),
        null,
        since,
      );
      this.refresh();
    }
    if (plan.then === "group") {
      this.goTo(this.groups.find((one) => one.name === plan.group));
      return;
    }
    if (plan.then === "sign") {
      say(T("slide.alldone"));
      signDialog.open();
      return;
    }
    const tile = this.tiles.get(plan.cell);
    if (tile.image === "failed") say(T("say.noimage"));
    else if (plan.then === "label") say(T("say.label", { n: plan.left }));
    else say(looks.inSight.has(plan.cell) ? T("say.loading") : T("say.more", { n: plan.left }));
    const isBelow = plan.then === "unseen" && !looks.inSight.has(plan.cell);
    this.focusCell(plan.cell);
    if (isBelow) tile.element.scrollIntoView({ block: "start" });
  },

  undo(since) {
    if (this.data.undo === null && !outgoing.of(this.key).length) {
      say(T("say.nolabel"));
      return;
    }
    outgoing.add(this.key, { action: "undo", undoes: null }, since);
  },

  step(by) {
    const names = this.groups.filter((group) => group.cells.length || group.images).map((group) => group.name);
    const at = names.indexOf(this.group);
    this.enter(names[(at + by + names.length) % names.length]);
  },

  resizeBy(step) {
    if (step === 0) kept.set("tile", "");
    else {
      const nearest = TILE_SIZES.reduce((a, b) => (Math.abs(b - this.side) < Math.abs(a - this.side) ? b : a));
      const at = TILE_SIZES.indexOf(nearest);
      let next = Math.max(0, Math.min(TILE_SIZES.length - 1, at + step));
      if ((TILE_SIZES[next] - this.side) * step <= 0) next = Math.max(0, Math.min(TILE_SIZES.length - 1, next + step));
      kept.set("tile", String(TILE_SIZES[next]));
    }
    this.resize();
    this.focusCell(this.focusId);
  },

  // ------------------------------------------------ answers

  saved(item, answer) {
    if (item.key !== this.key) return;
    const before = this.data;
    const fresh = new Map(answer.cells.map((cell) => [cell.id, cell]));
    const cells = before.cells.map((cell) => fresh.get(cell.id) || cell);
    // Another page recorded something between what is shown and this answer: take the slide anew.
    const missed = answer.previous !== undefined && answer.previous !== null && answer.previous !== before.entry;
    this.data = {
      ...before,
      cells,
      entry: answer.entry,
      problems: answer.problems,
      undo: answer.undo,
      notes: answer.notes || before.notes,
      may_finish: answer.may_finish,
      stands: answer.stands,
    };
    if (this.data.slide.stage === "open" && item.body.action === "decide") {
      this.data.slide = { ...this.data.slide, stage: "begun", mine: true };
      this.drawTop();
    }
    if (item.body.action === "undo")
      this.undone(
        before.cells
          .filter((cell) => {
            const now = fresh.get(cell.id);
            return now && (now.label !== cell.label || now.decided !== cell.decided);
          })
          .map((cell) => fresh.get(cell.id)),
      );
    if (item.body.action === "note") {
      notesPanel.show();
      say(T("say.noted"));
    }
    this.refresh();
    if (item.body.action === "decide")
      say(
        outgoing.mine().length
          ? T("say.pending", { n: outgoing.mine().length })
          : T("say.saved", { n: item.body.cells.length }),
      );
    if (missed) this.reload();
    // The stage above the cells must not go on saying "Final" over another label.
    else if (before.stands !== this.data.stands) this.reload({ quiet: true });
  },

  undone(cells) {
    if (!cells.length) {
      say(T("say.undone.none"));
      return;
    }
    const labels = [...new Set(cells.map((cell) => called(cell.label)))].join(", ");
    const text = T("say.undone", { n: cells.length, labels });
    this.regroup();
    const home = this.groups.find((group) => group.cells.some((cell) => cell.id === cells[0].id));
    if (home && this.group !== home.name) this.enter(home.name, cells[0].id);
    else {
      this.showGallery();
      this.focusCell(cells[0].id);
    }
    say(text);
  },

  /** Counts anew in the first pause: a count takes a core of the program that the next key needs. */
  allSaved() {
    if (!this.key) return;
    clearTimeout(this.countLater);
    this.countLater = setTimeout(
      () => {
        if (this.key && !outgoing.mine().length) this.countAnew();
      },
      signDialog.isOpen ? 0 : COUNT_PAUSE_MS,
    );
    signDialog.ready();
  },

  /** A refused request: says what was not recorded, shows the slide as it is. */
  async notSaved(item, error) {
    if (item.key !== this.key) {
      line("conflict", T("line.refused", { text: error.message }), {
        kind: "bad",
        label: T("line.show"),
        act: () => this.open(item.key),
      });
      return;
    }
    await this.reload({ quiet: true });
    const cells = (item.body.cells || [])
      .map((cell) => ({ ...cell, now: this.cellOf.get(cell.id) }))
      .filter((cell) => cell.now);
    const other = cells.filter((cell) => cell.now.label !== cell.before);
    let text = T("line.refused", { text: error.message });
    if (error.status === 409 && other.length) {
      const what = other
        .map((cell) =>
          T("line.conflict.one", {
            n: cell.now.n,
            yours: called(item.body.label === null ? cell.before : item.body.label),
            now: called(cell.now.label),
          }),
        )
        .join("; ");
      text = T("line.conflict", { n: other.length, name: other[0].now.changed_by || T("line.somebody"), what });
    }
    say("");
    const first = other[0] || cells[0];
    line("conflict", text, {
      kind: "bad",
      label: T("line.show"),
      act: first ? () => (this.key === item.key ? this.show(first.id) : this.open(item.key)) : null,
    });
  },

  /** Goes to a cell, in its group. */
  show(id) {
    const home = this.groups.find((group) => group.cells.some((cell) => cell.id === id));
    if (home) this.enter(home.name, id);
  },

  async reload({ quiet = false, tries = 3 } = {}) {
    const key = this.key;
    try {
      const data = await ask(`/api/slides/${key}`);
      if (this.key !== key) return;
      // An answer that a decision has overtaken; with the record of a backup it stays so.
      if (data.entry < this.data.entry && tries > 0) {
        await this.reload({ quiet, tries: tries - 1 });
        return;
      }
      const changed = changedCells(this.views, viewed(data.cells, outgoing.of(key)));
      this.data = data;
      const at = Math.max(0, this.ids.indexOf(this.focusId));
      this.refresh({ at });
      this.drawTop();
      notesPanel.show();
      this.countAnew();
      // A blind reader is not told of what the other one does.
      if (quiet || (data.reading === "blind" && !changed.length)) return;
      const name = (changed.find((cell) => cell.changed_by) || {}).changed_by || T("line.somebody");
      line(
        "changed",
        changed.length ? T("line.others", { n: changed.length, name }) : T("line.changed"),
        changed.length ? { label: T("line.show"), act: () => this.show(changed[0].id) } : {},
      );
    } catch (error) {
      failed(error, () => this.reload({ quiet }));
    }
  },

  /** Another person, or another tab, may decide at the same time. */
  watch() {
    clearInterval(this.poll);
    this.poll = setInterval(async () => {
      const key = this.key;
      if (!key || document.hidden || covered || outgoing.mine().length) return;
      // A missing image may be back.
      if (!document.body.dataset.offline) loader.retry();
      try {
        const found = await ask(`/api/slides/${key}/entry`);
        online();
        if (this.key !== key || outgoing.mine().length) return;
        line("away");
        if (found.entry !== this.data.entry || found.revision !== this.data.revision) this.reload();
      } catch (error) {
        pollFailed(error);
      }
    }, 3000);
  },

  /** Asks for the differential as it is now; one request at a time. */
  async countAnew() {
    if (this.counting) {
      this.countAgain = true;
      return;
    }
    this.counting = true;
    const key = this.key;
    const began = performance.now();
    try {
      // Counting takes a core of the program: the images in sight of a slide just opened go first.
      while (this.opened && this.key === key && performance.now() - began < 700) await later(50);
      do {
        this.countAgain = false;
        const diff = await ask(`/api/slides/${key}/differential`);
        if (this.key !== key) break;
        this.diff = diff;
        differentialPanel.show();
        signDialog.ready();
      } while (this.countAgain);
    } catch (error) {
      if (!(error instanceof Answer || error instanceof TypeError)) throw error;
      differentialPanel.show(error.message);
    } finally {
      this.counting = false;
    }
    if (this.key && this.key !== key) this.countAnew();
  },
};

function signed(signature) {
  const text = T("signed.by", {
    name: signature.by.name,
    at: moment(signature.at),
    number: signature.number,
    hash: signature.hash.slice(0, 12),
  });
  return signature.reason ? `${text}. ${T("signed.reason", { text: signature.reason })}` : text;
}

// ---------------------------------------------------------------- the panels beside the cells

/** A canvas with a cell's image: no second request, and each pixel as it is. */
function picture(id, side, { whole = true } = {}) {
  const tile = slideScreen.tiles.get(id) || slideScreen.tile(slideScreen.cellOf.get(id));
  const canvas = h("canvas", { width: side, height: side, "aria-hidden": "true" });
  const paint = () => {
    const { naturalWidth: w, naturalHeight: hgt } = tile.img;
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    const scale = whole ? side / Math.max(w, hgt) : 1;
    context.drawImage(tile.img, (side - w * scale) / 2, (side - hgt * scale) / 2, w * scale, hgt * scale);
  };
  if (tile.image === "there") paint();
  else {
    tile.img.addEventListener("load", paint, { once: true });
    if (tile.image === "none") {
      loader.wanted.unshift(tile);
      loader.pump();
    }
  }
  return canvas;
}

function ruler() {
  const size = session.pixel_size_um;
  if (!size) return null;
  const length = [10, 5, 2, 1, 20, 50, 100].find((um) => um / size >= 30 && um / size <= 200);
  return length
    ? h("span", { class: "ruler", "--length": `${length / size}px` }, T("focus.ruler", { n: length }))
    : null;
}

const focusPanel = {
  isComparing: false,

  show() {
    const panel = byId("focus");
    if (!panel) return;
    labelPanel.show();
    const cell = slideScreen.cellOf.get(slideScreen.focusId);
    if (!cell) {
      panel.replaceChildren(h("p", { class: "soft" }, T("focus.none")));
      byId("about").replaceChildren();
      this.drawn = null;
      return;
    }
    const tile = slideScreen.tiles.get(cell.id);
    const drawn = JSON.stringify([cell, tile.image, tile.why, slideScreen.selected.size]);
    if (drawn === this.drawn && panel.firstChild) return;
    this.drawn = drawn;
    panel.replaceChildren(this.image(cell, tile));
    byId("about").replaceChildren(this.words(cell), this.guesses(cell));
    if (this.isComparing) this.compare();
  },

  image(cell, tile) {
    if (tile.image === "failed") return h("div", { class: "one missing" }, h("p", {}, tile.why || T("image.gone")));
    // As large as the last image, so that the buttons below stay where they are.
    const last = this.side && `${this.side}px`;
    if (tile.image !== "there") {
      return h("div", { class: "one", "--side": last }, h("p", { class: "soft" }, T("focus.loading")));
    }
    const side = Math.max(
      200,
      Math.min(
        byId("focus").clientWidth - 2,
        Math.max(tile.img.naturalWidth, tile.img.naturalHeight),
        window.innerHeight < 820 ? 260 : 400,
      ),
    );
    this.side = side;
    return h(
      "div",
      { class: "one" },
      picture(cell.id, side, { whole: false }),
      h("span", { class: "scale" }, T("focus.scale")),
      ruler(),
    );
  },

  words(cell) {
    const many = slideScreen.selected.size;
    const parts = [h("h2", {}, called(cell.label), " ", h("span", { class: "soft" }, T("focus.title", { n: cell.n })))];
    if (many) parts.push(h("p", { class: "warn" }, T("focus.many", { n: many })));
    if (cell.label !== cell.suggested) {
      parts.push(
        h(
          "p",
          {},
          cell.suggested
            ? T("focus.suggested", { label: called(cell.suggested), confidence: percent(percentOf(cell.confidence)) })
            : T("focus.nothing"),
        ),
      );
    }
    if (cell.changed_by) parts.push(h("p", {}, T("focus.changed", { name: cell.changed_by })));
    if (differs(cell)) parts.push(h("p", { class: "warn" }, T("focus.other", { label: called(cell.other) })));
    if (cell.familiar === false) parts.push(h("p", { class: "warn" }, T("focus.unfamiliar", { reason: T(`unfamiliar.${cell.unfamiliar || "unlike"}`) })));
    return h("div", { class: "words" }, parts);
  },

  guesses(cell) {
    return h(
      "ol",
      { class: "guesses", "aria-label": T("focus.model") },
      runnersUp(cell, session.classes, 3).map((guess) =>
        h(
          "li",
          {},
          h("span", {}, called(guess.name)),
          h("span", { class: "track" }, h("span", { "--share": `${guess.p * 100}%` })),
          h("span", { class: "number" }, percent(percentOf(guess.p))),
        ),
      ),
    );
  },

  async compare(toggles = false) {
    if (toggles) this.isComparing = !this.isComparing;
    const panel = byId("reference");
    panel.hidden = !this.isComparing;
    labelPanel.show();
    const cell = slideScreen.cellOf.get(slideScreen.focusId);
    if (!this.isComparing || !cell) return;
    try {
      this.references = this.references || (await ask("/api/reference")).classes;
    } catch (error) {
      failed(error, () => this.compare());
      return;
    }
    const rivals = runnersUp(cell, session.classes, 2).map((one) => one.name);
    const names = [...new Set([cell.label, ...rivals].filter(Boolean))].slice(0, 2);
    if (panel.dataset.names === names.join()) return;
    panel.dataset.names = names.join();
    panel.replaceChildren(
      ...names.flatMap((name) => {
        const ids = (this.references[name] || []).slice(0, 6);
        return [
          h("h2", {}, T("reference.title", { label: called(name) })),
          ids.length
            ? h(
                "div",
                { class: "strip" },
                ids.map((id) => h("img", { src: `/reference/${id}`, alt: called(name), loading: "lazy" })),
              )
            : h("p", { class: "soft" }, T("reference.none")),
        ];
      }),
    );
  },
};

/** The labels as buttons. They stay where they are from cell to cell, so that a click meets what it aimed at. */
const labelPanel = {
  drawn() {
    const labels = labelChoices([]).map(({ key, label }) => {
      const name = T("label.name", { key, short: short(label), label: called(label) });
      const props = { "data-label": label, "aria-label": name, title: name };
      return keyButton(key, { name: "label", label }, props, short(label));
    });
    return [
      h("div", { id: "labels", role: "group", "aria-label": T("label.group") }, labels),
      keyButton("c", { name: "compare" }, { id: "compare" }, T("label.compare")),
    ];
  },

  show() {
    const { selected, focusId, cellOf } = slideScreen;
    const ids = selected.size ? [...selected] : [focusId];
    const cells = ids.map((id) => cellOf.get(id)).filter(Boolean);
    for (const { label, pressed } of labelChoices(cells)) {
      byId("labels").querySelector(`[data-label="${label}"]`).setAttribute("aria-pressed", pressed);
    }
    byId("compare").setAttribute("aria-pressed", String(focusPanel.isComparing));
  },
};

const differentialPanel = {
  show(problem = "") {
    const panel = byId("differential");
    if (!panel) return;
    const diff = slideScreen.diff;
    if (!diff) {
      panel.replaceChildren(h("h2", {}, T("diff.title")), h("p", { class: "soft" }, problem || T("diff.old")));
      return;
    }
    // Without a table of the model's errors there is one interval.
    const errors = diff.classes.some((one) => one.with_errors);
    const columns = ["class", "count", "percent", "bars", "sampling", ...(errors ? ["errors"] : [])];
    panel.replaceChildren(
      h(
        "div",
        { class: "head" },
        h("h2", {}, T("diff.title"), " ", h("span", { class: "soft" }, T("cells", { n: diff.leukocytes }))),
        keyButton("d", { name: "differential" }, { id: "large" }, T("diff.large")),
      ),
      h(
        "table",
        { class: "small" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((name) => h("th", { scope: "col", class: name }, T(`diff.${name}`))),
          ),
        ),
        h(
          "tbody",
          {},
          diff.classes.map((one) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, called(one.name)),
              h("td", {}, String(one.count)),
              h("td", { class: "value" }, one.percent === null ? "" : String(one.percent)),
              h("td", { class: "bars" }, bars(one)),
              h("td", { class: "interval" }, whole(one.sampling)),
              errors ? h("td", { class: "interval" }, whole(one.with_errors)) : null,
            ),
          ),
        ),
      ),
      h(
        "dl",
        { class: "rest" },
        rest(diff).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
      ),
      diff.flags.length
        ? h(
            "ul",
            { class: "flags" },
            diff.flags.map((flag) => h("li", {}, `⚑ ${flag.text}`)),
          )
        : "",
    );
    if (problem) panel.append(h("p", { class: "bad" }, problem));
    sheet.draw();
  },

  large() {
    const diff = slideScreen.diff;
    if (!diff) return;
    openDialog(
      T("diff.title"),
      [
        fullTable(diff),
        h("p", { class: "soft" }, T("diff.explain")),
        h("p", { class: "soft" }, T("diff.from", { text: diff.errors_from })),
        flagList(diff),
        closer(),
      ],
      { wide: true },
    );
  },
};

function flagList(diff) {
  return diff.flags.length
    ? h(
        "div",
        {},
        h("h3", {}, T("flags.title")),
        h(
          "ul",
          { class: "flags" },
          diff.flags.map((flag) => h("li", {}, `⚑ ${flag.text}`)),
        ),
      )
    : null;
}

const decimal = (x) => x.toLocaleString(LANG, { maximumFractionDigits: 1, minimumFractionDigits: 1 });
/** An interval where there is little room; never narrower than it is. */
function whole(pair) {
  return pair ? T("diff.whole", { low: Math.floor(pair[0]), high: Math.ceil(pair[1]) }) : "";
}
function interval(pair) {
  return pair ? T("diff.interval", { low: decimal(pair[0]), high: decimal(pair[1]) }) : "";
}

/** Both intervals over the share: thick is counting, thin with ends has the model's errors, too. */
function bars(one) {
  const span = (name, pair) =>
    pair ? h("span", { class: name, "--low": `${pair[0]}%`, "--wide": `${Math.max(0.5, pair[1] - pair[0])}%` }) : null;
  return h(
    "span",
    { class: "plot", "aria-hidden": "true" },
    h("span", { class: "share", "--wide": `${one.share || 0}%` }),
    span("sampling", one.sampling),
    span("errors", one.with_errors),
  );
}

function rest(diff) {
  const nrbc = diff.erythroblasts;
  const rows = [
    [
      T("diff.nrbc.short"),
      nrbc.per_100_wbc === null
        ? T("unknown")
        : `${decimal(nrbc.per_100_wbc)} (${interval(nrbc.with_errors || nrbc.sampling)})`,
    ],
    [T("diff.platelets"), T(diff.platelets ? "diff.present" : "diff.absent")],
  ];
  if (diff.unidentified) rows.push([T("diff.unidentified"), String(diff.unidentified)]);
  if (diff.rejected) rows.push([T("diff.rejected"), String(diff.rejected)]);
  for (const name of ["artefact", "other"]) {
    if (diff.not_counted[name]) rows.push([T(`diff.${name}`), String(diff.not_counted[name])]);
  }
  return rows;
}

function fullTable(diff) {
  const errors = diff.classes.some((one) => one.with_errors);
  const columns = ["count", "percent", "sampling", ...(errors ? ["errors"] : [])];
  const absolute = diff.classes.some((one) => one.absolute !== null);
  if (absolute) columns.push("absolute");
  const nrbc = diff.erythroblasts;
  return h(
    "div",
    {},
    h(
      "table",
      { class: "full" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["class", ...columns].map((name) => h("th", { scope: "col", class: name }, T(`diff.${name}`))),
          h("th", { class: "bars" }, T("diff.bars")),
        ),
      ),
      h(
        "tbody",
        {},
        diff.classes.map((one) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, called(one.name)),
            h("td", {}, String(one.count)),
            h("td", { class: "value" }, one.percent === null ? "" : String(one.percent)),
            h("td", {}, interval(one.sampling)),
            errors ? h("td", {}, interval(one.with_errors)) : null,
            absolute ? h("td", {}, one.absolute === null ? "" : one.absolute.toFixed(2)) : null,
            h("td", { class: "bars" }, bars(one)),
          ),
        ),
        h(
          "tr",
          { class: "apart" },
          h("th", { scope: "row" }, T("diff.nrbc.short")),
          h("td", {}, String(nrbc.count)),
          h("td", { class: "value" }, nrbc.per_100_wbc === null ? "" : decimal(nrbc.per_100_wbc)),
          h("td", {}, interval(nrbc.sampling)),
          errors ? h("td", {}, interval(nrbc.with_errors)) : null,
          absolute ? h("td") : null,
          h("td"),
        ),
      ),
    ),
    h(
      "dl",
      { class: "rest" },
      [
        [T("diff.leukocytes"), String(diff.leukocytes)],
        ...(diff.wbc === null ? [] : [["WBC", T("diff.wbc", { n: decimal(diff.wbc) })]]),
        ...rest(diff).slice(1),
      ].flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
  );
}

const problemsPanel = {
  show() {
    const panel = byId("problems");
    if (!panel) return;
    const { reading } = slideScreen.data;
    const problems = obstacles(slideScreen.data);
    const ready = T(reading === "blind" ? "problems.finish" : "problems.none");
    panel.replaceChildren(
      h("h2", {}, T(reading === "blind" ? "problems.title.finish" : "problems.title")),
      problems.length ? problemList(problems) : h("p", { class: "good" }, `✓ ${ready}`),
    );
    const sign = byId("sign");
    if (sign) sign.classList.toggle("ready", !problems.length);
  },
};

/** What is in the way of the person's next step: of finishing a blind reading, or of signing. */
function obstacles(data) {
  if (data.reading !== "blind") return data.problems;
  return data.may_finish ? [] : data.problems.filter((problem) => problem.code !== "second_reader");
}

function problemList(problems) {
  return h(
    "ul",
    { class: "todo" },
    problems.map((problem) => {
      const act = jumpOf(problem);
      return h(
        "li",
        { class: "sentence" },
        act ? h("button", { type: "button", class: "link sentence", onclick: act }, problem.text) : problem.text,
      );
    }),
  );
}

/** Where a person does something about what stands in the way; null if not on this page. */
function jumpOf(problem) {
  const { groups } = slideScreen;
  const names = { unidentified: "unidentified", consensus: "differ" };
  const target =
    problem.code === "undecided"
      ? groups.find((one) => one.open)
      : groups.find((one) => one.name === names[problem.code] && one.cells.length);
  return target
    ? () => {
        closeDialog();
        slideScreen.goTo(target);
      }
    : null;
}

const notesPanel = {
  show() {
    const panel = byId("notes");
    if (!panel) return;
    const { notes } = slideScreen.data;
    panel.replaceChildren(
      h(
        "h2",
        {},
        T("notes.title"),
        " ",
        h("button", { type: "button", class: "link", onclick: () => this.write() }, T("notes.add")),
      ),
      notes.length ? noteList(notes) : "",
    );
  },

  write() {
    const { key } = slideScreen;
    const field = h("textarea", { id: "note", rows: 3, maxlength: 2000, "aria-label": T("notes.field") });
    const keep = () => {
      // A note is one line of a record.
      const text = field.value.replace(/\s+/g, " ").trim();
      if (text) outgoing.add(key, { action: "note", text }, performance.now());
      closeDialog();
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.isComposing) {
        event.preventDefault();
        keep();
      }
    });
    openDialog(T("notes.field"), [
      field,
      h("p", { class: "soft" }, T("notes.hint")),
      h(
        "div",
        { class: "buttons" },
        h("button", { type: "button", class: "main", onclick: keep }, T("notes.save")),
        closer(),
      ),
    ]);
    field.focus();
  },
};

function noteList(notes) {
  return h(
    "ul",
    { class: "notes" },
    notes.map((note) =>
      h(
        "li",
        {},
        h("span", {}, note.text),
        " ",
        h("span", { class: "soft" }, T("notes.by", { name: note.by.name || note.by, at: moment(note.at) })),
      ),
    ),
  );
}

function closer() {
  return button("close", closeDialog, { class: "quiet closer" });
}
function backToCells() {
  if (state === "slide" && !covered) slideScreen.focusCell(slideScreen.focusId, { scroll: false });
}

function bigView() {
  const cell = slideScreen.cellOf.get(slideScreen.focusId);
  const tile = cell && slideScreen.tiles.get(cell.id);
  if (!tile || tile.image !== "there") return;
  const side = Math.max(tile.img.naturalWidth, tile.img.naturalHeight);
  openDialog(T("big.title", { n: cell.n }), [
    h(
      "div",
      { class: "one" },
      picture(cell.id, side, { whole: false }),
      h("span", { class: "scale" }, T("focus.scale")),
      ruler(),
    ),
    focusPanel.words(cell),
    focusPanel.guesses(cell),
    closer(),
  ]);
}

// ---------------------------------------------------------------- signing

const signDialog = {
  isOpen: false,
  isBusy: false,
  fresh: false,
  body: null,
  form: null,
  result: null,

  async open() {
    if (this.isOpen || state !== "slide") return;
    this.isOpen = true;
    this.isBusy = false;
    this.result = null;
    this.form = null;
    this.body = h(
      "div",
      { class: "signing" },
      h("p", { class: "soft" }, outgoing.mine().length ? T("say.wait") : T("sign.counting")),
    );
    const blind = slideScreen.data.reading === "blind";
    const { slide } = slideScreen.data;
    const sample = [slide.sample_id, slide.slide_id].filter(Boolean).join(", ");
    openDialog(T(blind ? "sign.finish.title" : "sign.title", { sample }), [this.body], {
      wide: !blind,
      closed: () => this.closed(),
    });
    // Until the program has answered, nobody knows whether it is signed.
    byId("dialog").oncancel = (event) => {
      if (this.isBusy) event.preventDefault();
    };
    this.fresh = false;
    if (!outgoing.mine().length) await this.refresh();
  },

  closed() {
    this.isOpen = false;
    const { result } = this;
    this.result = null;
    if (result) listScreen.open();
    else backToCells();
  },

  /** Takes the slide anew, so that nothing another person did meanwhile is signed unseen. */
  async refresh() {
    if (this.fresh || this.result) return;
    this.fresh = true;
    const before = slideScreen.data.entry;
    await slideScreen.reload({ quiet: true });
    if (slideScreen.data && slideScreen.data.entry !== before) line("changed", T("line.changed"));
    this.ready();
  },

  /** Shows what is signed once all is saved and counted. */
  ready() {
    if (!this.isOpen || this.result || this.form) return;
    const { data, diff } = slideScreen;
    if (outgoing.mine().length) return;
    if (!this.fresh) {
      this.refresh();
      return;
    }
    const inTheWay = obstacles(data);
    if (inTheWay.length) {
      this.problems(inTheWay);
      return;
    }
    if (data.reading !== "blind" && (!diff || diff.entry !== data.entry)) return;
    this.ask(data, diff);
  },

  problems(problems) {
    const { signature } = slideScreen.data;
    // Nothing to do: a signature stands, and nothing has changed.
    if (signature && problems.every((one) => one.code === "unchanged")) {
      this.done({ signature, slide: slideScreen.data.slide }, false);
      return;
    }
    this.body.replaceChildren(h("p", {}, T("sign.not")), problemList(problems), closer());
    (this.body.querySelector("button") || this.body).focus();
  },

  ask(data, diff) {
    const blind = data.reading === "blind";
    // The same for each try, so that one that failed without an answer is signed once.
    const request = requestId();
    const changes = slideScreen.views.filter((cell) => cell.label !== cell.suggested);
    const reason =
      data.needs_reason && !blind
        ? h("input", { id: "reason", required: true, maxlength: 500, autocomplete: "off" })
        : null;
    const pin =
      session.needs_pin && session.pin_at_signing && !blind
        ? h("input", { id: "pin", type: "password", required: true, autocomplete: "off" })
        : null;
    // An Enter that was meant for what was there before must not sign what nobody has looked at.
    const waits = !reason && !pin;
    const go = h("button", { class: "main", id: "sign-go", disabled: waits }, T(blind ? "sign.finish" : "sign.go"));
    const back = button("sign.back", closeDialog, { class: "quiet" });
    const problem = h("p", { class: "bad sentence", role: "alert" });
    const form = h(
      "form",
      {
        onsubmit: (event) => {
          event.preventDefault();
          this.send({ data, diff, request, reason, pin, go, back, problem });
        },
      },
      reason
        ? h("label", {}, T("sign.reason"), h("span", { class: "soft" }, ` ${T("sign.reason.hint")}`), reason)
        : null,
      pin ? h("label", {}, T("sign.pin", { name: session.person.name }), pin) : null,
      problem,
      h(
        "div",
        { class: "buttons" },
        go,
        back,
        blind ? null : h("span", { class: "soft" }, T("sign.by", { name: session.person.name })),
      ),
    );
    this.form = form;
    this.body.replaceChildren(
      blind
        ? h("p", {}, T("sign.finish.text"))
        : h(
            "div",
            { class: "two" },
            h("div", {}, fullTable(diff), flagList(diff)),
            h(
              "div",
              {},
              h("h3", {}, changes.length ? T("sign.corrections", { n: changes.length }) : T("sign.nocorrections")),
              correctionList(changes, 56),
              data.notes.length ? h("h3", {}, T("notes.title")) : null,
              data.notes.length ? noteList(data.notes) : null,
            ),
          ),
      form,
    );
    this.body.tabIndex = -1;
    (reason || pin || this.body).focus();
    if (!waits) return;
    setTimeout(() => {
      go.disabled = false;
      if (this.form === form) go.focus();
    }, READ_MS);
  },

  /** Signs what was shown: `data` is the slide of that moment. */
  async send({ data, diff, request, reason, pin, go, back, problem }) {
    if (this.isBusy) return;
    const { key } = data.slide;
    const blind = data.reading === "blind";
    const busy = (is) => {
      this.isBusy = is;
      go.disabled = is;
      back.disabled = is;
    };
    busy(true);
    problem.textContent = T("sign.busy");
    const body = blind
      ? { request, action: "finish" }
      : {
          request,
          entry: data.entry,
          revision: data.revision,
          shown: diff.digest,
          reason: reason ? reason.value.trim() || null : null,
          pin: pin ? pin.value : null,
        };
    for (let pause = 500; ; pause = Math.min(4000, pause * 2)) {
      try {
        const answer = await ask(`/api/slides/${key}/${blind ? "entries" : "sign"}`, body);
        online();
        this.isBusy = false;
        this.done(answer, blind);
        return;
      } catch (error) {
        if (error instanceof TypeError) {
          problem.textContent = T("sign.unknown");
          await later(pause);
        } else if (error instanceof Answer) {
          busy(false);
          this.refused(error, { pin, problem });
          return;
        } else throw error;
      }
    }
  },

  refused(error, { pin, problem }) {
    problem.textContent = error.message;
    if (pin) {
      pin.value = "";
      pin.focus();
    }
    if (error.status !== 409) return;
    // What was shown is no longer what would be signed.
    this.form = null;
    this.fresh = false;
    line("changed", error.message);
    slideScreen.diff = null;
    this.refresh();
  },

  /** Whether the result leaves now, or what is in its way. */
  whatFollows(slide) {
    if (["signed", "final", "corrected"].includes(slide.stage) && !slide.text) return h("p", {}, T("sign.leave"));
    return h("p", { class: "bad", role: "alert" }, T("sign.stays", { text: slide.text || T(`stage.${slide.stage}`) }));
  },

  async done(answer, blind) {
    if (!this.isOpen) {
      // The page was covered meanwhile.
      say(T(blind ? "sign.finished" : "sign.done"));
      if (slideScreen.key && !covered) await slideScreen.reload({ quiet: true });
      return;
    }
    this.result = answer;
    this.form = null;
    let next = null;
    try {
      next =
        sortedSlides((await ask("/api/slides")).slides).todo.find(
          // After the second blind reading this very slide waits for the consensus.
          (slide) => slide.key !== slideScreen.key || slide.stage === "consensus",
        ) || null;
    } catch {
      next = null;
    }
    const signature = answer.signature;
    const on = () => {
      this.result = null;
      this.isOpen = false;
      byId("dialog").onclose = null;
      closeDialog();
      if (next) slideScreen.open(next.key);
      else listScreen.open();
    };
    const go = h(
      "button",
      { type: "button", class: "main", id: "sign-next", onclick: on },
      next
        ? T(next.key === slideScreen.key ? "sign.differ" : "sign.next", { sample: next.sample_id })
        : T("sign.list"),
    );
    // The slide's number is another one now, by this very signature.
    if (slideScreen.key) await slideScreen.reload({ quiet: true });
    sheet.draw();
    this.body.replaceChildren(
      h("p", { class: "good big" }, `✓ ${T(blind ? "sign.finished" : "sign.done")}`),
      blind
        ? ""
        : h(
            "p",
            { class: "record" },
            T("sign.number", { number: signature.number, hash: signature.hash.slice(0, 12) }),
          ),
      blind ? "" : this.whatFollows(answer.slide),
      h("div", { class: "buttons" }, go, blind ? "" : button("top.print", () => window.print(), { class: "quiet" })),
    );
    byId("dialog").className = "";
    byId("dialog-title").textContent = slideScreen.data.slide.sample_id;
    go.focus();
  },
};

function correctionList(cells, side) {
  return h(
    "ul",
    { class: "corrections" },
    cells.map((cell) =>
      h(
        "li",
        {},
        picture(cell.id, side),
        h("span", {}, T("sign.change", { from: called(cell.suggested), to: called(cell.label) })),
      ),
    ),
  );
}

// ---------------------------------------------------------------- the printed sheet

const sheet = {
  draw() {
    const { data, diff } = slideScreen;
    if (state !== "slide" || !data || !diff) {
      byId("sheet").replaceChildren();
      return;
    }
    const { slide, notes, models } = data;
    // Values that were changed since are nobody's signed ones.
    const signature = data.stands && diff.entry === data.entry ? data.signature : null;
    const isFinal = data.stands && diff.entry === data.entry;
    const changes = slideScreen.views.filter((cell) => cell.decided && cell.label !== cell.suggested);
    const abnormal = slideScreen.views.filter((cell) => ABNORMAL.includes(cell.label)).slice(0, 40);
    const tally = new Map();
    for (const cell of changes) {
      const what = T("sign.change", { from: called(cell.suggested), to: called(cell.label) });
      tally.set(what, (tally.get(what) || 0) + 1);
    }
    const names = models.map((model) => `${model.name} ${model.version}`).join(", ");
    byId("sheet").replaceChildren(
      ...[
        h("h1", {}, T("sheet.title")),
        h(
          "p",
          { class: "who" },
          h("strong", {}, T("slide.title", { sample: slide.sample_id })),
          slide.slide_id ? h("span", {}, T("slide.slide", { slide: slide.slide_id })) : "",
          h("span", {}, isFinal ? T("sheet.signed") : T(data.needs_reason ? "sheet.changed" : "sheet.not")),
        ),
        fullTable(diff),
        h("p", { class: "soft" }, T("diff.explain")),
        h("p", { class: "soft" }, T("diff.from", { text: diff.errors_from })),
        flagList(diff),
        h("h2", {}, changes.length ? T("sign.corrections", { n: changes.length }) : T("sign.nocorrections")),
        changes.length ? h("p", {}, [...tally].map(([what, n]) => `${n} × ${what}`).join("; ")) : null,
        notes.length ? h("h2", {}, T("notes.title")) : null,
        notes.length ? noteList(notes) : null,
        signature ? h("p", { class: "signed" }, signed(signature)) : null,
        isFinal && !signature && slide.signed
          ? h("p", { class: "signed" }, T("signed.else", { name: slide.signed.by.name, at: moment(slide.signed.at) }))
          : null,
        h("p", { class: "soft" }, T(isFinal ? "sheet.model" : "sheet.model.open", { models: names })),
        slideScreen.printsImages && abnormal.length ? h("h2", {}, T("sheet.abnormal")) : null,
        slideScreen.printsImages && abnormal.length
          ? h(
              "ul",
              { class: "abnormal" },
              abnormal.map((cell) => h("li", {}, picture(cell.id, 150), h("span", {}, called(cell.label)))),
            )
          : null,
        h(
          "p",
          { class: "soft" },
          T("sheet.printed", { at: moment(Date.now()), name: session.person.name, version: session.version }),
        ),
      ].filter(Boolean),
    );
  },
};

// ---------------------------------------------------------------- list of slides

function driftBadge(slide) {
  const flag = slide.flags.find((one) => one.code === "drift");
  return flag ? h("span", { class: "badge", title: flag.text }, T("drift.badge")) : "";
}

function stageOf(slide) {
  return h(
    "span",
    { class: `stage ${slide.stage}` },
    h(
      "span",
      { class: "sign", "aria-hidden": "true" },
      {
        waiting: "◷",
        held: "■",
        open: "○",
        begun: "◐",
        first: "◑",
        consensus: "⇄",
        signed: "✎",
        final: "●",
        corrected: "◉",
        again: "↻",
      }[slide.stage] || "○",
    ),
    T(`stage.${slide.stage}`),
  );
}

const listScreen = {
  data: null,
  rows: [],
  at: 0,
  unfolded: false,
  typed: "",
  poll: 0,

  async open(since = performance.now()) {
    slideScreen.leave();
    state = "list";
    byId("sheet").replaceChildren();
    if (location.hash) history.pushState(null, "", location.pathname);
    drawTop([h("strong", {}, T("title"))], []);
    hints(T("hint.list"));
    say("");
    try {
      this.data = await ask("/api/slides");
      if (state !== "list") return;
      this.typed = "";
      this.draw();
      this.watch();
      timed("list", since);
    } catch (error) {
      failed(error, () => this.open());
    }
  },

  /** New slides come while the list is open; the chosen one stays chosen. */
  watch() {
    clearInterval(this.poll);
    this.poll = setInterval(async () => {
      if (state !== "list") {
        clearInterval(this.poll);
        return;
      }
      if (document.hidden || covered) return;
      try {
        const data = await ask("/api/slides");
        online();
        line("away");
        if (state !== "list" || JSON.stringify(data) === JSON.stringify(this.data)) return;
        const chosen = this.rows[this.at] ? this.rows[this.at].dataset.key : null;
        this.data = data;
        this.fill(chosen);
      } catch (error) {
        pollFailed(error);
      }
    }, LIST_EVERY_MS);
  },

  draw() {
    const find = h("input", {
      id: "find",
      type: "search",
      placeholder: T("list.hint"),
      "aria-label": T("list.find"),
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => {
        this.typed = find.value.trim();
        this.at = 0;
        this.fill();
      },
    });
    const main = byId("screen");
    main.className = "list";
    main.replaceChildren(h("div", { class: "bar" }, h("h1", {}, T("list.title")), find), h("div", { id: "worklist" }));
    this.at = 0;
    this.fill();
  },

  fill(chosen = null) {
    const found = this.data.slides.filter((slide) => isFound(slide, this.typed));
    const sections = sortedSlides(found);
    const parts = [];
    for (const name of ["todo", "else", "stuck", "done"]) {
      const slides = sections[name];
      if (!slides.length) {
        if (name === "todo" && this.data.slides.length && !this.typed)
          parts.push(h("p", { class: "good" }, `✓ ${T("list.nothing")}`));
        continue;
      }
      // Finished ones are folded away, unless they are looked for.
      const table = this.table(slides, T(`list.${name}`));
      parts.push(
        name === "done" && !this.typed
          ? h(
              "details",
              {
                open: this.unfolded,
                ontoggle: (event) => {
                  this.unfolded = event.target.open;
                  this.gather();
                },
              },
              h("summary", {}, T(`list.${name}`), " ", h("span", { class: "soft" }, T("slides", { n: slides.length }))),
              table,
            )
          : h(
              "section",
              {},
              h("h2", {}, T(`list.${name}`), " ", h("span", { class: "soft" }, T("slides", { n: slides.length }))),
              table,
            ),
      );
    }
    if (!this.data.slides.length) parts.push(h("p", {}, T("list.empty")));
    else if (!found.length) parts.push(h("p", {}, T("list.nofound")));
    if (this.data.unidentified.length) {
      parts.push(
        h(
          "section",
          {},
          h("h2", {}, T("list.unidentified")),
          h(
            "ul",
            { class: "plain" },
            this.data.unidentified.map((one) =>
              h(
                "li",
                {},
                T("list.folder", { folder: one.folder, images: T("images", { n: one.images }), reason: one.reason }),
              ),
            ),
          ),
        ),
      );
    }
    if (this.data.notes.length)
      parts.push(
        h(
          "ul",
          { class: "plain soft" },
          this.data.notes.map((note) => h("li", {}, note)),
        ),
      );
    byId("worklist").replaceChildren(...parts);
    this.gather();
    const again = this.rows.findIndex((row) => row.dataset.key === chosen);
    this.choose(
      again >= 0 ? again : Math.min(this.at, this.rows.length - 1),
      document.activeElement !== byId("find") && !byId("dialog").open,
    );
  },

  /** The rows that arrows walk: not those that are folded away. */
  gather() {
    const chosen = this.rows[this.at];
    this.rows = [...byId("worklist").querySelectorAll("tr[data-key]")].filter(
      (row) => !row.closest("details:not([open])"),
    );
    if (this.rows.includes(chosen)) this.at = this.rows.indexOf(chosen);
    else if (this.rows.length) this.choose(Math.min(this.at, this.rows.length - 1), false);
  },

  table(slides, title) {
    const columns = [
      "stage",
      "sample",
      "slide",
      "cells",
      "open",
      "unidentified",
      "unfamiliar",
      "flags",
      "age",
      "signed",
    ];
    const numbers = ["cells", "open", "unidentified", "unfamiliar"];
    return h(
      "table",
      { class: "slides", role: "grid", "aria-label": title },
      h(
        "colgroup",
        {},
        columns.map((name) => h("col", { class: `c-${name}` })),
      ),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((name) =>
            h("th", { scope: "col", class: `${name}${numbers.includes(name) ? " number" : ""}` }, T(`col.${name}`)),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        slides.map((slide) => this.row(slide)),
      ),
    );
  },

  row(slide) {
    const [age, n] = ageOf(slide.newest, Date.now());
    const number = (value, name) =>
      h("td", { class: `number ${value && name ? name : ""}` }, value ? String(value) : "·");
    const words = [
      slide.text,
      ...slide.flags.map((flag) => `⚑ ${flag.text}`),
      slide.rejected ? T("images", { n: slide.rejected }) + ` ${T("col.rejected").toLowerCase()}` : "",
    ].filter(Boolean);
    // A rejected image is a flag as well: told once.
    if (slide.flags.some((flag) => flag.code === "rejected_images"))
      words.splice(words.length - 1, slide.rejected ? 1 : 0);
    const row = h(
      "tr",
      {
        tabindex: "-1",
        "aria-label": T("list.row", {
          sample: [slide.sample_id, slide.slide_id].filter(Boolean).join(", "),
          stage: T(`stage.${slide.stage}`),
          open: T("group.open", { n: slide.open }),
        }),
        "data-key": slide.key,
        onclick: () => slideScreen.open(slide.key),
        onfocus: () => this.choose(this.rows.indexOf(row), false),
      },
      h("td", {}, stageOf(slide), driftBadge(slide)),
      h("th", { scope: "row", class: "id" }, slide.sample_id),
      h("td", { class: "id" }, slide.slide_id || ""),
      number(slide.cells),
      number(slide.open, "strong"),
      number(slide.unidentified, "warn"),
      number(slide.unfamiliar, "warn"),
      h(
        "td",
        { class: "flags" },
        words.map((word) => h("div", {}, word)),
      ),
      h("td", {}, T(age, { n })),
      h("td", {}, slide.signed ? slide.signed.by.name : ""),
    );
    return row;
  },

  choose(at, steal = true) {
    for (const row of this.rows) {
      row.classList.remove("chosen");
      row.tabIndex = -1;
      row.removeAttribute("aria-current");
    }
    this.at = at;
    const row = this.rows[at];
    if (!row) return;
    row.classList.add("chosen");
    row.tabIndex = 0;
    row.setAttribute("aria-current", "true");
    if (steal) row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  },

  key(event) {
    const find = byId("find");
    const typing = document.activeElement === find;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e6, End: 1e6 };
    if (event.key in steps && !(typing && ["Home", "End"].includes(event.key))) {
      this.choose(Math.max(0, Math.min(this.rows.length - 1, this.at + steps[event.key])), !typing);
    } else if (event.key === "Enter") {
      const row =
        document.activeElement && document.activeElement.closest
          ? document.activeElement.closest("tr[data-key]")
          : null;
      const chosen = row || this.rows[this.at];
      if (chosen) slideScreen.open(chosen.dataset.key, event.timeStamp);
    } else if (event.key === "Escape" && find.value) {
      find.value = "";
      this.typed = "";
      this.fill();
      this.choose(0);
    } else if (event.key === "?" && !typing) keysDialog();
    else if (!typing && event.key.length === 1 && event.key !== " ") {
      find.focus();
      return;
    } else return;
    event.preventDefault();
  },
};

// ---------------------------------------------------------------- signing in, cover, keys

function drawTop(left, right) {
  const theme = () => {
    const next = { auto: "light", light: "dark", dark: "auto" }[kept.get("theme") || "auto"];
    kept.set("theme", next);
    setTheme();
    drawn.textContent = T("top.theme", { theme: T(`theme.${next}`) });
  };
  const drawn = h(
    "button",
    { type: "button", class: "quiet", onclick: theme, id: "theme" },
    T("top.theme", { theme: T(`theme.${kept.get("theme") || "auto"}`) }),
  );
  const person =
    session && session.person
      ? h("span", { class: "soft", title: T("top.person", { name: session.person.name }) }, session.person.name)
      : null;
  const leaves =
    session && session.person && session.needs_pin ? button("top.leave", () => signOut(), { class: "quiet" }) : null;
  const printed = state === "slide" ? button("top.print", () => printDialog(), { class: "quiet" }) : null;
  byId("top").replaceChildren(
    h("div", { class: "left" }, left),
    h(
      "div",
      { class: "right" },
      [...right, printed, button("top.keys", () => keysDialog(), { class: "quiet" }), drawn, person, leaves].filter(
        Boolean,
      ),
    ),
  );
}

function setTheme() {
  const theme = kept.get("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

function printDialog() {
  const box = h("input", { type: "checkbox", id: "sheet-images" });
  box.checked = slideScreen.printsImages;
  box.addEventListener("change", () => {
    slideScreen.printsImages = box.checked;
    sheet.draw();
  });
  openDialog(T("top.print"), [
    h("label", { class: "check" }, box, T("sheet.images")),
    h(
      "div",
      { class: "buttons" },
      h(
        "button",
        {
          type: "button",
          class: "main",
          onclick: () => {
            closeDialog();
            window.print();
          },
        },
        T("top.print"),
      ),
      closer(),
    ),
  ]);
}

function keysDialog() {
  const rows = [
    ["keys.move", "keys.move.text"],
    ["keys.select", "keys.select.text"],
    ["keys.enter", "keys.enter.text"],
  ].map(([key, text]) => [T(key), T(text)]);
  for (const [key, label] of Object.entries(LABEL_KEYS)) rows.push([key, called(label)]);
  for (const key of ["u", "c"]) rows.push([key, T(`keys.${key}.text`)]);
  rows.push([T("keys.size"), T("keys.size.text")]);
  const isBlind = state === "slide" && slideScreen.data && slideScreen.data.reading === "blind";
  for (const key of ["1", "d", "t"]) rows.push([key, T(`keys.${key}.text`)]);
  rows.push(["s", T(isBlind ? "slide.finish" : "keys.s.text")], ["g", T("keys.g.text")]);
  rows.push(
    [T("keys.jk"), T("keys.jk.text")],
    [T("keys.print"), T("keys.print.text")],
    [T("keys.escape"), T("keys.escape.text")],
    ["?", T("keys.help.text")],
  );
  openDialog(
    T("keys.title"),
    [
      h(
        "dl",
        { class: "keys" },
        rows.map(([key, text]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text))),
      ),
      closer(),
    ],
    { wide: true },
  );
}

const loginScreen = {
  open() {
    state = "login";
    slideScreen.leave();
    drawTop([h("strong", {}, T("title"))], []);
    hints("");
    say("");
    const main = byId("screen");
    main.className = "login";
    main.replaceChildren(
      h("h1", {}, T("login.title")),
      this.form((answer) => {
        session = answer;
        begin();
      }),
    );
    main.querySelector("select, input").focus();
  },

  /** Asks who it is and the PIN; calls `then` with the session. */
  form(then, person = null) {
    const who = h(
      "select",
      { id: "person", "aria-label": T("login.person"), size: Math.max(2, Math.min(12, session.people.length)) },
      session.people.map((one) => h("option", { value: one.id }, one.name)),
    );
    who.value = person || kept.get("person") || "";
    if (who.selectedIndex < 0) who.selectedIndex = 0;
    const pin = h("input", { id: "login-pin", type: "password", autocomplete: "off", required: true });
    const go = h("button", { class: "main" }, T("login.enter"));
    const problem = h("p", { class: "bad sentence", role: "alert" });
    who.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        pin.focus();
      }
    });
    const submit = async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        const answer = await ask("/api/login", { person: who.value, pin: pin.value });
        then(answer);
      } catch (error) {
        pin.value = "";
        problem.textContent = error instanceof Answer ? error.message : T("line.offline");
        if (!(error instanceof Answer || error instanceof TypeError)) throw error;
      }
      go.disabled = false;
      pin.focus();
    };
    return h(
      "form",
      { onsubmit: submit },
      h("label", {}, T("login.person"), who),
      h("label", {}, T("login.pin"), pin),
      problem,
      h("div", { class: "buttons" }, go),
      h("p", { class: "soft" }, T("login.hint")),
    );
  },
};

async function signOut() {
  try {
    session = await ask("/api/logout", {});
  } catch (error) {
    failed(error, signOut);
    return;
  }
  slideScreen.leave();
  if (location.hash) history.pushState(null, "", location.pathname);
  begin();
}

/** Covers the page: nothing of a patient is to be seen until the same or another person is back. */
async function cover(why) {
  if (covered) {
    if (covered === why || covered === "enter" || why === "idle") return;
  }
  if (state === "start" || (state === "login" && why === "person")) return;
  const before = me() || lastPerson;
  covered = why;
  closeDialog();
  signDialog.isOpen = false;
  signDialog.form = null;
  byId("top").hidden = true;
  byId("screen").hidden = true;
  byId("foot").hidden = true;
  byId("lines").hidden = true;
  byId("sheet").replaceChildren();
  const place = byId("cover");
  place.hidden = false;
  const n = outgoing.mine().length;
  const pending = n ? h("p", { class: "bad" }, T("lock.pending", { n })) : null;
  looks.restart();
  if (why === "enter") {
    enterAgain(place, pending);
    return;
  }
  if (why === "idle" && session.needs_pin) {
    // What is on its way goes out first: the program forgets the person with the answer.
    try {
      await ask("/api/logout", {});
    } catch (error) {
      if (!(error instanceof Answer || error instanceof TypeError)) throw error;
    }
  }
  if (session.needs_pin) {
    place.replaceChildren(
      ...[
        h("h1", {}, T("lock.title")),
        h("p", {}, T("lock.text")),
        pending,
        loginScreen.form((answer) => {
          session = answer;
          uncover(before);
        }, before),
      ].filter(Boolean),
    );
    place.querySelector("input").focus();
  } else {
    const go = h("button", { type: "button", class: "main", onclick: () => uncover(before) }, T("lock.system"));
    place.replaceChildren(...[h("h1", {}, T("lock.title")), h("p", {}, T("lock.text")), pending, go].filter(Boolean));
    go.focus();
  }
}

/** The program was started anew: its address is needed; this tab goes on once any tab gave it. */
function enterAgain(place, pending) {
  const field = h("input", { id: "address", type: "text", autocomplete: "off", spellcheck: "false" });
  const problem = h("p", { class: "bad", role: "alert" });
  const before = me() || lastPerson;
  const again = async () => {
    try {
      const answer = await fetch("/api/session", { credentials: "same-origin", cache: "no-store" });
      if (!answer.ok) return false;
      session = await answer.json();
    } catch {
      return false;
    }
    clearInterval(timer);
    covered = null;
    if (session.person) uncover(before);
    else {
      covered = null;
      state = state === "login" ? "slide" : state;
      await cover("person");
    }
    return true;
  };
  const timer = setInterval(again, 2000);
  const submit = async (event) => {
    event.preventDefault();
    const token = (field.value.match(/token=([^&#\s]+)/) || [null, field.value.trim()])[1];
    try {
      await fetch(`/enter?token=${encodeURIComponent(token)}`, {
        credentials: "same-origin",
        cache: "no-store",
        redirect: "manual",
      });
    } catch {
      /* asked again below */
    }
    if (!(await again())) problem.textContent = T("enter.wrong");
  };
  place.replaceChildren(
    ...[
      h("h1", {}, T("enter.title")),
      pending,
      h(
        "form",
        { onsubmit: submit },
        h("p", {}, T("enter.text")),
        h("label", {}, T("enter.field"), field),
        problem,
        h("div", { class: "buttons" }, h("button", { class: "main" }, T("enter.go"))),
      ),
    ].filter(Boolean),
  );
  field.focus();
}

async function uncover(before) {
  covered = null;
  lastUse = clocks();
  byId("cover").hidden = true;
  byId("cover").replaceChildren();
  byId("top").hidden = false;
  byId("screen").hidden = false;
  byId("foot").hidden = false;
  byId("lines").hidden = false;
  outgoing.stopped = false;
  if (before !== null && me() !== before) {
    slideScreen.leave();
    begin();
    return;
  }
  others();
  if (state === "slide" && slideScreen.key) {
    // Anything may have happened meanwhile; what is pending is laid over it and sent.
    await slideScreen.reload({ quiet: true });
    backToCells();
    looks.restart();
    outgoing.show();
    outgoing.send();
    loader.retry();
  } else begin();
}

// By two clocks: that of performance.now() stands while the machine sleeps, that of the wall is set.
const clocks = () => [Date.now(), performance.now()];
let lastUse = [0, 0]; // of keys or the mouse
let lastTold = 0; // to the program, which forgets the person otherwise

function isIdle() {
  const away = Math.max(...clocks().map((now, at) => now - lastUse[at]));
  return session && session.person && !covered && away > session.idle_min * 60000;
}

/** A key or the mouse was used: the program must know, as looking alone records nothing. */
function used() {
  // Before it counts as used: the machine may have slept since.
  if (isIdle()) {
    cover("idle");
    return;
  }
  lastUse = clocks();
  if (lastUse[1] - lastTold < 30000 || !session || !session.person || covered) return;
  [, lastTold] = lastUse;
  // An answer is not needed: without one, the next request tells what is wrong.
  ask("/api/here", {}).catch(() => {
    lastTold = 0;
  });
}

function watchIdle() {
  lastUse = clocks();
  for (const kind of ["keydown", "pointerdown", "pointermove", "wheel"]) {
    document.addEventListener(kind, used, { passive: true, capture: true });
  }
  setInterval(() => {
    if (isIdle()) cover("idle");
  }, 5000);
}

// ---------------------------------------------------------------- keys

function onKey(event) {
  // A key that is held down must not press one button after the other, the last of them "Sign".
  if (event.repeat && event.key === "Enter") {
    event.preventDefault();
    return;
  }
  if (covered || byId("dialog").open || event.defaultPrevented) return;
  const inField = event.target.closest && event.target.closest("input, textarea, select");
  // A pressed button does what it says; other keys are for the cells and the slides.
  const onButton = event.target.closest && event.target.closest("button, a, summary");
  const presses = onButton && (event.key === "Enter" || event.key === " ");
  if (state === "list") {
    if (!presses && (!inField || inField.id === "find")) listScreen.key(event);
    return;
  }
  if (state !== "slide" || !slideScreen.group || inField || presses) return;
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  act(action, event);
}

function act(action, event) {
  const since = event.timeStamp;
  const s = slideScreen;
  switch (action.name) {
    case "move":
      s.move(action.to, action.select);
      break;
    case "label":
      if (!event.repeat) s.label(action.label, since);
      break;
    // A key that is held down decides once.
    case "enter":
      if (!event.repeat) s.enterKey(since);
      break;
    case "toggle":
      if (s.focusId) s.toggle(s.focusId);
      break;
    case "all":
      s.select([...s.ids], s.focusId);
      break;
    case "clear":
      s.select([], s.focusId);
      break;
    case "undo":
      if (!event.repeat) s.undo(since);
      break;
    case "compare":
      focusPanel.compare(true);
      break;
    case "larger":
      s.resizeBy(1);
      break;
    case "smaller":
      s.resizeBy(-1);
      break;
    case "fit":
      s.resizeBy(0);
      break;
    case "big":
      bigView();
      break;
    case "differential":
      differentialPanel.large();
      break;
    case "note":
      notesPanel.write();
      break;
    case "sign":
      signDialog.open();
      break;
    case "list":
      listScreen.open();
      break;
    case "next":
      s.step(1);
      break;
    case "previous":
      s.step(-1);
      break;
    case "keys":
      keysDialog();
      break;
    default:
      throw new Error(`no action ${action.name}`);
  }
}

// ---------------------------------------------------------------- start

function begin() {
  others();
  if (!session.person) {
    loginScreen.open();
    return;
  }
  kept.set("person", session.person.id);
  const key = location.hash.slice(1);
  if (/^[0-9A-Fa-f]{20}$/.test(key)) slideScreen.open(key);
  else listScreen.open(0);
  outgoing.show();
  outgoing.send();
}

/** Tells of decisions that another person left in this tab. */
function others() {
  lastPerson = me() || lastPerson;
  const left = outgoing.items.filter((item) => item.person !== me());
  if (!session.person || !left.length) {
    line("others");
    return;
  }
  line("others", T("lock.other", { n: left.length, name: left[0].name }), {
    label: T("discard"),
    closes: false,
    act: () => {
      outgoing.items = outgoing.items.filter((item) => item.person === me());
      outgoing.keep();
      line("others");
    },
  });
}

async function start() {
  setTheme();
  outgoing.start();
  window.reviewTimings = timings;
  document.addEventListener("keydown", onKey);
  window.addEventListener("beforeunload", (event) => {
    if (outgoing.items.length) {
      event.preventDefault();
      event.returnValue = T("leave");
    }
  });
  window.addEventListener("beforeprint", () => sheet.draw());
  // What is not printed loses the focus.
  window.addEventListener("afterprint", () => {
    const main = byId("dialog").querySelector(".main");
    if (main) main.focus();
    else backToCells();
  });
  window.addEventListener("popstate", () => {
    if (signDialog.isBusy) history.pushState(null, "", `#${slideScreen.key}`);
    else if (session && session.person && !covered) begin();
  });
  window.addEventListener("online", () => outgoing.send());
  window.addEventListener("resize", () => {
    if (state === "slide" && slideScreen.group) slideScreen.resize();
  });
  await connect();
}

async function connect() {
  try {
    TEXTS = Object.keys(TEXTS).length ? TEXTS : await ask("/texts.json");
    document.title = T("title");
    session = await ask("/api/session");
    online();
  } catch (error) {
    if (error instanceof Answer && (error.status === 401 || error.status === 403)) {
      state = "list";
      cover("enter");
      return;
    }
    failed(error, connect);
    return;
  }
  watchIdle();
  begin();
}

if (typeof module !== "undefined") {
  module.exports = {
    LABEL_KEYS,
    TILE,
    actionOf,
    ageOf,
    byCertainty,
    changedCells,
    differs,
    fittedSide,
    formatted,
    groupsOf,
    isFound,
    labelChoices,
    latinOf,
    layout,
    nextOpenCell,
    nextOpenGroup,
    percentOf,
    planEnter,
    runnersUp,
    sectionOf,
    sortedSlides,
    viewed,
    zoomOf,
  };
} else start();

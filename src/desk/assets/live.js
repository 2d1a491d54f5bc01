// Keeps a page up to date: loads it again after each event of its stream, and changes only what is different.
// @ts-check

const GAP = 250; // ms between two loads of the page: the first event of a burst is shown at once, the others together
const TYPING = 150; // ms after the last letter of a search
const FRESH = 1500; // ms for which a question that appears under the reader's hand can't be answered
const TICK = 15_000; // ms between two updates of relative times ("5m ago")

/** @type {EventSource | undefined} */
let stream;
/** @type {number | undefined} */
let refreshing;
let isAgain = false;
let loaded = Date.now(); // when the page was last loaded, in ms since 1970
// What the server's clock is ahead of this one, in ms: times are counted with the server's.
const ahead = Number(document.body.dataset.now) - Date.now() || 0;
const now = () => Date.now() + ahead;

const source = document.body.dataset.stream;

// Browsers open at most six connections to a server, shared by all tabs, so a hidden tab closes its own.
function connect() {
  if (!source || stream || document.hidden) return;
  stream = new EventSource(source);
  stream.onopen = () => {
    lost(false);
  };
  stream.onerror = () => {
    lost(true);
    // The server did not answer with a stream, so the browser does not reconnect by itself.
    if (stream?.readyState === EventSource.CLOSED) {
      disconnect();
      // It may be the login that has ended, which the page itself tells.
      later();
      setTimeout(connect, 2000 + Math.random() * 3000);
    }
  };
  for (const name of ["event", "changed", "reset"]) stream.addEventListener(name, later);
}

function disconnect() {
  stream?.close();
  stream = undefined;
}

/** @param {boolean} is */
function lost(is) {
  const banner = document.getElementById("lost");
  if (banner) banner.hidden = !is;
}

/** @param {boolean} is whether the server answers with its login page */
function ended(is) {
  const banner = document.getElementById("ended");
  if (banner) banner.hidden = !is;
  if (is) lost(false);
}

/** @param {Document} page */
const isLogin = (page) => page.querySelector('form[action="/login"]') !== null;

function later() {
  if (refreshing !== undefined) {
    isAgain = true;
    return;
  }
  refreshing = setTimeout(refresh, Math.max(0, loaded + GAP - Date.now()));
}

function refresh() {
  const address = location.href;
  const then = (/** @type {Document | null} */ page) => {
    refreshing = undefined;
    loaded = Date.now();
    // Another part of the page was selected meanwhile.
    if (location.href !== address) isAgain = true;
    else if (page) show(page);
    if (!source) lost(!page);
    if (isAgain) {
      isAgain = false;
      later();
    }
  };
  get(address, then, undefined, true);
}

/**
 * @param {Document} page
 * @param {boolean=} isOther whether the reader went to it: then its fields have the values of its address
 */
function show(page, isOther) {
  // What is typed stays until the person has logged in again.
  ended(isLogin(page));
  if (isLogin(page)) return;
  const [mine, theirs] = [document.getElementById("main"), page.getElementById("main")];
  if (!mine || !theirs) return;
  const followed = logs().filter(isAtEnd);
  const known = new Set(questions().map(({ id }) => id));
  announce(mine.dataset.summary, theirs.dataset.summary);
  morph(mine, theirs, isOther);
  hold(known);
  followed.forEach(toEnd);
  document.title = page.title;
  tick();
}

const questions = () => [...document.querySelectorAll("section.ask[id]")];

/** @type {Set<string>} the ids of the questions that can't be answered yet */
const held = new Set();

/**
 * Disables the buttons of new questions for a moment: a click may have been meant for what was there before.
 * @param {Set<string>} known the ids of the questions that were there before
 */
function hold(known) {
  for (const { id } of questions()) {
    if (known.has(id)) continue;
    held.add(id);
    setTimeout(() => {
      held.delete(id);
      enable(id, true);
    }, FRESH);
  }
  for (const id of held) enable(id, false);
}

/** @param {string} id @param {boolean} is */
function enable(id, is) {
  for (const button of document.getElementById(id)?.querySelectorAll("button:not([hidden])") ?? []) {
    /** @type {HTMLButtonElement} */ (button).disabled = !is;
  }
}

/**
 * Loads a page of this server as a document. XMLHttpRequest is used because its documents run no scripts, and Trusted Types allow it.
 * @param {string} address
 * @param {(page: Document | null) => void} then
 * @param {FormData=} form
 * @param {boolean=} isUpdate whether the page asks by itself, which does not count as use of the session
 */
function get(address, then, form, isUpdate) {
  const request = new XMLHttpRequest();
  request.open(form ? "POST" : "GET", address);
  request.responseType = "document";
  if (isUpdate) request.setRequestHeader("X-Windlass-Update", "1");
  // An update shows no page of a server that is busy or broken.
  const isNone = () => isUpdate && (request.status === 429 || request.status >= 500);
  request.onload = () => then(isNone() ? null : request.responseXML);
  request.onerror = () => then(null);
  const body = form && new URLSearchParams(/** @type {any} */ (form));
  request.send(body);
}

/**
 * Announces a change to screen readers.
 * @param {string=} before @param {string=} now
 */
function announce(before, now) {
  const line = document.getElementById("announce");
  if (line && now && before !== now) line.textContent = now;
}

/**
 * Makes `old` equal to `now`, but keeps focus, scroll positions, typed text and opened details.
 * @param {Element} old @param {Element} now @param {boolean=} sets whether fields get the values of `now`
 */
function morph(old, now, sets) {
  if (!sets && old.isEqualNode(now)) return;
  for (const { name } of [...old.attributes]) {
    // Opened details stay open. A style was set by a script, because the server's pages have none.
    const isKept = (name === "open" && old.tagName === "DETAILS") || name === "style";
    if (!isKept && !now.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...now.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  // Typed text stays.
  if (old instanceof HTMLInputElement || old instanceof HTMLTextAreaElement || old instanceof HTMLSelectElement) {
    if (sets) fill(old, now);
    return;
  }
  const named = new Map();
  for (const child of old.children) if (child.id) named.set(child.id, child);
  let at = old.firstChild;
  for (const next of [...now.childNodes]) {
    const id = next instanceof Element ? next.id : "";
    const known = id ? named.get(id) : undefined;
    if (known && known !== at) old.insertBefore(known, at);
    const current = known ?? at;
    const fits =
      current &&
      current.nodeType === next.nodeType &&
      current.nodeName === next.nodeName &&
      (known || !(current instanceof Element && current.id && current.id !== id));
    if (!fits) {
      old.insertBefore(document.importNode(next, true), at);
      continue;
    }
    if (current instanceof Element) morph(current, /** @type {Element} */ (next), sets);
    else if (current.nodeValue !== next.nodeValue) current.nodeValue = next.nodeValue;
    at = current.nextSibling;
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

/** @param {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} field @param {Element} now */
function fill(field, now) {
  // Only what filters: a comment, or the answer to a question, is not of the address.
  if (field.form?.method !== "get") return;
  if (field instanceof HTMLInputElement && ["checkbox", "radio"].includes(field.type)) field.checked = now.hasAttribute("checked");
  else if (field instanceof HTMLInputElement) field.value = now.getAttribute("value") ?? "";
  else if (field instanceof HTMLTextAreaElement) field.value = now.textContent ?? "";
  else {
    const chosen = /** @type {HTMLOptionElement | null} */ (now.querySelector("option[selected]"));
    field.value = chosen?.value ?? field.options[0]?.value ?? "";
  }
}

// A log scrolls along with new lines unless the reader has scrolled away from its end.
const logs = () => [...document.querySelectorAll("pre.log")];
/** @param {Element} log */
const isAtEnd = (log) => log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
/** @param {Element} log */
const toEnd = (log) => log.scrollTo(log.scrollLeft, log.scrollHeight);

// Updates relative times, in the format of the server (`format::ago`).
function tick() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const seconds = Math.trunc((now() - Number(/** @type {HTMLElement} */ (time).dataset.at)) / 1000);
    const n = Math.abs(seconds);
    const size = n < 60 ? `${n}s` : n < 3600 ? `${Math.trunc(n / 60)}m` : n < 86400 ? `${Math.trunc(n / 3600)}h` : `${Math.trunc(n / 86400)}d`;
    const text = seconds >= 0 ? `${size} ago` : `in ${size}`;
    if (time.textContent !== text) time.textContent = text;
  }
  for (const length of document.querySelectorAll("[data-since]")) {
    const ms = now() - Number(/** @type {HTMLElement} */ (length).dataset.since);
    const text = lengthOf(Math.max(0, Math.trunc(ms / 1000)));
    if (ms >= 1000 && length.textContent !== text) length.textContent = text;
  }
}

/** @param {number} s a length of time in seconds, as the pages show it */
function lengthOf(s) {
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.trunc(s / 60)}m ${s % 60}s`;
  if (s < 86400) return `${Math.trunc(s / 3600)}h ${Math.trunc((s % 3600) / 60)}m`;
  return `${Math.trunc(s / 86400)}d ${Math.trunc((s % 86400) / 3600)}h`;
}

// Shows the plan below the form without loading a new page, so that typed text stays, secrets included.
document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
  if (form.id !== "sheet" || button?.value !== "plan") {
    // Prevents a second submit.
    if (form.method === "post") setTimeout(() => button?.setAttribute("disabled", ""), 0);
    return;
  }
  event.preventDefault();
  const fields = new FormData(form);
  fields.set("do", "plan");
  button.setAttribute("disabled", "");
  get(
    form.action,
    (page) => {
      button.removeAttribute("disabled");
      if (!page || isLogin(page)) {
        const line = document.createElement("p");
        line.className = "trouble";
        line.setAttribute("role", "alert");
        line.textContent = page
          ? "Your login has ended. Log in in another tab, then show the plan again."
          : "The server does not answer. Nothing is lost: show the plan again later.";
        document.getElementById("plan")?.replaceChildren(line);
        return;
      }
      if (!page.querySelector("#plan")) {
        // A refusal, such as the mistakes of a file: nothing of an earlier plan holds.
        const said = [...(page.getElementById("main")?.childNodes ?? [])].map((node) => document.importNode(node, true));
        document.getElementById("plan")?.replaceChildren(...said);
        for (const old of form.querySelectorAll("button[value=start], button[value=resume]")) old.setAttribute("disabled", "");
        return;
      }
      for (const part of ["#plan", "#sheet .answers"]) {
        const [mine, theirs] = [document.querySelector(part), page.querySelector(part)];
        if (mine && theirs) morph(mine, theirs);
      }
      document.getElementById("plan")?.scrollIntoView({ behavior: "smooth", block: "nearest" });
    },
    fields,
  );
});

// A plan is shown for what the form says, so a change disables the button that carries it out until the plan is shown again.
for (const type of ["input", "change"]) {
  document.addEventListener(type, (event) => {
    const form = event.target instanceof Element ? event.target.closest("form#sheet") : null;
    for (const button of form?.querySelectorAll("button[value=start], button[value=resume]") ?? []) {
      button.setAttribute("disabled", "");
      button.setAttribute("title", "The form has changed: show the plan again");
    }
  });
}

// A field of one line drops line ends, so it becomes a field of several lines if some are pasted into it.
document.addEventListener("paste", (event) => {
  const field = event.target;
  if (!(field instanceof HTMLInputElement) || field.type !== "text" || !field.closest("#sheet .field")) return;
  const text = event.clipboardData?.getData("text/plain") ?? "";
  if (!/[\r\n]/.test(text.trimEnd())) return;
  event.preventDefault();
  const area = document.createElement("textarea");
  for (const name of ["id", "name", "aria-describedby", "required"]) {
    const value = field.getAttribute(name);
    if (value !== null) area.setAttribute(name, value);
  }
  area.rows = 6;
  area.spellcheck = false;
  area.value = field.value;
  const [start, end] = [field.selectionStart ?? 0, field.selectionEnd ?? 0];
  field.replaceWith(area);
  area.focus();
  area.setRangeText(text, start, end, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
});

// A link to the same page with another query (a step, a group, other lines) changes only what is different.
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  const isOther = event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  if (!link || isOther || link.hasAttribute("download")) return;
  const to = new URL(link.getAttribute("href") ?? "", location.href);
  if (to.origin !== location.origin || to.pathname !== location.pathname || to.search === location.search) return;
  event.preventDefault();
  history.pushState(null, "", to);
  look(to);
});
addEventListener("popstate", () => look(new URL(location.href)));

/** @param {URL} to @param {boolean=} stays */
function look(to, stays) {
  get(to.href, (page) => {
    if (!page) return location.assign(to);
    if (to.href !== location.href) return; // the reader has followed another link since
    show(page, !stays);
    const target = document.getElementById(decodeURIComponent(to.hash.slice(1)));
    if (stays || !target) return;
    target.scrollIntoView({ block: "nearest" });
    const heading = target.querySelector("h2");
    if (heading) announce("", heading.textContent ?? "");
  });
}

// A search shows its results while the reader types.
/** @type {number | undefined} */
let typing;
document.addEventListener("input", (event) => {
  const form = event.target instanceof Element ? event.target.closest("form[data-live]") : null;
  if (!form) return;
  clearTimeout(typing);
  typing = setTimeout(search, TYPING, form);
});
document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.matches("[data-live]")) return;
  event.preventDefault();
  search(form);
});

/** @param {HTMLFormElement} form */
function search(form) {
  const to = new URL(form.action);
  const fields = [...new FormData(form)].filter(([, value]) => value);
  to.search = new URLSearchParams(/** @type {any} */ (fields)).toString();
  history.replaceState(null, "", to);
  look(to, true);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return disconnect();
  // Loads what has changed since.
  if (source && !stream) later();
  connect();
});
addEventListener("pagehide", disconnect);
setInterval(tick, TICK);
// Some pages change without an event of a run, so they are also loaded at intervals.
setInterval(() => {
  const every = Number(document.querySelector("[data-every]")?.getAttribute("data-every"));
  if (every && !document.hidden && refreshing === undefined && Date.now() - loaded >= every) later();
}, 1000);
connect();
tick();
logs().forEach(toEnd);

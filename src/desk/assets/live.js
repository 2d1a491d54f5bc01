// Keeps a page up to date: looks at it again after each event of its stream, and changes only what is different.
// @ts-check

const GAP = 250; // ms between two looks at the page: the first event of a burst is shown at once, the others together
const TYPING = 150; // ms after the last letter of a search
const TICK = 15_000; // ms between two looks at the clock

/** @type {EventSource | undefined} */
let stream;
/** @type {number | undefined} */
let refreshing;
let isAgain = false;
let looked = 0; // when, in ms since 1970

const source = document.body.dataset.stream;

// Browsers open six connections to a server over all tabs: a hidden tab gives its own back.
function connect() {
  if (!source || stream || document.hidden) return;
  stream = new EventSource(source);
  stream.onopen = () => {
    lost(false);
  };
  stream.onerror = () => {
    lost(true);
    // The browser has given up: the server answered with something else.
    if (stream?.readyState === EventSource.CLOSED) {
      disconnect();
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

function later() {
  if (refreshing !== undefined) {
    isAgain = true;
    return;
  }
  refreshing = setTimeout(refresh, Math.max(0, looked + GAP - Date.now()));
}

function refresh() {
  get(location.href, (page) => {
    refreshing = undefined;
    looked = Date.now();
    if (page) show(page);
    if (!source) lost(!page);
    if (isAgain) {
      isAgain = false;
      later();
    }
  });
}

/** @param {Document} page */
function show(page) {
  const [mine, theirs] = [document.getElementById("main"), page.getElementById("main")];
  if (!mine || !theirs) return;
  const followed = logs().filter(isAtEnd);
  announce(mine.dataset.summary, theirs.dataset.summary);
  morph(mine, theirs);
  followed.forEach(toEnd);
  document.title = page.title;
  tick();
}

/**
 * Reads a page of ours. A document of XMLHttpRequest runs no scripts and is no sink of Trusted Types.
 * @param {string} address
 * @param {(page: Document | null) => void} then
 * @param {FormData=} form
 */
function get(address, then, form) {
  const request = new XMLHttpRequest();
  request.open(form ? "POST" : "GET", address);
  request.responseType = "document";
  request.onload = () => then(request.responseXML);
  request.onerror = () => then(null);
  const body = form && new URLSearchParams(/** @type {any} */ (form));
  request.send(body);
}

/**
 * One line for those who can't see what changed.
 * @param {string=} before @param {string=} now
 */
function announce(before, now) {
  const line = document.getElementById("announce");
  if (line && now && before !== now) line.textContent = now;
}

/**
 * Makes `old` equal to `now`, and keeps what is the same: focus, scroll positions, what is typed or unfolded.
 * @param {Element} old @param {Element} now
 */
function morph(old, now) {
  if (old.isEqualNode(now)) return;
  for (const { name } of [...old.attributes]) {
    // What somebody unfolded stays so; a style is of a script, as no page of ours has one.
    const isKept = (name === "open" && old.tagName === "DETAILS") || name === "style";
    if (!isKept && !now.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...now.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  // What somebody is typing stays.
  if (old instanceof HTMLInputElement || old instanceof HTMLTextAreaElement || old instanceof HTMLSelectElement) return;
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
    if (current instanceof Element) morph(current, /** @type {Element} */ (next));
    else if (current.nodeValue !== next.nodeValue) current.nodeValue = next.nodeValue;
    at = current.nextSibling;
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// A log is followed by who has not scrolled away from its end.
const logs = () => [...document.querySelectorAll("pre.log")];
/** @param {Element} log */
const isAtEnd = (log) => log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
/** @param {Element} log */
const toEnd = (log) => log.scrollTo(log.scrollLeft, log.scrollHeight);

// As the server writes them.
function tick() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const seconds = Math.trunc((Date.now() - Number(/** @type {HTMLElement} */ (time).dataset.at)) / 1000);
    const n = Math.abs(seconds);
    const size = n < 60 ? `${n}s` : n < 3600 ? `${Math.trunc(n / 60)}m` : n < 86400 ? `${Math.trunc(n / 3600)}h` : `${Math.trunc(n / 86400)}d`;
    const text = seconds >= 0 ? `${size} ago` : `in ${size}`;
    if (time.textContent !== text) time.textContent = text;
  }
}

// The plan comes below the form without a new page, so that what is typed stays, secrets too.
document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
  if (form.id !== "sheet" || button?.value !== "plan") {
    // Pressed once is pressed.
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
      for (const part of ["#plan", "#sheet .answers"]) {
        const [mine, theirs] = [document.querySelector(part), page?.querySelector(part)];
        if (mine && theirs) morph(mine, theirs);
      }
      document.getElementById("plan")?.scrollIntoView({ behavior: "smooth", block: "nearest" });
    },
    fields,
  );
});

// Another look at the same page (a step, a group, other lines) replaces what is different and keeps the rest where it is.
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
    if (to.href !== location.href) return; // somebody went on
    show(page);
    const target = document.getElementById(decodeURIComponent(to.hash.slice(1)));
    if (stays || !target) return;
    target.scrollIntoView({ block: "nearest" });
    const heading = target.querySelector("h2");
    if (heading) announce("", heading.textContent ?? "");
  });
}

// A search shows what it finds while it is typed.
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
  // What happened meanwhile is on the page itself.
  if (source && !stream) later();
  connect();
});
addEventListener("pagehide", disconnect);
setInterval(tick, TICK);
// Some things change without an event of a run.
const every = Number(document.querySelector("[data-every]")?.getAttribute("data-every"));
if (every) setInterval(() => document.hidden || later(), every);
connect();
tick();
logs().forEach(toEnd);

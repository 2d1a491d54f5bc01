// Zoom and pan of the graph, and lines of a log by mouse and key. All of it works without, by links and scroll bars.
// @ts-check

const LEAST = 0.15;
const MOST = 3;
const STEP = 1.25; // of a button or a key

/** How large the graph is drawn; 0: as large as there is room. */
let zoom = 0;

const box = () => document.getElementById("graph-box");
const drawing = () => /** @type {SVGSVGElement | null} */ (document.getElementById("graph"));
/** @param {SVGSVGElement} svg */
const scale = (svg) => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;

function apply() {
  const svg = drawing();
  if (!svg) return;
  svg.style.width = zoom ? `${svg.viewBox.baseVal.width * zoom}px` : "";
  svg.style.maxWidth = svg.style.minWidth = zoom ? "none" : "";
}

/**
 * Makes the graph larger by a factor, and keeps what is under a point where it is.
 * @param {number} by @param {{ x: number, y: number }=} at
 */
function resize(by, at) {
  const [svg, frame] = [drawing(), box()];
  if (!svg || !frame) return;
  const { left, top, width, height } = frame.getBoundingClientRect();
  const [x, y] = at ? [at.x - left, at.y - top] : [width / 2, height / 2];
  const before = scale(svg);
  zoom = Math.min(MOST, Math.max(LEAST, before * by));
  const factor = zoom / before;
  const [across, down] = [(frame.scrollLeft + x) * factor - x, (frame.scrollTop + y) * factor - y];
  apply();
  frame.scrollTo(across, down);
}

function fit() {
  zoom = 0;
  apply();
}

// What is looked at, what failed, what waits or what runs is in sight.
const frame = box();
const node = ["selected", "bad", "warn", "busy"].map((kind) => frame?.querySelector(`.node.${kind}`)).find(Boolean);
if (frame && node) {
  const [outer, inner] = [frame.getBoundingClientRect(), node.getBoundingClientRect()];
  if (inner.right > outer.right) frame.scrollLeft += inner.left - outer.left - outer.width / 2;
  if (inner.bottom > outer.bottom) frame.scrollTop += inner.top - outer.top - outer.height / 2;
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-zoom]") : null;
  const what = button?.getAttribute("data-zoom");
  if (what === "fit") fit();
  else if (what) resize(what === "in" ? STEP : 1 / STEP);
});

// Only with a key, so that scrolling the page is never caught.
document.addEventListener(
  "wheel",
  (event) => {
    const isHere = event.target instanceof Element && event.target.closest("#graph-box");
    if (!isHere || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    resize(Math.exp(-event.deltaY / 300), event);
  },
  { passive: false },
);

// A mouse draws the picture along; fingers scroll it by themselves.
/** @type {{ x: number, y: number } | undefined} */
let held;
document.addEventListener("pointerdown", (event) => {
  const frame = event.target instanceof Element ? event.target.closest("#graph-box") : null;
  const isLink = event.target instanceof Element && event.target.closest("a");
  if (!frame || isLink || event.pointerType !== "mouse" || event.button) return;
  held = { x: event.clientX, y: event.clientY };
});
document.addEventListener("pointermove", (event) => {
  const frame = box();
  if (!held || !frame) return;
  frame.scrollBy(held.x - event.clientX, held.y - event.clientY);
  held = { x: event.clientX, y: event.clientY };
});
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => (held = undefined));

// Keys count only within the graph or the log, where nothing is typed.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof Element)) return;
  if (event.target.closest("#graph-box")) {
    const by = { "+": STEP, "=": STEP, "-": 1 / STEP }[event.key];
    if (by) resize(by);
    else if (event.key === "0") fit();
  } else if (event.target.closest("#lines")) {
    const id = { n: "next-error", p: "previous-error" }[event.key];
    if (id) document.getElementById(id)?.click();
    else if (event.key === "/") {
      event.preventDefault();
      document.getElementById("find")?.focus();
    }
  }
});

// Shift and a click mark the lines from the one that is marked to this one, and put them into the address.
document.addEventListener("click", (event) => {
  const number = event.target instanceof Element ? event.target.closest("#lines a") : null;
  if (!number || !event.shiftKey) return;
  event.preventDefault();
  const at = new URL(location.href);
  const first = at.searchParams.get("line")?.split("-")[0] ?? number.textContent;
  const last = number.textContent;
  at.searchParams.set("line", first === last ? `${first}` : `${first}-${last}`);
  at.hash = `L${first}`;
  location.assign(at);
});

if (!location.hash) document.querySelector("#lines .marked")?.scrollIntoView({ block: "center" });

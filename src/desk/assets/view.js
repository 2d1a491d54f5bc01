// Zooms and pans the graph, and selects lines of a log, by mouse and keyboard. Without this script, links and scroll bars do the same.
// @ts-check

const LEAST = 0.15;
const MOST = 3;
const STEP = 1.25; // the factor of one press of a button or key

/** The scale of the graph; 0 fits it to the page. */
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
 * Scales the graph by a factor, and keeps the point `at` (or the middle) in place.
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

// Scrolls to the selected node, or else one that failed, waits or runs.
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

// Zooms only with Ctrl or Cmd, so that the page still scrolls.
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

// Dragging with the mouse pans the graph. For touch, the browser's own scrolling does.
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

// Shortcuts work only within the graph or the log.
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

// A click with Shift selects the lines from the selected one to this one, and puts them into the address.
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

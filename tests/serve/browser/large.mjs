// A run of 2,000 instances and a workflow of 500 steps: soon there, quick to change, few elements, by keyboard too.

import { accessible, at, check, finish, person, tokens } from "./desk.mjs";

const { MANY: many, WIDE: wide } = process.env;
const vera = await person("vera");

const ready = async () => {
  const { domInteractive, requestStart } = await vera.evaluate(() => performance.getEntriesByType("navigation")[0].toJSON());
  return Math.round(domInteractive - requestStart);
};
await vera.goto(`${at}/runs/${many}`);
await vera.goto(`${at}/runs/${many}`);
console.log(`2,000 instances: interactive after ${await ready()} ms`);
check((await vera.locator("svg *").count()) <= 500, "few elements are drawn");
check((await vera.textContent("#graph")).includes("2000/2000") === false, "one of them failed");
// What failed is one click away, and one of thousands is found by its name.
await vera.click(".chips >> text=failed");
await vera.waitForSelector("#found");
check((await vera.textContent("#steps")).includes("many[1234]"), "the failed one is found");
await vera.goto(`${at}/runs/${many}`);
await vera.fill("#find", "[1500]");
await vera.waitForSelector("[id='found-many[1500]']");
await vera.click("[id='found-many[1500]'] a");
await vera.waitForSelector("#detail-title:has-text('many[1500]')");

// A change is on the screen soon after its commit. Both clocks are this machine's; the limit is for a busy one without optimisation.
await vera.goto(`${at}/runs/${many}`);
const seen = vera.evaluate(() => new Promise((then) => {
  const look = () => document.querySelector("#step-ask .status")?.textContent?.includes("succeeded") && then(Date.now());
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}));
const ask = async (what, body) => {
  const headers = { authorization: `Bearer ${tokens.bob}`, "content-type": "application/json" };
  const answer = await fetch(`${at}/api/v1/runs/${many}/${what}`, { method: body ? "POST" : "GET", headers, body });
  return answer.status === 200 ? answer.json() : answer.status;
};
check((await ask("approve", JSON.stringify({ step: "ask" }))) === 202, "bob approves");
const shown = await seen;
const { events } = await ask("events?after=4000");
const committed = events.find(({ event }) => event.event === "approval_decided").at;
console.log(`2,000 instances: a change is seen ${shown - committed} ms after its commit`);
check(shown - committed < 1500, "a change is seen at once");

await vera.goto(`${at}/runs/${wide}`);
console.log(`500 steps: interactive after ${await ready()} ms`);
const drawn = await vera.locator("svg *").count();
console.log(`500 steps: ${drawn} elements of SVG`);
check(drawn <= 500, `${drawn} elements of SVG`);
// The group with the failed step says so; it opens by keyboard, and the step is found in it.
const group = vera.locator("#graph a.bad").first();
check((await group.locator("title").textContent()).includes("s333"), "the failed step stands out of its group");
await group.focus();
await vera.keyboard.press("Enter");
await vera.waitForURL(/open=/);
await vera.waitForSelector(".way b");
const width = () => vera.evaluate(() => document.getElementById("graph").getBoundingClientRect().width);
const before = await width();
await vera.click("[data-zoom=in]");
check((await width()) > before, "it grows");
await vera.focus("#graph-box");
await vera.keyboard.press("0");
check(Math.abs((await width()) - before) < 1, "and fits again");
await vera.fill("#find", "s333");
await vera.click("#found-s333 a");
await vera.waitForSelector(".way b:text-is('s333')");
check((await vera.locator("#graph a").count()) <= 30, "a step is drawn with what is next to it");
await accessible(vera, "a graph of 500 steps");
await finish();

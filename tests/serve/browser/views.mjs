// Every view, for axe in light and dark, with texts that try to be more than text; and at the width of a phone.

import { accessible, at, check, finish, person } from "./desk.mjs";

const { FAILED: failed, WAITING: waiting, DOUBT: doubt } = process.env;
const owner = await person("owner");
const views = [
  "/",
  "/?status=failed",
  "/waiting",
  "/prune",
  "/prune?keep=0s",
  "/start",
  "/start/evil",
  "/certificates",
  "/mesh",
  `/runs/${failed}`,
  `/runs/${failed}?step=talk#detail`,
  `/runs/${failed}/log`,
  `/runs/${failed}/edit`,
  `/runs/${failed}/audit`,
  `/runs/${failed}/compare?with=${waiting}`,
  `/runs/${failed}/undo`,
  `/runs/${waiting}`,
  `/runs/${doubt}`,
  "/runs/20200101-000000000-abcdef",
];
for (const view of views) {
  await owner.emulateMedia({ colorScheme: "light" });
  await owner.goto(at + view);
  await accessible(owner, view);
  // What came from a run is text: no element of it, and no link that is none of ours.
  const made = await owner.evaluate(() => ({
    isRun: window.evil !== undefined,
    elements: document.querySelectorAll("main script, main iframe, main img, main b.evil, main [onload], main [onerror]").length,
    links: [...document.querySelectorAll("main a[href]")].map((a) => a.getAttribute("href")).filter((href) => !/^[/#?]/.test(href)),
    styles: document.querySelectorAll("main [style]:not(#graph)").length,
  }));
  check(!made.isRun && made.elements === 0 && made.styles === 0, `${view}: ${JSON.stringify(made)}`);
  check(made.links.length === 0, `${view}: links to ${made.links}`);
}
// A phone: nothing is wider than the screen, and the three things that are done on one are there.
const phone = await person("owner", { viewport: { width: 360, height: 740 }, hasTouch: true });
for (const view of views) {
  await phone.goto(at + view);
  const [have, need] = await phone.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
  check(need <= have, `${view}: ${need} px wide on a screen of ${have}`);
}
await phone.goto(`${at}/runs/${failed}`);
check(await phone.isVisible(".card.failed .excerpt"), "why it failed is seen");
check(await phone.isVisible("#do-resume"), "it can be resumed");
await phone.goto(`${at}/runs/${waiting}`);
check(await phone.isVisible("button:text-is('Approve')"), "it can be approved");
// The first stop of the keyboard skips to the content.
await owner.goto(`${at}/`);
await owner.keyboard.press("Tab");
check((await owner.evaluate(() => document.activeElement?.className)) === "skip", "the way to the content comes first");
// A filter gets a name, and runs are selected and resumed without a mouse.
await owner.goto(`${at}/?status=failed`);
await owner.fill(".views input[name=name]", "Broken");
await owner.keyboard.press("Enter");
await owner.waitForSelector(".views a.chip[aria-current]");
await accessible(owner, "a saved view");
await owner.focus("input[name=run]");
await owner.keyboard.press("Space");
check(await owner.isChecked("input[name=run]"), "a run is selected");
await owner.focus("#bulk button[value=resume]");
await owner.keyboard.press("Enter");
await owner.waitForSelector("main ul.plan");
await accessible(owner, "what became of several runs");
await finish();

// Start from the form, watch, be denied, approve as another person, fail, fix, edit, resume, compare, undo.

import { readFileSync, writeFileSync } from "node:fs";
import { at, check, finish, folder, person } from "./desk.mjs";

const [alice, bob] = [await person("alice"), await person("bob")];

// The others look at lists, which follow what happens without being loaded again.
const vera = await person("vera");
await vera.goto(`${at}/`);
await bob.goto(`${at}/waiting`);
for (const page of [vera, bob]) await page.evaluate(() => (window.isSame = true));

// Alice starts a run; the form makes the plan first, without a new page.
await alice.goto(`${at}/start`);
await alice.click("a:text-is('ship')");
await alice.fill("[name='p.count']", "2");
await alice.click("text=Show the plan");
await alice.waitForSelector("#plan table");
check(await alice.isEnabled("button[value=start]"), "what was planned can be started");
await alice.fill("[name='p.count']", "3");
check(await alice.isDisabled("button[value=start]"), "what was changed since can not");
await alice.click("text=Plan again");
await alice.waitForSelector("#plan :text('Ship 3 boxes?')");
check((await alice.textContent("#plan")).includes("asks: Ship 3 boxes?"), "the plan says what is asked");
check((await alice.inputValue("[name='p.count']")) === "3", "what was typed stays");
await alice.click("button[value=start]");
await alice.waitForURL(/\/runs\//);
const run = alice.url().split("/").pop();
await alice.waitForSelector("h1 .status.warn");
// She is told that she may not answer, and is refused by the other door as well.
check((await alice.textContent("#ask")).includes("needs the role `approver`"), "who may not is told why");
const status = await alice.evaluate(async (path) => {
  const body = new URLSearchParams({ step: "ask", digest: "0".repeat(64) });
  return (await fetch(path, { method: "POST", body })).status;
}, `/runs/${run}/approve`);
check(status === 403, `refused with ${status}`);

// Bob finds it without being sent a link, and approves; alice's page follows without being loaded again.
await alice.evaluate(() => (window.isSame = true));
await vera.waitForSelector(`a[href$="/runs/${run}"]`);
await bob.waitForSelector("#mine >> text=Review");
for (const page of [vera, bob]) check(await page.evaluate(() => window.isSame), "the lists were not loaded again");
await bob.click("#mine >> text=Review");
await bob.fill("[name=comment]", "go <b>ahead</b>");
// A look at a step keeps what is typed.
await bob.click("#node-pack");
await bob.waitForSelector("#detail");
check((await bob.inputValue("[name=comment]")) === "go <b>ahead</b>", "the comment stays");
await bob.click("button:text-is('Approve')");
await alice.waitForSelector("h1 .status.bad");
check(await alice.evaluate(() => window.isSame), "the page was not loaded again");
check((await alice.textContent(".card.failed")).includes("the crane is broken"), "the error is shown");
check((await alice.textContent("#graph")).includes("ship"), "the graph is there");

// She looks at what failed by keyboard: the node is a link.
await alice.focus("#node-ship");
await alice.keyboard.press("Enter");
await alice.waitForSelector("#detail");
check(new URL(alice.url()).searchParams.get("step") === "ship", "the selection is in the address");
check(await alice.evaluate(() => window.isSame), "nor for another selection");
// The log opens at the first error, and a line has an address.
await alice.click(".ways >> text=Log");
await alice.waitForSelector("#lines .marked");
check((await alice.textContent("#lines .marked")).includes("the crane is broken"), "the first error is marked");
await alice.fill("#find", "Ship 3");
await alice.waitForFunction(() => document.querySelectorAll("#lines li").length === 1);
check((await alice.textContent("#lines mark")) === "Ship 3", "what was found is marked");
await alice.goBack();

// She fixes the file, sees what a resume will do, and resumes.
const file = `${folder}/ship.yaml`;
writeFileSync(file, readFileSync(file, "utf8").replace('throw "the crane is broken"', '#{ by: inputs.by }'));
await alice.goto(`${at}/runs/${run}`);
await alice.click("#do-edit");
await alice.waitForSelector("#plan table");
const plan = await alice.textContent("#plan");
check(plan.includes("kept") && plan.includes("the crane is broken"), "the plan keeps what is done and shows the difference");
await alice.click("text=Resume with this plan");
await alice.waitForURL(`${at}/runs/${run}`);
// The approval was of other files: it is asked for again.
await bob.goto(`${at}/runs/${run}`);
await bob.click("button:text-is('Approve')");
await alice.waitForSelector("h1 .status.good");

// A second run, to be compared with the first.
await alice.goto(`${at}/start/ship`);
await alice.fill("[name='p.count']", "5");
await alice.click("text=Show the plan");
await alice.click("button[value=start]");
await alice.waitForURL(/\/runs\//);
await bob.goto(alice.url());
await bob.click("button:text-is('Approve')");
await alice.waitForSelector("h1 .status.good");
await alice.click(".ways >> text=Compare");
await alice.waitForSelector("table");
const compared = await alice.textContent("main");
check(compared.includes(run) && compared.includes("count"), "it is compared with the last success");

// The owner undoes it, plan first; anybody reads the evidence.
const owner = await person("owner");
await owner.goto(`${at}/runs/${run}`);
await owner.click("#do-undo");
await owner.click("text=Undo this run");
await owner.waitForSelector("h1:has-text('undone')");
await vera.goto(`${at}/runs/${run}/audit`);
check((await vera.textContent("main")).includes("The chain of events is unbroken"), "the chain is verified");
const [download] = await Promise.all([vera.waitForEvent("download"), vera.click("#bundle")]);
writeFileSync(`${folder}/bundle.json`, readFileSync(await download.path()));
console.log(run);
// A login that ends does not lose what is typed, and says so.
await alice.goto(`${at}/start/ship`);
await alice.fill("[name='p.count']", "7");
const kept = await alice.context().cookies();
await alice.context().clearCookies();
await alice.click("text=Show the plan");
await alice.waitForSelector("#plan :text('Your login has ended')");
check((await alice.inputValue("[name='p.count']")) === "7", "what was typed stays");
await alice.context().addCookies(kept);
await alice.click("text=Show the plan");
await alice.waitForSelector("#plan table");
await finish();

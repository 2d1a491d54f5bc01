// Alice rotates the root of a mesh, bob approves what it asks, and vera watches who can talk to whom from its start to its end.

import { accessible, at, check, finish, person } from "./desk.mjs";

const PHASES = ["prepare", "trust", "issue_server", "issue_agents", "sign", "remove"];
const [alice, bob, vera] = [await person("alice"), await person("bob"), await person("vera")];

// Every state of vera's page is looked at, as she would.
await vera.goto(`${at}/mesh`);
await vera.waitForSelector("#verdict .good");
await vera.evaluate(() => {
  const seen = (window.seen = { looks: 0, refused: [], phases: [], disorder: [] });
  const note = (list, text) => list.at(-1) !== text && list.push(text);
  const look = () => {
    seen.looks += 1;
    for (const cell of document.querySelectorAll(".matrix td.bad")) note(seen.refused, cell.title);
    if (document.querySelector("#verdict .bad")) note(seen.refused, document.querySelector("#verdict").textContent);
    if (!document.querySelector(".matrix td.good")) note(seen.refused, "no handshake is shown");
    // One phase is at work at most: those before it are over, those after it have not begun.
    const phases = [...document.querySelectorAll(".phases li")].map((phase) => phase.dataset);
    const all = phases.map(({ status }) => status).join(" ");
    if (!/^((succeeded|skipped) ?)*((running|retrying) ?)?(pending ?)*$/.test(all)) note(seen.disorder, all);
    for (const { phase, status } of phases) if (status === "running") note(seen.phases, phase);
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
});

// The plan is read from the mesh before anybody starts anything.
await alice.goto(`${at}/start/rotate-root`);
await alice.selectOption("[name='p.force']", "true");
await alice.selectOption("[name='p.approve']", "true");
await alice.click("text=Show the plan");
await alice.waitForSelector("#plan .phase");
const shown = await alice.locator("#plan .phase").evaluateAll((all) => all.map((phase) => phase.dataset.phase));
check(shown.join() === PHASES.join(), `the plan has the phases ${shown}`);
const trust = await alice.textContent("#plan [data-phase=trust]");
check(trust.includes("secret/") && trust.includes("stays: ") && trust.includes("added: "), `trust: ${trust}`);
await accessible(alice, "the plan of a rotation");
await alice.emulateMedia({ colorScheme: "light" });
await alice.click("button[value=start]");
await alice.waitForURL(/\/runs\//);
const run = alice.url().split("/").pop();

// Each question shows what is still to come, and is answered by somebody else.
const left = ["prepare,trust,issue_server,issue_agents,sign,remove", "issue_server,issue_agents,sign,remove", "remove"];
for (const [number, wanted] of left.entries()) {
  await vera.waitForSelector(".rotation .held", { timeout: 60_000 });
  await bob.goto(`${at}/waiting`);
  await bob.click("#mine >> text=Review");
  await bob.waitForSelector("#ask");
  const to_come = await bob.locator("#ask .phase").evaluateAll((all) => all.map((phase) => phase.dataset.phase).join());
  check(to_come === wanted, `question ${number + 1} shows ${to_come}`);
  check((await bob.textContent("#ask")).includes("secret/"), "with what they replace");
  if (number === 1) await accessible(vera, "the mesh during a rotation");
  await bob.click("button:text-is('Approve')");
  await vera.waitForSelector(".rotation .held", { state: "detached", timeout: 60_000 });
}
await vera.waitForSelector(".rotation h2 .status.good", { timeout: 60_000 });
check((await vera.textContent(".rotation h2")).includes("succeeded"), "its end is seen");
await vera.waitForFunction(() => document.querySelectorAll(".phases li[data-status=succeeded]").length === 6);
const seen = await vera.evaluate(() => window.seen);
console.log(`${seen.looks} changes of the page were looked at, ${seen.refused.length} refusals were shown; phases seen at work: ${seen.phases}`);
check(seen.refused.length === 0, `refused: ${seen.refused.join("; ")}`);
check(seen.disorder.length === 0, `phases were seen as ${seen.disorder.join("; ")}`);
// A short one may be over between two looks at the page; the long ones restart every workload.
const [order, long] = [PHASES.filter((phase) => seen.phases.includes(phase)), ["trust", "sign", "remove"]];
check(seen.phases.join() === order.join() && long.every((phase) => order.includes(phase)), `seen at work: ${seen.phases}`);
check(seen.looks >= PHASES.length, `${seen.looks} changes were seen`);
console.log(run);
await finish();

// A question that takes the place of another under the approver's hand is not answered by mistake.

import { at, check, finish, person, tokens } from "./desk.mjs";

const bob = await person("bob");
const run = process.env.RUN;
await bob.goto(`${at}/runs/${run}`);
await bob.fill("[name=comment]", "fine, staging only");
await bob.evaluate(() => document.addEventListener("submit", () => (window.isSent = true)));
await bob.press("[name=comment]", "Enter");
check(!(await bob.evaluate(() => window.isSent)), "Enter in a comment is no answer");
check((await bob.inputValue("[name=comment]")) === "fine, staging only", "and the comment stays");
await bob.focus("button:text-is('Approve')");
const before = await bob.getAttribute("section.ask", "id");
const answered = await bob.evaluate(
  async ([path, token]) => {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
    return (await fetch(path, { method: "POST", headers, body: JSON.stringify({ step: "q1" }) })).status;
  },
  [`/api/v1/runs/${run}/approve`, tokens.bob],
);
check(answered === 202, `answered with ${answered}`);
await bob.waitForSelector("section.ask:has-text('Delete production?')");
check((await bob.getAttribute("section.ask", "id")) !== before, "it is another card");
check((await bob.inputValue("[name=comment]")) === "", "the comment was for the other question");
check(await bob.isDisabled("button:text-is('Approve')"), "a click that was on its way does nothing");
check(await bob.evaluate(() => document.activeElement?.textContent !== "Approve"), "the button of the other question had the focus");
await bob.keyboard.press("Enter");
await bob.waitForSelector("button:text-is('Approve'):enabled");
check((await bob.textContent("h1")).includes("waiting"), "nobody has answered it");
await bob.fill("[name=comment]", "now production");
await bob.click("button:text-is('Approve')");
await bob.waitForSelector("h1 .status.good");
await finish();

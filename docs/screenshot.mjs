// Starts a run over the API, approves what it asks, and takes the picture of its page while it works.

import { createRequire } from "node:module";

const { BROWSER_MODULES: modules, CHROMIUM: executablePath, DESK: at, PICTURE: path, TOKEN: token } = process.env;
const { chromium } = createRequire(`${modules}/none.js`)("playwright-core");

const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
const ask = async (method, what, body) => {
  const answer = await fetch(`${at}/api/v1/${what}`, { method, headers, body: body && JSON.stringify(body) });
  return answer.status === 202 ? undefined : answer.json();
};
const started = await ask("POST", "runs", {
  workflow: "gloo-mesh",
  params: { clusters: ["east", "west"], approve: true },
});
if (!started.run) throw new Error(JSON.stringify(started));
/** Waits until something holds of the run. */
const until = async (holds) => {
  for (;;) {
    const run = await ask("GET", `runs/${started.run}`);
    if (holds(run) || run.status === "failed" || run.status === "succeeded") return;
    await new Promise((then) => setTimeout(then, 100));
  }
};
await until((run) => run.status === "waiting");
await ask("POST", `runs/${started.run}/approve`, { step: "go_live" });
await until((run) => run.steps.some(({ step, status }) => step.startsWith("restarts[") && status === "running"));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, colorScheme: "light" });
await page.goto(`${at}/login`);
await page.fill("input[name=token]", token);
await page.click("main button");
await page.waitForURL(`${at}/`);
await page.goto(`${at}/runs/${started.run}`);
await page.screenshot({ path });
await browser.close();

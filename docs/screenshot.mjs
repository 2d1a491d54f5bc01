// Starts a run over the API, approves what it asks, and takes the picture of its page while it works; then the picture of the mesh
// while its root is rotated.

import { createRequire } from "node:module";

const { BROWSER_MODULES: modules, CHROMIUM: executablePath, DESK: at, PICTURE: path, MESH_PICTURE: mesh, TOKEN: token } = process.env;
const { chromium } = createRequire(`${modules}/none.js`)("playwright-core");

const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
const ask = async (method, what, body) => {
  const answer = await fetch(`${at}/api/v1/${what}`, { method, headers, body: body && JSON.stringify(body) });
  return answer.status === 202 ? undefined : answer.json();
};
const start = async (workflow, params) => {
  const started = await ask("POST", "runs", { workflow, params });
  if (!started.run) throw new Error(JSON.stringify(started));
  return started.run;
};
const clusters = ["east", "west"];
const first = await start("gloo-mesh", { clusters, approve: true });
/** Waits until something holds of a run. */
const until = async (id, holds) => {
  for (;;) {
    const run = await ask("GET", `runs/${id}`);
    if (holds(run) || run.status === "failed" || run.status === "succeeded") return;
    await new Promise((then) => setTimeout(then, 100));
  }
};
await until(first, (run) => run.status === "waiting");
await ask("POST", `runs/${first}/approve`, { step: "go_live" });
await until(first, (run) => run.steps.some(({ step, status }) => step.startsWith("restarts[") && status === "running"));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, colorScheme: "light" });
await page.goto(`${at}/login`);
await page.fill("input[name=token]", token);
await page.click("main button");
await page.waitForURL(`${at}/`);
await page.goto(`${at}/runs/${first}`);
await page.screenshot({ path });

await until(first, () => false);
const rotation = await start("rotate-root", { clusters, force: true, approve: true });
await until(rotation, (run) => run.status === "waiting");
await ask("POST", `runs/${rotation}/approve`, { step: "approved" });
await page.setViewportSize({ width: 1280, height: 800 });
await page.goto(`${at}/mesh`);
await page.waitForSelector(".phases li[data-phase=trust][data-status=running]", { timeout: 120_000 });
await page.screenshot({ path: mesh });
await ask("POST", `runs/${rotation}/cancel`, {});
await browser.close();

// A browser for the tests of the page: logs in, counts what the security policy refuses, and lets axe look.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const load = createRequire(`${process.env.BROWSER_MODULES}/none.js`);
const { chromium } = load("playwright-core");
const axe = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");

/** Where the server is. */
export const at = process.env.DESK;
export const tokens = { alice: process.env.ALICE, bob: process.env.BOB, vera: process.env.VERA, owner: process.env.OWNER };
/** The folder of the server's workflows. */
export const folder = process.env.FOLDER;

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  // Whoever runs tests in a container is root there.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});

/** What no page may do: errors of scripts, refusals of the policy, dialogs. */
const wrong = [];

/** A browser of one person. */
export async function person(name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(20_000);
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} of ${event.blockedURI} ${event.sample}`);
    });
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => wrong.push(`${page.url()}: ${error}`));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !text.includes("Failed to load resource")) wrong.push(`${page.url()}: ${text}`);
  });
  page.on("dialog", (dialog) => {
    wrong.push(`${page.url()}: a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.goto(`${at}/login`);
  await page.fill("input[name=token]", tokens[name]);
  await page.click("main button");
  await page.waitForURL(`${at}/`);
  return page;
}

/** Lets axe look at a page in light and in dark. */
export async function accessible(page, what) {
  await page.evaluate(axe);
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const rules = colorScheme === "dark" ? { runOnly: ["color-contrast"] } : {};
    const found = await page.evaluate((rules) => window.axe.run(document, rules), rules);
    for (const violation of found.violations) {
      const nodes = violation.nodes.slice(0, 3).map((node) => `    ${node.html.slice(0, 200)}\n    ${node.failureSummary}`);
      wrong.push(`${what} (${colorScheme}): ${violation.id}, ${violation.help}\n${nodes.join("\n")}`);
    }
  }
}

export function check(holds, what) {
  if (holds) return;
  console.log(wrong.join("\n"));
  throw new Error(what);
}

/** Ends the browser, and the test with it. */
export async function finish() {
  await browser.close();
  if (wrong.length > 0) {
    console.log(wrong.join("\n"));
    process.exit(1);
  }
}

// The mesh while clusters come into being: the matrix grows on a page that is not loaded again.

import { accessible, at, check, finish, person } from "./desk.mjs";

const [alice, vera] = [await person("alice"), await person("vera")];
await vera.goto(`${at}/mesh`);
check((await vera.textContent("main")).includes("no rehearsal clusters yet"), "there is no mesh");
await vera.evaluate(() => (window.isSame = true));
const start = async (cluster) => {
  await alice.goto(`${at}/start/join`);
  await alice.fill("[name='p.cluster']", cluster);
  await alice.click("text=Show the plan");
  await alice.click("button[value=start]");
  await alice.waitForURL(/\/runs\//);
};
await start("cluster-1");
await vera.waitForSelector(".matrix td.good", { timeout: 40_000 });
const one = await vera.locator(".matrix tbody tr").count();
await start("cluster-2");
// Each cluster has a root of its own: what crosses them is refused, and says why.
await vera.waitForSelector(".matrix td.bad", { timeout: 40_000 });
await vera.waitForFunction((rows) => document.querySelectorAll(".matrix tbody tr").length > rows, one);
check(await vera.evaluate(() => window.isSame), "the page was not loaded again");
check((await vera.textContent("#verdict")).includes("refused"), "the verdict says so");
check(/certificate|authority|issuer/i.test(await vera.textContent(".reasons")), "with the reason");
await accessible(vera, "the mesh");
await finish();

#!/usr/bin/env node
// Starts the binary that npm installed for this platform.

"use strict";

const { spawn } = require("node:child_process");

const name = `@windlass/${process.platform}-${process.arch}`;
let binary;
try {
  binary = require.resolve(`${name}/bin/windlass`);
} catch {
  console.error(`error: the package ${name} is not installed`);
  console.error(
    " hint: install windlass without --no-optional or --omit=optional; a lockfile that was made on another platform may lack it: remove node_modules and install again",
  );
  process.exit(1);
}

const child = spawn(binary, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  console.error(`error: can't start ${binary}: ${error.message}`);
  process.exit(1);
});

// A terminal sends Ctrl-C to both processes, and a second one means something else to Windlass, so it is not passed on.
process.on("SIGINT", () => {});
for (const signal of ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2"]) {
  process.on(signal, () => child.kill(signal));
}

child.on("exit", (code, signal) => {
  if (signal === null) {
    process.exit(code);
  }
  // Ends as the binary did.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});

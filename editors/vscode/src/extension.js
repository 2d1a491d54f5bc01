// Starts `windlass lsp` and lets the editor talk to it; all else is in the server.

const { commands, window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
  const command = workspace.getConfiguration("windlass").get("path", "windlass");
  const server = { command, args: ["lsp"] };
  client = new LanguageClient("windlass", "Windlass", server, {
    documentSelector: [
      { scheme: "file", language: "yaml" },
      { scheme: "untitled", language: "yaml" },
      { scheme: "file", language: "rhai" },
    ],
  });
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    window.showErrorMessage(
      `Windlass: can't start \`${command} lsp\`: ${error.message}. Install windlass, or set windlass.path.`,
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  await running?.stop();
}

exports.activate = async (context) => {
  const restart = async () => {
    await stop();
    await start();
  };
  context.subscriptions.push(
    commands.registerCommand("windlass.restart", restart),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("windlass.path")) restart();
    }),
  );
  await start();
};

exports.deactivate = stop;

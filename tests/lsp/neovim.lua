-- Drives the client of Neovim against `windlass lsp`, and writes what it saw to `seen.json`.
-- Runs on Neovim 0.7 and later, so it starts the client by hand.

local seen = {}

local function codes()
  local found = {}
  for _, diagnostic in ipairs(vim.diagnostic.get(0)) do
    local lsp = (diagnostic.user_data or {}).lsp or {}
    table.insert(found, string.format("%d:%d %s", diagnostic.lnum, diagnostic.col, diagnostic.code or lsp.code))
  end
  table.sort(found)
  return found
end

local function wait_for(count)
  vim.wait(60000, function()
    return #vim.diagnostic.get(0) == count
  end, 20)
  return codes()
end

vim.cmd("edit w.yaml")
vim.bo.filetype = "yaml"
local id = vim.lsp.start_client({
  name = "windlass",
  cmd = { os.getenv("WINDLASS"), "lsp" },
  root_dir = vim.fn.getcwd(),
})
vim.lsp.buf_attach_client(0, id)
seen.opened = wait_for(1)

-- Corrects `rot_ca`, without saving.
local line = vim.fn.search("rot_ca") - 1
local text = vim.api.nvim_buf_get_lines(0, line, line + 1, false)[1]
local from = text:find("rot_ca", 1, true) - 1
vim.api.nvim_buf_set_text(0, line, from, line, from + 6, { "root_ca" })
wait_for(0)
seen.corrected = #codes()

local function ask(method, column, more)
  local params = vim.tbl_extend("force", {
    textDocument = vim.lsp.util.make_text_document_params(0),
    position = { line = line, character = column },
  }, more or {})
  local answers = vim.lsp.buf_request_sync(0, method, params, 60000)
  return ((answers or {})[id] or {}).result
end

local items = ask("textDocument/completion", from + 8)
seen.offered = {}
for _, item in ipairs(items.items or items) do
  table.insert(seen.offered, item.label)
end
seen.hover = ask("textDocument/hover", from + 1).contents.value

local edit = ask("textDocument/rename", from + 1, { newName = "trust_root" })
vim.lsp.util.apply_workspace_edit(edit, "utf-16")
seen.renamed = vim.api.nvim_buf_get_lines(0, 0, -1, false)

vim.fn.writefile({ vim.fn.json_encode(seen) }, "seen.json")
vim.lsp.stop_client(id)
vim.cmd("qall!")

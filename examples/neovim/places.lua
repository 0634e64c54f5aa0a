-- A plugin for Neovim: where you were in each file, known to every editor.
-- Neovim's own list of that is written when an editor ends, and the last one
-- to end wins. Here a place is in the store as soon as you leave it: editors
-- that run side by side share one list, and one that is killed loses nothing
-- but its last moment.
--
--   :luafile places.lua      or as lua/places.lua, and require "places"
--   :Places                  the files, last first
--   :Places 2                goes to the second

local lode = require "lode"
local dict = lode.dict

-- "behind": no key waits for a disk. A thread commits what was written in the
-- last 50 ms. (A dict with a cap would commit at once, so time is what keeps
-- this one small.)
local home = vim.fn.stdpath "data"
vim.fn.mkdir(home, "p")
local store = lode.open(home .. "/places.lode", { durability = "behind" })
local places = store:dict("places", { ttl = 90 * 86400 })

local function keep()
  local file = vim.api.nvim_buf_get_name(0)
  if file == "" or vim.bo.buftype ~= "" then return end
  local line, column = unpack(vim.api.nvim_win_get_cursor(0))
  local seconds, micros = vim.loop.gettimeofday()
  places[file] = { line = line, column = column, at = seconds + micros / 1e6 }
end

local function restore()
  local place = places[vim.api.nvim_buf_get_name(0)]
  if not place then return end
  local line = math.min(place.line, vim.api.nvim_buf_line_count(0))
  vim.api.nvim_win_set_cursor(0, { line, place.column })
end

-- All files, of every editor, the last first.
local function list()
  local files, last = {}, {}
  for file, place in dict.pairs(places) do
    files[#files + 1], last[file] = file, place.at
  end
  table.sort(files, function (a, b) return last[a] > last[b] end)
  return files
end

local function show(command)
  local files = list()
  local chosen = files[tonumber(command.args)]
  if chosen then return vim.cmd("edit " .. vim.fn.fnameescape(chosen)) end
  for i, file in ipairs(files) do
    print(("%3d  %s:%d"):format(i, file, places[file].line))
  end
end

local on = vim.api.nvim_create_autocmd
on({ "BufLeave", "CursorHold", "FocusLost" }, { callback = keep })
on("BufReadPost", { callback = restore })
on("VimLeavePre", { callback = function ()
  keep()
  store:close() -- commits what is pending
end })
vim.api.nvim_create_user_command("Places", show, { nargs = "?" })

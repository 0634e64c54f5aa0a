--- The commands that look after a store as a whole: check, repair, compact,
-- backup.

local cli = require "lode.cli"
local json = require "lode.cli.json"
local lode = require "lode"
local replace = require "lode.cli.replace"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

local mend = {}

local json_option = { "json", nil, "print JSON, for programs" }

local function put_list (title, texts)
  if not texts or #texts == 0 then return end
  cli.put(title, "\n")
  for _, text in ipairs(texts) do
    cli.put("  ", terminal.harmless(text), "\n")
  end
end

-- A report as JSON: what it lists are lists also when there is nothing.
local function put_json (report)
  for _, name in ipairs { "problems", "mended", "collections" } do
    if type(report[name]) == "table" then json.list(report[name]) end
  end
  cli.put(json.encode(report), "\n")
end

local function plural (count, word)
  return ("%s %s%s"):format(terminal.grouped(count), word,
    count == 1 and "" or "s")
end

-- ==================================================================
-- check
-- ==================================================================

-- The report on a path. A store that somebody writes to is checked as of its
-- last commit, which takes that it can be opened.
local function report_on (path, options)
  local ok, report = pcall(lode.check, path, options)
  if ok then return report end
  if type(report) ~= "table" or report.code ~= "BUSY" then
    error(report, 0)
  end
  return stores.with(stores.reading(path), function (store)
    return store:check(options)
  end)
end

local function put_report (report)
  cli.put(("%s: %s, %s, %s in use\n"):format(report.ok and "whole"
    or "damaged", plural(report.collections, "collection"),
    report.entries == 1 and "1 entry"
    or terminal.grouped(report.entries) .. " entries",
    terminal.bytes(report.bytes)))
  put_list("mended:", report.mended)
  put_list("problems:", report.problems)
end

mend.check = {
  usage = "PATH",
  least = 1, most = 1,
  text = [[
Reads every page and every entry of a store and tells whether it is whole. It
changes nothing, and others may read and write meanwhile. The status is 3 when
there is damage.
]],
  options = { json_option },
  run = function (call)
    local path = call.args[1]
    local report = terminal.with_bar("check", function (options)
      return report_on(path, options)
    end)
    if call.options.json then
      put_json(report)
    else
      put_report(report)
      if not report.ok then
        cli.put(report.mendable and "`lode repair PATH` can mend this.\n"
          or "`lode repair PATH TO` saves what is sound.\n")
      end
    end
    return not report.ok and cli.status.damage or nil
  end,
}

-- ==================================================================
-- repair
-- ==================================================================

local function put_salvage (report, to)
  cli.put(("%s entries saved in %s; %s\n"):format(
    terminal.grouped(report.entries), to, report.ok and "nothing was lost"
    or terminal.grouped(report.lost) .. " or more were lost"))
  if report.older then
    cli.put "it is the state before the last commit\n"
  end
  for _, part in ipairs(report.collections) do
    cli.put(("  %-4s %12s kept %12s lost  %s\n"):format(part.kind,
      terminal.grouped(part.kept), terminal.grouped(part.lost),
      terminal.harmless(part.name)))
  end
  put_list("problems of the original:", report.problems)
end

local function salvage (path, to, as_json)
  local report = terminal.with_bar("repair", function (options)
    return lode.repair(path, to, options)
  end)
  if as_json then
    put_json(report)
  else
    put_salvage(report, to)
  end
  return not report.ok and cli.status.damage or nil
end

local function mend_in_place (path, as_json)
  local report = terminal.with_bar("repair", function (options)
    options.repair = true
    return stores.with(stores.writing(path), function (store)
      return store:check(options)
    end)
  end)
  if as_json then
    put_json(report)
  else
    put_report(report)
    if report.dropped > 0 then
      cli.put(plural(report.dropped, "damaged entry"):gsub("entrys",
        "entries"), " removed\n")
    end
  end
  local good = report.ok and report.dropped == 0
  return not good and cli.status.damage or nil
end

mend.repair = {
  usage = "PATH [TO]",
  least = 1, most = 2,
  text = [[
Mends a store where it stands: indexes and counts are made to agree with the
entries, and entries whose bytes are damaged are removed. Where pages
themselves are damaged nothing is changed: then, and for a store that can't be
opened, give a new place TO, where all that is sound is written; the original
is only read.

The status is 0 when the result is whole and nothing was lost, else 3.
]],
  options = { json_option },
  run = function (call)
    local path, to = call.args[1], call.args[2]
    if to then return salvage(path, to, call.options.json) end
    return mend_in_place(path, call.options.json)
  end,
}

-- ==================================================================
-- backup, compact
-- ==================================================================

local function file_size (path)
  return stores.with(stores.reading(path), function (store)
    return store:stats().file_size
  end)
end

-- A copy, of which nothing is left when it fails halfway.
local function copy (label, path, to, compact)
  terminal.with_bar(label, function (options)
    options.compact = compact or false
    stores.with(stores.reading(path), function (store)
      store:backup(to, options)
    end)
  end)
end

mend.backup = {
  usage = "PATH TO",
  least = 2, most = 2,
  text = [[
Copies a store, as of one moment, while others read and write. TO is a new
place; it is a directory, or a file where the store is one.
]],
  options = { { "compact", nil, "leave free pages out; takes longer" } },
  run = function (call)
    copy("backup", call.args[1], call.args[2], call.options.compact)
  end,
}

mend.compact = {
  usage = "PATH [TO]",
  least = 1, most = 2,
  text = [[
Writes a store anew without the free pages of its file, and puts that in its
place; or, while others use it, to a new place TO. The store may not be open
anywhere else, and must be a directory with nothing else in it. Whatever
happens, the store at PATH is whole: should the power fail in the moment of the
change, it is beside it as PATH.before-compact.
]],
  options = {},
  run = function (call)
    local path, to = call.args[1], call.args[2]
    local before = file_size(path)
    if to then
      copy("compact", path, to, true)
    else
      to = path
      replace.compact(path)
    end
    cli.put(("%s, was %s\n"):format(terminal.bytes(file_size(to)),
      terminal.bytes(before)))
  end,
}

return mend

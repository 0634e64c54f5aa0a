-- What the command `lode` does on a terminal and off it: progress bars, top,
-- repl.

local cli = require "support.cli"
local helper = require "support.helper"
local lode = require "lode"
local terminal = require "lode.cli.terminal"

local run, run_on, output = cli.run, cli.run_on, cli.output

local function filled (count)
  local store, path = helper.open()
  local d = store:dict "d"
  store:transaction(function ()
    for i = 1, count or 20 do d[i] = i end
  end)
  store:set("tags").red = true
  store:close()
  return path
end

-- What a terminal got, or nothing where `script` isn't.
local function on_terminal (keys, ...)
  local text = cli.on_terminal(keys, ...)
  if not text then pending "script isn't here" end
  return text
end

describe("a progress bar", function ()
  helper.watch()

  it("is on a terminal, with share, rate and time", function ()
    local path, to = filled(30000), helper.path "to"
    local text = on_terminal("sleep 0.1", "dump", path)
    if not text then return end
    assert.is_truthy(text:find("dump  [", 1, true))
    assert.is_truthy(text:find "%[#*%.*%] +%d+%%")
    assert.is_truthy(text:find("100%", 1, true))
    assert.is_truthy(text:find "%d/s")
    assert.is_truthy(text:find "%d:%d%d left")
    assert.is_truthy(text:find("\r\27[K", 1, true)) -- and goes away
    text = on_terminal("sleep 0.1", "repair", path, to)
    assert.is_truthy(text:find("repair  [", 1, true))
    assert.is_truthy(text:find("saved in", 1, true))
    text = on_terminal("sleep 0.1", "backup", path, helper.path "to")
    assert.is_truthy(text:find("backup  [", 1, true))
    assert.is_truthy(text:find("100%", 1, true))
    text = on_terminal("sleep 0.1", "compact", path)
    assert.is_truthy(text:find("compact  [", 1, true))
  end)

  it("isn't in a pipe or a file", function ()
    local path = filled(3000)
    local r = run("dump", path)
    assert.are.equal("", r.err)
    assert.is_nil(r.out:find("\27", 1, true))
    r = run_on(cli.file(r.out), "load", helper.path "to")
    assert.are.equal("lode: load: 3,001 entries loaded\n", r.err)
    assert.are.equal("", r.out)
    r = run("check", path)
    assert.are.equal("", r.err)
  end)
end)

describe("figures for people", function ()
  it("are short", function ()
    assert.are.equal("0", terminal.grouped(0))
    assert.are.equal("999", terminal.grouped(999))
    assert.are.equal("-1,234,567", terminal.grouped(-1234567))
    assert.are.equal("1023 B", terminal.bytes(1023))
    assert.are.equal("1.5 KiB", terminal.bytes(1536))
    assert.are.equal("2048.0 TiB", terminal.bytes(2^51))
    assert.are.equal("0:07", terminal.span(7.2))
    assert.are.equal("1:02:03", terminal.span(3723))
    assert.are.equal("3 days", terminal.span(3 * 86400 + 5))
    assert.are.equal("a?[b", terminal.harmless "a\27[b")
  end)
end)

describe("lode top", function ()
  helper.watch()

  it("is shown once off a terminal, or by --once", function ()
    local path = filled()
    for _, text in ipairs { output("top", path),
      output("top", path, "--once") } do
      assert.is_truthy(text:find "entries +21\n" or text:find
        "entries +21 ")
      assert.is_truthy(text:find "dict +20 ")
      assert.is_truthy(text:find("reader slots", 1, true))
      assert.is_nil(text:find("\27", 1, true))
    end
  end)

  it("is a screen of its own until q", function ()
    local path = filled()
    local text = on_terminal("sleep 0.4; printf q; sleep 0.1", "top", path,
      "--interval", "0.1")
    if not text then return end
    local _, looks = text:gsub("\27%[H", "")
    assert.is_true(looks >= 2, looks .. " looks")
    assert.is_truthy(text:find("\27[?1049h", 1, true))
    assert.is_truthy(text:find("\27[?25h\27[?1049l", 1, true))
    assert.is_truthy(text:find("q: quit", 1, true))
  end)

  it("gives the terminal back also after Ctrl-C", function ()
    local path = filled()
    local text = on_terminal("sleep 0.4; printf '\\003'; sleep 0.1", "top",
      path, "--interval", "0.1")
    if not text then return end
    assert.is_truthy(text:find("\27[?25h\27[?1049l", 1, true))
    assert.is_nil(text:find("traceback", 1, true))
  end)

  it("sees what others do meanwhile", function ()
    local path = filled()
    local child = helper.spawn([[
      local store = require("lode").open(...)
      local d = store:dict "d"
      print "ready" io.stdout:flush()
      for i = 1, 30 do
        d["new" .. i] = i
        for j = 1, 50 do local _ = d["new" .. j] end
        os.execute "sleep 0.05"
      end
    ]], path)
    child:line()
    local text = on_terminal("sleep 1.5; printf q; sleep 0.1", "top", path,
      "--interval", "0.5")
    child:finish()
    if not text then return end
    assert.is_truthy(text:find "commits[ %d]+[1-9]%d*/s", text)
    assert.is_truthy(text:find "reads[ ,%d]+/s +[1-9][%d.]+%% found", text)
    assert.is_truthy(text:find "entries[ %d]+%+[1-9]%d*/s", text)
  end)
end)

describe("lode repl", function ()
  helper.watch()

  local function script (text, path, ...)
    return run_on(cli.file(text), "repl", path, ...)
  end

  it("has every collection at hand", function ()
    local path = filled()
    local r = script("d[1]\ntags.red, tags.blue\ncollections.d == d\n"
      .. "d.x = { 1, 2.5 }\nd.x\nstore:stats().entries\n"
      .. "for i = 1, 2 do\n  print(i)\nend\n=set.len(tags)\nnothing\n",
      path)
    assert.are.equal("", r.err)
    assert.are.equal("1\ntrue\tnil\ntrue\n[1,2.5]\n22\n1\n2\n1\nnil\n",
      r.out)
    local store = helper.open(nil, path)
    assert.are.same({ 1, 2.5 }, store:dict("d").x)
  end)

  it("a script ends at its first error, with 1", function ()
    local path = filled()
    local r = script("d.a = 1\nerror 'stop'\nd.b = 1\n", path)
    assert.are.equal(1, r.status)
    assert.is_truthy(r.err:find("stop", 1, true))
    assert.are.equal(1, run("get", path, "d", "b").status)
    assert.are.equal(1, script("d.x = = 1\n", path).status)
    r = script("d.c = 1\n", path, "--readonly")
    assert.is_truthy(r.err:find("READONLY", 1, true))
    assert.are.equal("1\n", output("get", path, "d", "a"))
  end)

  it("a collection hides nothing that is Lua's or lode's", function ()
    local store, path = helper.open()
    store:dict("print").x = 1
    store:dict("set").x = 2
    store:close()
    local r = script("print(type(set.add))\ncollections.print.x\n"
      .. "collections.set.x\n", path)
    assert.are.equal("function\n1\n2\n", r.out)
    assert.are.equal("function", type(lode.set.add))
  end)

  it("greets a person, and asks", function ()
    local path = filled()
    local text = on_terminal("echo 'd[1] + 1'; sleep 0.2; printf '\\004'; "
      .. "sleep 0.1", "repl", path)
    if not text then return end
    assert.is_truthy(text:find("at hand: d, tags", 1, true), text)
    assert.is_truthy(text:find("> ", 1, true))
    assert.is_truthy(text:find "> 2\r?\n")
  end)

  it("makes a store only when asked to", function ()
    local path = helper.path()
    assert.are.equal(1, script("1\n", path).status)
    assert.are.equal(0, script("store:dict('d').x = 1\n", path,
      "--create").status)
    assert.are.equal("1\n", output("get", path, "d", "x"))
  end)
end)

-- lode in Neovim, which has a LuaJIT: everything lode does, and the example's
-- places over editors that run side by side, end, and are killed.

local engine = require "engines.engine"
local exercise = require "engines.exercise"
local helper = require "support.helper"
local lode = require "lode"
local program = require "support.program"

local dict = lode.dict
local it_in_neovim = engine.it_with "nvim"

describe("lode in Neovim", function ()
  helper.watch()

  local editors, home
  before_each(function ()
    editors, home = {}, helper.path "home"
    assert(select(2, helper.shell("mkdir " .. home)))
  end)
  after_each(function ()
    for _, editor in ipairs(editors) do program.stop(editor, "sigkill") end
  end)

  local function options ()
    return { cwd = home, env = engine.environment("luajit",
      { XDG_DATA_HOME = home, XDG_STATE_HOME = home, XDG_CONFIG_HOME = home,
        XDG_CACHE_HOME = home, HOME = home }) }
  end

  -- Runs an editor with these commands to its end; what it printed.
  local function run (...)
    local arguments = { "--headless", "-n", "-u", "NONE", "-i", "NONE" }
    for _, command in ipairs { ... } do
      arguments[#arguments + 1] = "-c"
      arguments[#arguments + 1] = command
    end
    local output, code = program.run("nvim", arguments, options())
    assert.are.equal(0, code, output)
    return output
  end

  local plugin = "luafile " .. engine.root .. "/examples/neovim/places.lua"

  -- Starts an editor that waits to be told.
  local function start ()
    local pipe = ("%s/pipe%d"):format(home, #editors)
    local editor = assert(program.start("nvim", { "--headless", "-n", "-u",
      "NONE", "-i", "NONE", "--listen", pipe, "-c", plugin }, options()))
    editor.pipe = pipe
    editors[#editors + 1] = editor
    assert(program.wait(function ()
      return editor.code or helper.shell("ls " .. pipe) == pipe .. "\n"
    end, 20) and not editor.code, editor.output)
    return editor
  end

  -- What an editor says to an expression of Vim's; first runs commands.
  local function ask (editor, expression, ...)
    for _, command in ipairs { ... } do
      ask(editor, ("execute('%s')"):format(command:gsub("'", "''")))
    end
    local output, code = program.run("nvim", { "--server", editor.pipe,
      "--remote-expr", expression }, options())
    assert.are.equal(0, code, output)
    return output
  end

  local function make_files ()
    for _, name in ipairs { "a", "b", "c" } do
      engine.write(home .. "/" .. name, ("line\n"):rep(100))
    end
  end

  it_in_neovim("brings no Lua of its own", function ()
    engine.brings_no_lua "luajit"
  end)

  it_in_neovim("does all it does", function ()
    local path = helper.path()
    local said = run(("lua io.write(_VERSION, ' ', "
      .. "require('exercise').run('%s'))"):format(path), "qa!")
    local n = tonumber(said:match "^Lua 5.1 (%d+)$")
    assert.is_true(n and n > 50, said)
    exercise.left(path)
  end)

  it_in_neovim("has a place for the next editor (the example)", function ()
    make_files()
    run(plugin, "edit a", "50", "edit b", "7", "qa!")
    local said = run(plugin, "edit a", "lua io.write(vim.fn.line('.'))",
      "Places", "qa!")
    assert.are.equal(("50  1  %s/b:7\r\n  2  %s/a:50"):format(home, home),
      (said:gsub("\r?\n", "\r\n")))
    local store = helper.open({ readonly = true },
      home .. "/nvim/places.lode")
    assert.are.equal(50, store:dict "places"[home .. "/a"].line)
  end)

  it_in_neovim("shares places between editors, of which one is killed",
    function ()
      make_files()
      local one, other = start(), start()
      ask(one, "1", "edit a", "50", "edit b", "60")
      local seen = program.wait(function ()
        return ask(other, "execute('Places')"):find("/a:50", 1, true)
      end, 10)
      assert.is_true(seen)
      assert.are.equal("50", ask(other, "line('.')", "edit a"))
      -- another place for a file that the first has open as well
      ask(other, "1", "77", "edit c", "3")
      program.wait(function ()
        return ask(one, "execute('Places')"):find("/a:77", 1, true)
      end, 10)
      assert.are.equal("77", ask(one, "line('.')", "bdelete a", "edit a"))
      program.sleep(0.3) -- its last batch: flush_ms is 50
      program.stop(one, "sigkill")
      ask(other, "1", "edit b", "9", "edit a")
      pcall(ask, other, "1", "qa!")
      assert.is_true(program.wait(function () return other.code end, 10))
      assert.are.equal(0, other.code)
      local said = run(plugin, "Places", "qa!")
      assert.are.equal(("  1  %s/a:77\n  2  %s/b:9\n  3  %s/c:3")
        :format(home, home, home), (said:gsub("\r", "")))
      local store = helper.open(nil, home .. "/nvim/places.lode")
      assert.are.equal(3, dict.len(store:dict "places"))
      assert.is_true(store:check().ok)
    end)

  it_in_neovim("keeps each place of editors that write at once", function ()
    make_files()
    local many, done = {}, 0
    for i = 1, 3 do
      many[i] = assert(program.start("nvim", { "--headless", "-n", "-u",
        "NONE", "-i", "NONE", "-c", plugin, "-c", ("lua for i = 1, 100 do "
        .. "vim.api.nvim_buf_set_name(0, '%s/f' .. i .. 'of%d') "
        .. "vim.cmd 'doautocmd BufLeave' end"):format(home, i), "-c", "qa!" },
        options()))
      editors[#editors + 1] = many[i]
    end
    for _, editor in ipairs(many) do
      assert.is_true(program.wait(function () return editor.code end, 60))
      assert.are.equal(0, editor.code, editor.output)
      done = done + 1
    end
    local store = helper.open(nil, home .. "/nvim/places.lode")
    assert.are.equal(100 * done, dict.len(store:dict "places"))
    assert.is_true(store:check().ok)
  end)
end)

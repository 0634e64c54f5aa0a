-- lode in LÖVE, which has a LuaJIT, without a window: everything lode does,
-- and the example's game, which quits or is killed and goes on.

local engine = require "engines.engine"
local exercise = require "engines.exercise"
local helper = require "support.helper"
local lode = require "lode"
local program = require "support.program"

local dict = lode.dict
local full = os.getenv "LODE_FULL" == "1"
local it_in_love = engine.it_with "love"

describe("lode in LÖVE", function ()
  helper.watch()

  local playing, home
  before_each(function () home = helper.path "home" end)
  after_each(function ()
    if playing then program.stop(playing, "sigkill") end
    playing = nil
  end)

  local function options ()
    return { env = engine.environment("luajit", { HEADLESS = "1",
      HOME = home, XDG_DATA_HOME = home, SDL_VIDEODRIVER = "dummy" }) }
  end

  local function play (frames)
    local output, code = program.run("love", { "examples/love", frames },
      options())
    assert.are.equal(0, code, output)
    return output
  end

  local function place () return home .. "/love/lode-sparks/game.lode" end

  -- The store as the game left it, at the game's own time.
  local function open ()
    local now = 0
    local store = helper.open({ clock = function () return now end }, place())
    local game = dict.totable(store:dict "game")
    now = game.age
    return store, game
  end

  -- A saved game is a whole frame, which makes 20 sparks and catches one.
  local function expect_whole (store, game)
    assert.are.equal(game.frame, game.points)
    assert.are.equal(20, dict.count(store:dict "sparks",
      { prefix = { game.frame } }))
    assert.is_true(store:check().ok)
  end

  it_in_love("brings no Lua of its own", function ()
    engine.brings_no_lua "luajit"
  end)

  it_in_love("does all it does", function ()
    local path = helper.path()
    local output, code = program.run("love", { "spec/engines/love", path },
      options())
    assert.are.equal(0, code, output)
    local n = tonumber(output:match "LuaJIT[^\n]*\t(%d+)\n")
    assert.is_true(n and n > 50, output)
    exercise.left(path)
  end)

  it_in_love("goes on where it was quit (the example)", function ()
    local said = play(150)
    assert.is_truthy(said:find "^frame 0, 0 sparks, 0 points\nframe 150, ",
      said)
    local sparks = said:match "frame 150, (%d+) sparks, 150 points"
    assert.is_truthy(sparks, said)
    local store, game = open()
    assert.are.equal(tonumber(sparks), dict.len(store:dict "sparks"))
    expect_whole(store, game)
    store:close()
    said = play(100)
    assert.is_truthy(said:find(("frame 150, %d sparks, 150 points\n"
      .. "frame 250, "):format(sparks), 1, true), said)
    local age = game.age
    store, game = open()
    assert.is_true(game.age > age)
    expect_whole(store, game)
  end)

  -- What a game that runs has come to.
  local function frame_now ()
    local ok, store = pcall(lode.open, place(), { readonly = true })
    if not ok then return 0 end
    local there, game = pcall(store.dict, store, "game")
    local frame = there and game.frame or 0
    store:close()
    return frame
  end

  it_in_love("goes on from a whole frame where it was killed", function ()
    local before = 0
    for _ = 1, full and 200 or 12 do
      playing = assert(program.start("love", { "examples/love" }, options()))
      local reached = program.wait(function ()
        return playing.code or frame_now() >= before + 20
      end, 30)
      assert.is_true(reached and not playing.code, playing.output)
      program.stop(playing, "sigkill")
      local store, game = open()
      assert.is_true(game.frame >= before + 20)
      expect_whole(store, game)
      before = game.frame
      store:close()
    end
    assert.is_truthy(play(10):find("^frame " .. before .. ", "))
  end)
end)

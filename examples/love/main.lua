-- A game for LÖVE that is always saved: sparks rise, glow for some seconds
-- and go; one that is caught in time is worth a point. Quit it, or kill it,
-- and start it again: it goes on with the same sparks.
--
-- Each frame is one transaction, so what is saved is always a whole frame.
-- "os": no frame waits for a disk, and a crash of the game loses none. The
-- clock is the game's: while it doesn't run, nothing grows old.

local lode = require "lode"
local dict = lode.dict

local BUDGET = { ms = 1 } -- for sweeping, of each frame
local age, frames, last, longest = 0, 0, math.huge, 0
local store, sparks, game

function love.load(arguments)
  last = tonumber(arguments[1]) or last -- the frame to quit after
  love.filesystem.createDirectory ""
  store = lode.open(love.filesystem.getSaveDirectory() .. "/game.lode", {
    durability = "os", maintenance = "off", clock = function () return age end,
  })
  sparks, game = store:dict "sparks", store:dict "game"
  age = game.age or 0
  print(("frame %d, %d sparks, %d points"):format(game.frame or 0, #sparks,
    game.points or 0))
end

local function frame(dt)
  age = age + dt
  game.age = age
  local n = dict.incr(game, "frame")
  for i = 1, 20 do
    local spark = { x = math.random(800), speed = 50 + math.random(100) }
    dict.set(sparks, { n, i }, spark, 0.5 + 2 * math.random())
  end
  local caught = dict.first(sparks) -- of those that still glow, the oldest
  if caught and dict.delete(sparks, caught) then dict.incr(game, "points") end
end

function love.update(dt)
  store:transaction(frame, math.min(dt, 0.1))
  local began = love.timer.getTime()
  store:maintain(BUDGET)
  longest = math.max(longest, love.timer.getTime() - began)
  frames = frames + 1
  if frames % 60 == 0 then store:flush { wait = false } end -- in a thread
  if frames >= last then love.event.quit() end
end

function love.draw()
  for at, spark in dict.pairs(sparks) do
    local y = 600 - (game.frame - at[1]) * spark.speed / 60
    love.graphics.circle("fill", spark.x, y, 2)
  end
  love.graphics.print(game.points .. " points", 10, 10)
end

function love.quit()
  print(("frame %d, %d sparks, %d points; sweeping took %.1f ms at most")
    :format(game.frame, #sparks, game.points, longest * 1000))
  store:close()
end

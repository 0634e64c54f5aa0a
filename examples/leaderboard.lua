-- A leaderboard: tuples { game, -points, player } as members of a set sort
-- by game, then by points downwards. Reading the top ten of millions reads
-- ten entries.
--
-- The store is the directory scores.lode.

local lode = require "lode"
local dict, set = lode.dict, lode.set

local store = lode.open "scores.lode"
local points = store:dict("points", { key = "tuple", value = "integer" })
local ranking = store:set("ranking", { key = "tuple" })

-- Adds points; the dict and the ranking change together or not at all.
local function score(game, player, gained)
  store:transaction(function ()
    local old = points[{ game, player }]
    if old then set.remove(ranking, { game, -old, player }) end
    local new = dict.incr(points, { game, player }, gained)
    set.add(ranking, { game, -new, player })
  end)
end

dict.clear(points)
set.clear(ranking)
for i = 1, 100 do
  score("chess", "player" .. i, i * 37 % 101)
  score("go", "player" .. i, i * 53 % 101)
end
score("chess", "player7", 100)
score("go", "ada", 99)

local function show(title, range)
  print(title)
  for entry in set.each(ranking, range) do
    print(("  %4d  %s"):format(-entry[2], entry[3]))
  end
end

show("chess, the best three", { prefix = { "chess" }, limit = 3 })
show("go, the last two", { prefix = { "go" }, reverse = true, limit = 2 })
show("chess, 50 to 48 points",
  { from = { "chess", -50 }, before = { "chess", -47 } })
print("players of go: " .. set.count(ranking, { prefix = { "go" } }))
store:close()

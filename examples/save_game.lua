-- A saved game: many changes that belong together are one transaction, and
-- a turn that goes wrong leaves nothing behind.
--
-- The store is the directory game.lode.

local lode = require "lode"
local dict = lode.dict

local store = lode.open "game.lode"
local heroes, rooms = store:dict "heroes", store:dict "rooms"
local log = store:dict("log", { key = "integer" })

dict.put_many(heroes, {
  ada = { hp = 20, gold = 5, items = { "lamp" }, at = "gate" },
  bob = { hp = 14, gold = 0, items = {}, at = "gate" },
})
dict.put_many(rooms, { gate = { gold = 0 }, vault = { gold = 100 } })
dict.clear(log)

local function note(text) log[#log + 1] = text end

-- One turn: the hero goes to a room and takes some gold.
local function raid(name, room, gold)
  local hero, there = heroes[name], rooms[room]
  note(name .. " enters the " .. room)
  hero.at = room
  heroes[name] = hero
  if there.gold < gold then error "not so much gold here" end
  there.gold, hero.gold = there.gold - gold, hero.gold + gold
  heroes[name], rooms[room] = hero, there
  note(name .. " takes " .. gold .. " gold")
end

store:transaction(raid, "ada", "vault", 70)
local ok, err = pcall(store.transaction, store, raid, "bob", "vault", 70)
if not ok then note("bob did not go: " .. tostring(err):gsub("^.-: ", "")) end

store:close()                       -- and the game is loaded again
store = lode.open("game.lode", { readonly = true })
heroes, rooms, log = store:dict "heroes", store:dict "rooms", store:dict "log"

for name, h in dict.pairs(heroes) do
  print(("%s is at the %s with %d gold"):format(name, h.at, h.gold))
end
print("left in the vault: " .. rooms.vault.gold)
for _, text in dict.pairs(log) do print("log: " .. text) end
store:close()

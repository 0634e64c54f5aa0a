-- An encrypted dict: what is written in it can be read with the password
-- alone. Which days it has entries for, and how long they are, stays visible.
--
-- The store is the directory diary.lode. Needs luaossl (Debian: lua-luaossl).

local lode = require "lode"
local serializer = require "lode.serializer"
local dict = lode.dict

-- The salt is no secret, and stands beside the diary.
local function open (store, password)
  local salt = dict.setdefault(store:dict "settings", "salt",
    require("openssl.rand").bytes(16))
  local key = serializer.key_from_password(password, salt)
  return store:dict("diary", { serializer = serializer.encrypted(key) })
end

local store = lode.open "diary.lode"
local diary = open(store, "correct horse battery staple")
diary["2026-11-20"] = { mood = "calm", text = "Rain. Read about B-trees." }
diary["2026-11-21"] = { mood = "glad", text = "It compiles!" }
for day, entry in dict.pairs(diary, { prefix = "2026-11" }) do
  print(day, entry.mood, entry.text)
end
store:close()

-- Someone who has the file, but not the password:
store = lode.open "diary.lode"
local ok, e = pcall(dict.get, open(store, "password1"), "2026-11-21")
print("with a wrong password", ok and "it is read" or e.code)
store:close()

-- And by what is on the disk:
local file = assert(io.open("diary.lode/data.mdb", "rb"))
local bytes = file:read "*a"
file:close()
print("a day is in the file", bytes:find("2026-11-21", 1, true) ~= nil)
print("its text is in the file", bytes:find("compiles", 1, true) ~= nil)

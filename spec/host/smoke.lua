-- What smoke.c runs: a bit of everything, with lode out of one file.

local store, given = ...
local lode = require "lode"
local dict, set = lode.dict, lode.set

given.text, given[1], given[{ "a", 1 }] = "text", { 1, { 2 } }, 1.5
assert(#given == 3 and given[1][2][1] == 2)

local capped = store:dict("capped", {
  max_entries = 10, evict = "lru", cache = 4, value = "integer",
  expire = lode.policy.any(lode.policy.idle(60), lode.policy.ttl(3600)),
})
store:transaction(function ()
  for i = 1, 100 do capped[i] = i end
end)
assert(#capped <= 26 and capped[100] == 100 and capped[100] == 100)

local a, b = store:set "a", store:set "b"
set.add_many(a, { "x", "y", "z" })
set.add_many(b, { "y", "z", "w" })
assert(#(a * b) == 2 and #(a + b) == 4)

local json = store:dict("json", { serializer = "msgpack" })
json.k = { list = { 1, 2, 3 } }
assert(json.k.list[3] == 3)

local keys = {}
for k in dict.keys(given) do keys[#keys + 1] = tostring(k) end
assert(#keys == 3)

local ok, e = pcall(function () given.f = print end)
assert(not ok and e.code == "BAD_VALUE")
assert(store:check().ok)

local own = lode.open(store:path() .. "-own", { durability = "behind" })
own:dict("d").x = 1
own:close()
assert(pcall(require, "resty.lode"))
print("ok", _VERSION, lode.version)

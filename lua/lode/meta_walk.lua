---@meta _
-- Order: ranges of keys, walks over them, neighbours, pages.

-- {==================================================================
-- Ranges
-- ====================================================================

---A part of a dict or set, in the order of keys. All fields are optional; any
---other one, and a field of the wrong kind, raises BAD_ARGUMENT.
---```lua
---local log = store:dict "log"
---log[{ 2026, 11, 20 }] = "rain"
---log[{ 2026, 12, 1 }] = "snow"
---log[{ 2027, 1, 1 }] = "sun"
---print(dict.count(log, { prefix = { 2026 } }))             --> 2
---print(dict.count(log, { after = { 2026, 12, 1 } }))       --> 1
---local range = { from = { 2026, 12 }, before = { 2028 }, reverse = true }
---for weather in dict.values(log, range) do print(weather) end
-----> sun
-----> snow
---```
---@class lode.range
---The first key, included.
---@field from lode.key?
---The last key, included.
---@field to lode.key?
---All past this key, without it; not with `from`.
---@field after lode.key?
---All up to this key, without it; not with `to`.
---@field before lode.key?
---What keys begin with: a string for strings, a shorter tuple for tuples.
---@field prefix string|lode.scalar[]|nil
---From the last to the first; default false.
---@field reverse boolean?
---Most entries; default all, of a page 100.
---@field limit integer?
---Walks only: pin one moment until the walk ends; default false. It ends with
---its last entry, with `break` on Lua 5.4, or with the collector.
---@field snapshot boolean?

-- }==================================================================

-- {==================================================================
-- Walks
-- ====================================================================

---@class lode.dict_functions
local dict = {}

---Walks a range in order. You may write meanwhile, and so may others: a walk
---reads ahead in pages and pins nothing between them. Each key comes at most
---once; what is written ahead of the walk may be seen or not.
---```lua
---local d = store:dict "d"
---d.b, d.a, d.c = 2, 1, 3
---for k, v in dict.pairs(d, { to = "b" }) do print(k, v) end
-----> a 1
-----> b 2
---```
---@param d lode.dict
---@param range lode.range?
---@return fun(): key: lode.key?, value: any
function dict.pairs (d, range) end

---Walks the keys of a range; decodes no value.
---```lua
---local d = store:dict "d"
---d.apple, d.apricot, d.pear = 1, 2, 3
---for k in dict.keys(d, { prefix = "ap" }) do print(k) end
-----> apple
-----> apricot
---```
---@param d lode.dict
---@param range lode.range?
---@return fun(): key: lode.key?
function dict.keys (d, range) end

---Walks the values of a range, in order of their keys.
---```lua
---local scores = store:dict "scores"
---scores[{ 30, "ada" }], scores[{ 20, "bob" }] = "Ada", "Bob"
---for who in dict.values(scores, { reverse = true, limit = 1 }) do
---  print(who)                                              --> Ada
---end
---```
---@param d lode.dict
---@param range lode.range?
---@return fun(): value: any
function dict.values (d, range) end

---The number of entries in a range that are alive.
---```lua
---local d = store:dict "d"
---dict.put_many(d, { 10, 20, 30, 40 })
---print(dict.count(d), dict.count(d, { from = 2, before = 4 }))  --> 4 2
---```
---@param d lode.dict
---@param range lode.range?
---@return integer n
function dict.count (d, range) end

---A part of a range, and the range of what follows; nothing is held between
---calls. So that range may go to a browser and come back: pages stay right
---when entries before them come or go (keyset pagination).
---```lua
---local d = store:dict "d"
---dict.put_many(d, { "a", "b", "c" })
---local page, rest = dict.page(d, { limit = 2 })
---print(#page, page[2][1], page[2][2], rest.after)          --> 2 2 b 2
---page, rest = dict.page(d, rest)
---print(#page, rest)                                        --> 1 nil
---```
---@param d lode.dict
---@param range lode.range? its limit is the size of a page; default 100
---@return { [1]: lode.key, [2]: any }[] page an array of key and value
---@return lode.range? rest the range of the next page; nil after the last
function dict.page (d, range) end

-- }==================================================================

-- {==================================================================
-- Neighbours
-- ====================================================================

---The first entry.
---```lua
---local d = store:dict "d"
---d.b, d.a = 2, 1
---print(dict.first(d))                                      --> a 1
---```
---@param d lode.dict
---@return lode.key? key nil when the dict is empty
---@return any value
function dict.first (d) end

---The last entry.
---```lua
---local d = store:dict "d"
---d.b, d.a = 2, 1
---print(dict.last(d))                                       --> b 2
---```
---@param d lode.dict
---@return lode.key? key nil when the dict is empty
---@return any value
function dict.last (d) end

---The nearest entry after a key, whether that is there or not.
---```lua
---local d = store:dict "d"
---d.apple, d.fig = 5, 1
---print(dict.next(d, "banana"))                             --> fig 1
---print(dict.next(d, "fig"))                                --> nil
---```
---@param d lode.dict
---@param key lode.key? nil: the first entry
---@return lode.key? key nil at the end
---@return any value
function dict.next (d, key) end

---The nearest entry before a key, whether that is there or not.
---```lua
---local d = store:dict "d"
---d.apple, d.fig = 5, 1
---print(dict.prev(d, "banana"))                             --> apple 5
---```
---@param d lode.dict
---@param key lode.key? nil: the last entry
---@return lode.key? key nil at the beginning
---@return any value
function dict.prev (d, key) end

-- }==================================================================

return dict

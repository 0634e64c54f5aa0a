---@meta _
-- The functions of `lode.dict`. Each takes a dict first.
--
-- `get`, `d[k]`, `get_many`, `fetch` and what reads in order to write count
-- as reads of an entry; `has`, walks and counts don't. `add`, `replace`,
-- `incr`, `cas`, `update`, `pop`, `popitem`, `setdefault` and `fetch` are
-- atomic between all threads and processes.

---A table on disk: `d[k]`, `d[k] = v`, `d[k] = nil`, `#d`, `pairs(d)`,
---`tostring(d)`; on Lua 5.3 and later also `ipairs(d)`, `table.insert(d, v)`
---and the like. What it gives is a copy: changing that changes nothing on disk.
---A handle of a dict that was dropped raises NOT_FOUND.
---```lua
---local users = store:dict "users"
---users.ada = { plan = "pro" }
---users.ada.plan = "free"                 -- changes a copy, and loses it
---print(users.ada.plan, users.bob, #users)                  --> pro nil 1
---```
---@class lode.dict: { [lode.key]: any }

---What can be done with a dict besides.
---@class lode.dict_functions
local dict = {}

---Seconds to live, above 0, fractions too; `math.huge`: for ever. Left out,
---the entry lives as its collection says, and where that says nothing, for
---ever, or for `update`, `incr` and `cas` to the end that it has.
---@alias lode.ttl number

-- {==================================================================
-- One entry
-- ====================================================================

---The value under a key, or the default. Raises BAD_KEY for what can't be a
---key, but nil is only absent.
---```lua
---local stock = store:dict "stock"
---stock.apple = 5
---print(dict.get(stock, "apple"), dict.get(stock, "kiwi", 0))  --> 5 0
---```
---@param d lode.dict
---@param key lode.key?
---@param default any what to give where there is none; default nil
---@return any value
function dict.get (d, key, default) end

---The value under a key, also after its end, until a sweep removes it; counts
---as no read. For answers that are better old than none.
---```lua
---local codes = store:dict("codes", { ttl = 60 })
---codes.ada = "4711"
---now = now + 90
---print(codes.ada, dict.get_stale(codes, "ada"))            --> nil 4711 true
---```
---@param d lode.dict
---@param key lode.key?
---@return any value nil where there is none
---@return boolean? stale whether it has come to its end
function dict.get_stale (d, key) end

---Whether there is an entry; decodes no value.
---```lua
---local d = store:dict "d"
---d.off = false
---print(dict.has(d, "off"), dict.has(d, "on"))              --> true false
---```
---@param d lode.dict
---@param key lode.key?
---@return boolean there
function dict.has (d, key) end

---Writes a value; nil deletes. Raises BAD_KEY; BAD_VALUE, naming the path to
---what can't be stored; READONLY, BUSY, FULL, DISK_FULL.
---```lua
---local codes = store:dict "codes"
---dict.set(codes, "bob", "0815", 600)
---print(codes.bob, dict.ttl(codes, "bob"))                  --> 0815 600.0
---```
---@param d lode.dict
---@param key lode.key
---@param value any
---@param ttl lode.ttl?
function dict.set (d, key, value, ttl) end

---Writes a value unless there is one. Raises what `dict.set` does, and
---BAD_VALUE for nil.
---```lua
---local locks = store:dict "locks"
---print(dict.add(locks, "door", "ada", 30))                 --> true
---print(dict.add(locks, "door", "bob", 30), locks.door)     --> false ada
---```
---@param d lode.dict
---@param key lode.key
---@param value any
---@param ttl lode.ttl?
---@return boolean added
function dict.add (d, key, value, ttl) end

---Writes a value where there is one. Raises what `dict.add` does.
---```lua
---local d = store:dict "d"
---d.a = 1
---print(dict.replace(d, "a", 2), dict.replace(d, "b", 2), #d)
-----> true false 1
---```
---@param d lode.dict
---@param key lode.key
---@param value any
---@param ttl lode.ttl?
---@return boolean replaced
function dict.replace (d, key, value, ttl) end

---Removes an entry.
---```lua
---local d = store:dict "d"
---d.a = 1
---print(dict.delete(d, "a"), dict.delete(d, "a"))           --> true false
---```
---@param d lode.dict
---@param key lode.key
---@return boolean there whether there was one
function dict.delete (d, key) end

---Takes an entry out.
---```lua
---local d = store:dict "d"
---d.a = 1
---print(dict.pop(d, "a"), dict.pop(d, "a", "gone"), #d)     --> 1 gone 0
---```
---@param d lode.dict
---@param key lode.key
---@param default any what to give where there is none; default nil
---@return any value
function dict.pop (d, key, default) end

---Takes the first or the last entry out: with tuple keys, a queue. Of all who
---try at once each gets another one.
---```lua
---local jobs = store:dict "jobs"
---jobs[{ 2, "sweep" }], jobs[{ 1, "cook" }] = "ada", "bob"
---local key, who = dict.popitem(jobs)
---print(key[2], who, #jobs)                                 --> cook bob 1
---```
---@param d lode.dict
---@param which "first"|"last"|nil default "first"
---@return lode.key? key nil when the dict is empty
---@return any value
function dict.popitem (d, which) end

---Writes a value unless there is one, and gives what is there then; as
---Python's `dict.setdefault`. Raises what `dict.set` does.
---```lua
---local d = store:dict "d"
---print(dict.setdefault(d, "a", 1), dict.setdefault(d, "a", 2))  --> 1 1
---```
---@param d lode.dict
---@param key lode.key
---@param value any nil writes nothing
---@param ttl lode.ttl?
---@return any value what is there afterwards
function dict.setdefault (d, key, value, ttl) end

---Reads, calls `fn(old)` once, and writes its result (nil deletes), with no
---other writer in between. When fn raises nothing changes, and the error
---passes through; when it returns no value at all and there was one, that
---raises BAD_VALUE. fn may read the store; a write in it raises REENTRY. Other
---writers wait while it runs. Raises what `dict.set` does.
---```lua
---local users = store:dict "users"
---users.ada = { logins = 1 }
---local function login (user)
---  user.logins = user.logins + 1
---  return user
---end
---print(dict.update(users, "ada", login).logins)            --> 2
---```
---@param d lode.dict
---@param key lode.key
---@param fn fun(old: any): any
---@param ttl lode.ttl?
---@return any value fn's result
function dict.update (d, key, fn, ttl) end

---Adds to a number. Raises BAD_VALUE where something else is; else what
---`dict.set` does.
---```lua
---local hits = store:dict "hits"
---print(dict.incr(hits, "home"), dict.incr(hits, "home", 10))  --> 1 11
---print(dict.incr(hits, "start", 1, 100))                   --> 101
---```
---@param d lode.dict
---@param key lode.key
---@param by number? default 1
---@param init number? what an absent entry counts as; default 0
---@param ttl lode.ttl? of a new entry; one that is there keeps its end
---@return number value the new number
function dict.incr (d, key, by, init, ttl) end

---Compares and sets: writes `value` where the stored one equals `expected`,
---tables by content, nil as absent. Raises what `dict.set` does.
---```lua
---local d = store:dict "d"
---d.pos = { 1, 2 }
---print(dict.cas(d, "pos", { 1, 2 }, { 3, 4 }), d.pos[1])   --> true 3
---print(dict.cas(d, "pos", { 1, 2 }, { 5, 6 }), d.pos[1])   --> false 3
---```
---@param d lode.dict
---@param key lode.key
---@param expected any
---@param value any nil deletes
---@param ttl lode.ttl?
---@return boolean written
function dict.cas (d, key, expected, value, ttl) end

-- }==================================================================

-- {==================================================================
-- Get or compute
-- ====================================================================

---How `dict.fetch` computes and keeps what is missing.
---@class lode.fetch_options
---Seconds that the result lives; default what the dict says.
---@field ttl number?
---Seconds that a nil is remembered, so that it isn't computed anew; default:
---it isn't.
---@field negative number?
---Seconds past its end that the old value is given, while another caller
---computes, so that nobody waits; default 0.
---@field stale number?
---Lets a caller compute a value now and then before its end, the likelier
---the nearer that is and the longer computing took: a factor, 1 is good;
---default 0, never. It is XFetch, of Vattani, Chierichetti and Lowenstein,
---"Optimal Probabilistic Cache Stampede Prevention", 2015.
---@field early number?
---Seconds to wait for another caller; default the store's `lock_timeout`.
---@field wait number?

---The value; where there is none, what `fn(key)` gives, which is stored. Of
---all callers that miss a key, in any thread and process, one computes and the
---others wait: BUSY when that takes too long. What fn raises passes through,
---and the next caller computes. No lock of the store is held meanwhile, so fn
---may read and write; to fetch the same key in it raises REENTRY. In a
---transaction nobody is waited for. In a `readonly` store READONLY where one
---had to be computed.
---```lua
---local skies = store:dict "skies"
---local function ask (town) return "fog over " .. town end
---print(dict.fetch(skies, "Bern", ask, { ttl = 600, stale = 60 }))
-----> fog over Bern
---print(skies.Bern)                                         --> fog over Bern
---```
---@param d lode.dict
---@param key lode.key
---@param fn fun(key: lode.key): any
---@param options number|lode.fetch_options|nil a number is the ttl
---@return any value
function dict.fetch (d, key, fn, options) end

-- }==================================================================

-- {==================================================================
-- Many at once
-- ====================================================================

---Writes many entries, all or none: a table's, a dict's, or those that an
---iterator function gives until its key is nil. Keys that come in order are
---loaded fastest. Raises what `dict.set` does.
---```lua
---local squares = store:dict "squares"
---local i = 0
---print(dict.put_many(squares, function ()
---  i = i + 1
---  if i <= 9 then return i, i * i end
---end))                                                     --> 9
---print(squares[9])                                         --> 81
---```
---@param d lode.dict
---@param entries table|lode.dict|fun(): key: lode.key?, value: any
---@param ttl lode.ttl?
---@return integer n the number written
function dict.put_many (d, entries, ttl) end

---Reads many entries.
---```lua
---local d = store:dict "d"
---d.a, d.b = 1, 2
---local found, missing = dict.get_many(d, { "a", "b", "c" })
---print(found.a, found.b, missing[1])                       --> 1 2 c
---```
---@param d lode.dict
---@param keys lode.key[]
---@return table found values by key
---@return lode.key[] missing
function dict.get_many (d, keys) end

---Removes many entries, all or none.
---```lua
---local d = store:dict "d"
---d.a, d.b = 1, 2
---print(dict.delete_many(d, { "a", "b", "c" }), #d)         --> 2 0
---```
---@param d lode.dict
---@param keys lode.key[]
---@return integer n the number removed
function dict.delete_many (d, keys) end

---Removes the entries of a range, all or none. Raises BAD_ARGUMENT for a
---range that is none.
---```lua
---local log = store:dict "log"
---log[{ 2026, 12 }], log[{ 2027, 1 }] = "snow", "sun"
---print(dict.delete_range(log, { prefix = { 2026 } }), #log)  --> 1 1
---```
---@param d lode.dict
---@param range lode.range
---@return integer n the number removed
function dict.delete_range (d, range) end

---Removes every entry; the dict stays.
---```lua
---local d = store:dict "d"
---d.a, d.b = 1, 2
---print(dict.clear(d), #d)                                  --> 2 0
---```
---@param d lode.dict
---@return integer n the number removed
function dict.clear (d) end

-- }==================================================================

-- {==================================================================
-- The dict as a whole
-- ====================================================================

---The number of entries that are alive, as `#d`.
---```lua
---local d = store:dict "d"
---d.a = 1
---print(dict.len(d), #d)                                    --> 1 1
---```
---@param d lode.dict
---@return integer n
function dict.len (d) end

---A new dict of the same store, with the same options and entries, and what
---is kept of their time. Raises INCOMPATIBLE where the name is taken.
---```lua
---local d = store:dict "d"
---d.a = 1
---local copy = dict.copy(d, "copy")
---d.a = 2
---print(copy.a, d.a)                                        --> 1 2
---```
---@param d lode.dict
---@param name string of 1 to 200 bytes
---@return lode.dict
function dict.copy (d, name) end

---All entries as of one moment, as a plain table. Tuple keys are tables.
---```lua
---local d = store:dict "d"
---d.a, d.b = 1, 2
---local t = dict.totable(d)
---print(t.a, t.b, next(t) ~= nil)                           --> 1 2 true
---```
---@param d lode.dict
---@return table
function dict.totable (d) end

---The present name; `store:rename` changes it.
---```lua
---print(dict.name(store:dict "users"))                      --> users
---```
---@param d lode.dict
---@return string
function dict.name (d) end

---What `dict.stats` and `set.stats` give.
---@class lode.collection_stats
---Entries or members, alive.
---@field entries integer
---Those past their time that are not removed yet.
---@field expired integer
---Of these: those kept for a policy or an on_expire that this process wasn't
---given.
---@field waiting integer
---Bytes of its pages.
---@field size integer
---Levels of its tree.
---@field depth integer
---Pages that lead to others.
---@field branch_pages integer
---Pages that hold entries.
---@field leaf_pages integer
---Pages that hold what is too large for a leaf.
---@field overflow_pages integer

---Sizes of a dict.
---```lua
---local d = store:dict "d"
---d.a = 1
---local stats = dict.stats(d)
---print(stats.entries, stats.depth, stats.overflow_pages)   --> 1 1 0
---```
---@param d lode.dict
---@return lode.collection_stats
function dict.stats (d) end

-- }==================================================================

return dict

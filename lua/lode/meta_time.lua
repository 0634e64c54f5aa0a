---@meta _
-- Past its end an entry is absent for every reader at once; a sweep takes it
-- out of the file later.
--
-- Spans are in seconds, fractions too, and are kept in whole milliseconds.
-- Times are in seconds since the epoch.

-- {==================================================================
-- Options
-- ====================================================================

---What a dict or a set is told of time. All of it is kept with it, but for
---functions (of a policy its name is kept) and `rearm`. A process that opens
---it without its policy or its `on_expire` sweeps nothing there. Raises
---BAD_ARGUMENT for `ttl` with `expire`, and `evict` without a cap.
---```lua
---local last = store:dict("last", { max_entries = 2, evict = "fifo" })
---last.a = 1; last.b = 2; last.c = 3
---print(last.a, last.b, last.c)                             --> nil 2 3
---```
---@class lode.time_options
---Seconds that each entry lives from its last write, unless the write says
---otherwise; default for ever.
---@field ttl number?
---Answers when an entry dies. A plain function has the name "function"; it has
---to be given each time.
---@field expire lode.expire|lode.policy|nil
---Is told of each entry that is removed because it died, or to keep a cap.
---@field on_expire lode.on_expire?
---At most so many entries, or up to 16 more for a while.
---@field max_entries integer?
---At most so many bytes of keys and values; a larger entry raises BAD_VALUE.
---@field max_bytes integer?
---Who goes first at a cap; default "sieve".
---@field evict lode.evict?
---Keep ctime, mtime, atime and hits of each entry, also where no policy needs
---them; default false.
---@field times boolean?
---These options replace those that are kept, and every entry gets its lifetime
---anew; not kept itself; default false.
---@field rearm boolean?

---Who goes first when a write takes a collection past its cap. A function gives
---a number, and the entry with the lowest goes. SIEVE is that of Zhang and
---others, "SIEVE is Simpler than LRU", 2024.
---@alias lode.evict
---| "sieve" # the oldest that was not read since the hand last came by
---| "lru" # the one that was not used for the longest time
---| "lfu" # the one with the fewest reads
---| "fifo" # the oldest
---| "ttl" # the one that dies next
---| fun(entry: lode.entry): number

---What `on_expire` is told: the entry as it was; its times and hits are nil
---where they aren't kept.
---@class lode.removed: lode.entry
---"evicted": to keep a cap.
---@field reason "expired"|"evicted"

---Runs in the transaction that removes the entry, and may write to the
---store. When it raises, nothing that it did is kept, and the entry stays,
---unseen by readers; that is logged, and tried again at a later sweep.
---```lua
---local gone = {}
---local codes = store:dict("codes", {
---  ttl = 60,
---  on_expire = function (key, value, e)
---    gone[#gone + 1] = key .. " " .. value .. " " .. e.reason
---  end,
---})
---codes.ada = "4711"
---now = now + 60
---store:maintain()
---print(gone[1])                                  --> ada 4711 expired
---```
---@alias lode.on_expire fun(key: lode.key, value: any, entry: lode.removed)

-- }==================================================================

-- {==================================================================
-- One entry
-- ====================================================================

---What is known of an entry. The first four are there where `times`, a policy
---or an evict function has them kept.
---@class lode.info
---When it was first written.
---@field ctime number?
---When it was last written.
---@field mtime number?
---When it was last read or written.
---@field atime number?
---How often it was read.
---@field hits integer?
---When it dies; nil: never.
---@field expires number?
---Bytes of key and value.
---@field size integer
---Of these, the value's; 0 for a member of a set.
---@field value_size integer

---@class lode.dict_functions
local dict = {}

---The seconds that an entry has left.
---```lua
---local codes = store:dict("codes", { ttl = 60 })
---codes.ada = "4711"
---now = now + 20
---print(dict.ttl(codes, "ada"), dict.ttl(codes, "bob"))     --> 40.0 nil
---```
---@param d lode.dict
---@param key lode.key
---@return number? seconds nil where there is no entry, or it doesn't expire
function dict.ttl (d, key) end

---Gives an entry another lifetime.
---```lua
---local codes = store:dict "codes"
---codes.ada = "4711"
---print(dict.expire(codes, "ada", 60), dict.expire(codes, "bob", 60))
-----> true false
---now = now + 60
---print(codes.ada)                                          --> nil
---```
---@param d lode.dict
---@param key lode.key
---@param ttl number? seconds from now, above 0; nil: it never dies
---@return boolean there whether there is one
function dict.expire (d, key, ttl) end

---Counts as a read, and gives an entry the lifetime of its dict anew.
---```lua
---local sessions = store:dict("sessions", { ttl = 60 })
---sessions.ada = {}
---now = now + 50
---print(dict.touch(sessions, "ada"), dict.ttl(sessions, "ada"))
-----> true 60.0
---```
---@param d lode.dict
---@param key lode.key
---@return boolean there whether there is one
function dict.touch (d, key) end

---What is known of an entry; counts as no read.
---```lua
---local d = store:dict("d", { times = true })
---d.a = "four"
---print(d.a, dict.info(d, "a").hits, dict.info(d, "a").expires)
-----> four 1 nil
---```
---@param d lode.dict
---@param key lode.key
---@return lode.info? info nil where there is no entry
function dict.info (d, key) end

---@class lode.set_functions
local set = {}

---The seconds that a member has left.
---```lua
---local s = store:set("s", { ttl = 60 })
---s.a = true
---print(set.ttl(s, "a"))                                    --> 60.0
---```
---@param s lode.set
---@param x lode.key
---@return number? seconds nil where it is no member, or doesn't expire
function set.ttl (s, x) end

---Gives a member another lifetime.
---```lua
---local s = store:set "s"
---s.a = true
---print(set.expire(s, "a", 60), set.ttl(s, "a"))            --> true 60.0
---```
---@param s lode.set
---@param x lode.key
---@param ttl number? seconds from now, above 0; nil: it never dies
---@return boolean there whether it is a member
function set.expire (s, x, ttl) end

---Counts as a read, and gives a member the lifetime of its set anew.
---```lua
---local online = store:set("online", { ttl = 60 })
---online.ada = true
---now = now + 50
---print(set.touch(online, "ada"), set.ttl(online, "ada"))   --> true 60.0
---```
---@param s lode.set
---@param x lode.key
---@return boolean there whether it is a member
function set.touch (s, x) end

---What is known of a member; counts as no read.
---```lua
---local s = store:set("s", { times = true })
---s.a = true
---now = now + 5
---print(now - set.info(s, "a").ctime)                       --> 5.0
---```
---@param s lode.set
---@param x lode.key
---@return lode.info? info nil where it is no member
function set.info (s, x) end

-- }==================================================================

-- {==================================================================
-- Upkeep
-- ====================================================================

---@class lode.store
local store = {}

---The bounds of one call of `store:maintain`.
---@class lode.budget
---Remove at most so many.
---@field entries integer?
---Take about so many milliseconds.
---@field ms integer?
---Leave what has died in the last so many seconds, for `dict.get_stale`.
---@field age number?

---Removes what has expired, collection after collection, and writes the
---reads that were noted. With a budget it stops there, and the next call
---goes on. Raises REENTRY in a transaction, BUSY, READONLY, BAD_ARGUMENT.
---```lua
---local codes = store:dict("codes", { ttl = 60 })
---dict.put_many(codes, { "a", "b", "c" })
---now = now + 60
---print(store:maintain { entries = 2, ms = 1000 })          --> 2 true
---print(store:maintain())                                   --> 1 false
---```
---@param budget lode.budget? default: until all is done
---@return integer removed
---@return boolean more whether more is due that can be removed here
function store:maintain (budget) end

-- }==================================================================

return dict, set, store

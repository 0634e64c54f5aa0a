---@meta _
-- A store is what `lode.open` gives. Its methods:

---A handle on a store. It belongs to one `lua_State`; others open their own.
---`tostring` tells its name, and on Lua 5.4 `<close>` closes it.
---@class lode.store
local store = {}

-- {==================================================================
-- Collections
-- ====================================================================

---What a set is opened with. All but functions is kept with it: when it is
---opened again, what is left out is taken from what is kept, and what is
---given has to agree, or INCOMPATIBLE names the option.
---@class lode.set_options: lode.time_options
---The type that each key or member must have; default any.
---@field key lode.type?
---How keys become bytes, by which they are then sorted; default lode's own.
---A string is the name of one of `lode.serializers`.
---@field key_serializer lode.serializer|string|nil
---A hash for keys of 480 bytes and more, of which 16 bytes are used; default
---SipHash. It has to be given each time.
---@field hash (fun(bytes: string): string)?
---Keys and values are bytes as they lie: a plain database of LMDB, as other
---programs write it. No other option goes with it; default false.
---@field raw boolean?

---What a dict is opened with: all that a set is, and what is about values.
---@class lode.dict_options: lode.set_options
---The type that each value must have; default any.
---@field value lode.type?
---How values become bytes; default strings as they are, all else
---MessagePack. A string is the name of one of `lode.serializers`.
---@field serializer lode.serializer|string|nil
---How many decoded values to keep in this `lua_State`; default none. They are
---never stale: each read compares the number of the last commit. A table
---among them is given to every reader: read it, and don't change it.
---@field cache integer?

---The dict of this name, made when absent. Raises BAD_ARGUMENT for options
---that there aren't or that contradict each other; INCOMPATIBLE where it was
---made with others, or is a set; NOT_FOUND where it is absent and the store
---`readonly`; FULL past the store's `collections`.
---```lua
---local ages = store:dict("ages", { key = "string", value = "integer" })
---ages.ada = 36
---print(ages.ada, ages.bob, #ages)                          --> 36 nil 1
---```
---@param name string of 1 to 200 bytes
---@param options lode.dict_options?
---@return lode.dict
function store:dict (name, options) end

---The set of this name, made when absent. Raises what `store:dict` does.
---```lua
---local tea = store:set("tea", { key = "string" })
---tea.ada = true
---print(tea.ada, tea.bob, #tea)                             --> true nil 1
---```
---@param name string of 1 to 200 bytes
---@param options lode.set_options?
---@return lode.set
function store:set (name, options) end

---Walks the collections in order of their names. What another program of
---LMDB made is "raw".
---```lua
---store:dict "users"; store:set "tags"
---for name, kind in store:collections() do print(name, kind) end
-----> tags set
-----> users dict
---```
---@return fun(): name: string?, kind: "dict"|"set"|"raw"|nil
function store:collections () end

---What is kept with a collection: as in `lode.dict_options`, but that of
---functions there is only a name or true.
---@class lode.kept_options
---The type of its keys.
---@field key lode.type?
---The type of its values.
---@field value lode.type?
---The name of its serializer.
---@field serializer string?
---The name of its key serializer.
---@field key_serializer string?
---True: it has a hash function of its own.
---@field hash boolean?
---True: its keys and values are bytes as they lie.
---@field raw boolean?
---Seconds that its entries live.
---@field ttl number?
---The name of its policy.
---@field expire string?
---True: that policy looks at atime or hits.
---@field reads boolean?
---True: it has a function that is told of what dies.
---@field on_expire boolean?
---True: it keeps times and hits of each entry.
---@field times boolean?
---Its cap in entries.
---@field max_entries integer?
---Its cap in bytes of keys and values.
---@field max_bytes integer?
---Who goes first; "function": as one says that ranks them.
---@field evict string?

---What a collection was made with, also where its serializer or policy is
---unknown to this program. Makes none.
---```lua
---store:dict("codes", { key = "string", ttl = 60 })
---local kind, options = store:options "codes"
---print(kind, options.key, options.ttl)               --> dict string 60.0
---print(store:options "nothing")                            --> nil
---```
---@param name string
---@return "dict"|"set"|"raw"|nil kind nil when there is none
---@return lode.kept_options? options
function store:options (name) end

---Removes a collection with all it holds. Handles of it raise NOT_FOUND from
---then on, in every process.
---```lua
---store:dict "old"
---print(store:drop "old", store:drop "old")                 --> true false
---```
---@param name string
---@return boolean there whether there was one
function store:drop (name) end

---Gives a collection another name. Raises INCOMPATIBLE when that is taken.
---```lua
---local words = store:dict "words"
---print(store:rename("words", "counts"), dict.name(words))  --> true counts
---```
---@param old string
---@param new string of 1 to 200 bytes
---@return boolean there whether there was one
function store:rename (old, new) end

-- }==================================================================

-- {==================================================================
-- Transactions and snapshots
-- ====================================================================

---Calls `fn(...)`. All that it does to the collections of this store commits
---together when it returns. When it raises, all is rolled back, and the error
---passes through unchanged. A call inside is a savepoint, as SQL has them.
---All other writers wait meanwhile, so keep it short. A yield out of it raises.
---Raises BUSY, READONLY, FULL, DISK_FULL.
---```lua
---local money = store:dict "money"
---money.ada, money.bob = 10, 0
---local ok = pcall(store.transaction, store, function (sum)
---  dict.incr(money, "bob", sum)
---  if dict.incr(money, "ada", -sum) < 0 then error "not enough" end
---end, 50)
---print(ok, money.ada, money.bob)                           --> false 10 0
---```
---@param fn fun(...): ...
---@param ... any what fn is given
---@return any ... fn's results
function store:transaction (fn, ...) end

---Calls `fn(...)`, all of whose reads see one moment, whatever others write.
---Writes inside it raise READONLY. While it lasts no page that it may look at
---is used again, so a long one lets the file grow.
---```lua
---local d = store:dict "d"
---d.a, d.b = 1, 2
---print(store:snapshot(function () return d.a + d.b end))   --> 3
---```
---@param fn fun(...): ...
---@param ... any what fn is given
---@return any ... fn's results
function store:snapshot (fn, ...) end

-- }==================================================================

-- {==================================================================
-- On disk
-- ====================================================================

---What `store:flush` takes.
---@class lode.flush_options
---False: only begin to, in a thread, and return; default true.
---@field wait boolean?

---Returns when all that this process wrote is on disk. It matters with the
---durabilities "os" and "behind". Raises what the last batch of writes behind
---failed with, having tried it again, and NOT_FOUND once after some were lost
---with their collection; with `wait = false` IO for a sync that was begun
---before and has failed.
---```lua
---local log = lode.open("log", { durability = "os" })
---dict.put_many(log:dict "lines", { "a", "b", "c" })
---log:flush()                                    -- now a power cut may come
---log:close()
---```
---@param options lode.flush_options?
function store:flush (options) end

---What `store:backup` takes.
---@class lode.backup_options: lode.check_path_options
---Leave free pages out: slower, and smaller; default false.
---@field compact boolean?

---Writes a copy of the last commit, while others read and write, and waits for
---no writer. What can't be finished is removed. Raises BAD_ARGUMENT where
---something is at the path already, REENTRY inside a transaction, BUSY when
---others commit so fast that no state holds still, DISK_FULL, IO.
---```lua
---store:dict("d").k = "v"
---store:backup("copy", { compact = true })
---local copy = lode.open("copy", { readonly = true })
---print(copy:dict("d").k)                                   --> v
---copy:close()
---```
---@param path string where nothing may be yet
---@param options lode.backup_options?
function store:backup (path, options) end

---Ends every dict, set and walk of this handle; what is pending is written
---first. Once more is fine. Later use of anything of it raises CLOSED.
---Raises what the last sync, or the last batch of writes behind, failed with:
---the handle is gone all the same. REENTRY from a policy, `on_expire`, evict
---function, progress or clock, which the store is waiting for.
---```lua
---local d = store:dict "d"
---store:close()
---print(select(2, pcall(dict.len, d)).code)                 --> CLOSED
---```
function store:close () end

-- }==================================================================

-- {==================================================================
-- What is known of it
-- ====================================================================

---Who reads the oldest moment, and so keeps its pages from being used again.
---@class lode.oldest_reader
---Commits that were made since that moment.
---@field commits integer
---Whose process it is.
---@field pid integer
---For how long, where it is a snapshot of this process.
---@field seconds number?

---What `store:stats` gives.
---@class lode.store_stats
---Bytes of the data file.
---@field file_size integer
---Bytes of it that entries and trees take.
---@field used_size integer
---Bytes of it that new writes fill first.
---@field free_size integer
---Bytes of address space reserved.
---@field map_size integer
---The quota, in bytes of file.
---@field max_size integer?
---Entries and members of all collections, alive.
---@field entries integer
---Dicts, sets and raw databases.
---@field collections integer
---As `store:version` gives it.
---@field version integer
---Reader slots in use, of all processes.
---@field readers integer
---Reader slots that there are.
---@field max_readers integer
---Who, in any process, reads an older moment than the last commit: the file
---grows for as long as that stays.
---@field oldest_reader lode.oldest_reader?
---Open handles of this process on this file.
---@field handles integer
---Entries past their time that are not removed yet.
---@field expired integer
---Of these: those kept for a policy or an on_expire that this process wasn't
---given.
---@field waiting integer
---Lookups by key by all processes since the store was made or its side file
---was, but for the few last ones of each. What a `cache` answers is none.
---@field reads integer
---How many of them found a live entry: `found / reads` is the hit ratio.
---@field found integer
---Reads noted by this process, not written yet.
---@field accesses integer
---Entries that this handle has removed since it was opened.
---@field swept integer
---When it last did, in seconds since the epoch.
---@field last_sweep number?
---Entries, alive, that went by this handle to keep a cap.
---@field evicted integer
---Writes behind, of this process, not on disk yet.
---@field pending integer
---Bytes of their keys and values.
---@field pending_bytes integer
---When a batch of them was last committed, in seconds since the epoch.
---@field last_flush number?
---What the last batch of them failed with; nil: it is on disk.
---@field failed lode.code?

---Sizes, readers and what waits to be done, now. It looks at each entry that
---is past its time, so it costs more the longer nobody has swept.
---```lua
---store:dict("d").k = "v"
---local stats = store:stats()
---print(stats.entries, stats.collections, stats.pending)    --> 1 1 0
---```
---@return lode.store_stats
function store:stats () end

---The path, as it was given to `lode.open`.
---```lua
---print(store:path())                                       --> data
---```
---@return string
function store:path () end

---A number that grows with each commit by anyone: whoever keeps what was read
---knows by it whether that is still true.
---```lua
---local before = store:version()
---store:dict("d").k = "v"
---print(store:version() > before)                           --> true
---```
---@return integer
function store:version () end

---How many entries that were alive have gone by this handle to keep a cap: as
---`store:stats` has it, at no cost.
---```lua
---local last = store:dict("last", { max_entries = 1, evict = "fifo" })
---last.a = 1; last.b = 2
---print(store:evicted(), last.a, last.b)                    --> 1 nil 2
---```
---@return integer
function store:evicted () end

-- }==================================================================

return store

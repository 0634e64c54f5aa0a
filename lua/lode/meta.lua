---@meta lode.core
-- `lode.open` gives a store; a store gives dicts and sets.

-- The texts of what the C module registers, for language servers and for
-- the reference (`make doc`). They are split by what they are about: meta_*
-- beside this file. No program loads them. A text stands above what it is
-- about, also above a field, as language servers read it; its samples are
-- run by the specs.

-- {==================================================================
-- Opening
-- ====================================================================

---What `require "lode"` gives. A dict or a set has no methods, since every
---key belongs to the user: what can be done with them are the functions of
---`lode.dict` and `lode.set`, as `table.insert` is one of `table`.
---
---Every function may raise a `lode.error`. Besides what is said at each, all
---that use a store raise CLOSED after its end, REENTRY where they are called
---from a place that can't wait for them, CORRUPT for damage found, IO and
---NO_MEMORY. All that use a dict or set raise NOT_FOUND once it was dropped.
---All that write raise READONLY; BUSY when another writer kept the lock
---longer than `lock_timeout`; FULL past the quota, DISK_FULL. Nothing of a
---write that raised is kept.
---@class lode
---What can be done with a dict.
---@field dict lode.dict_functions
---What can be done with a set.
---@field set lode.set_functions
---Rules for when entries die.
---@field policy lode.policies
---The version of lode, as "0.2.0".
---@field version string
local lode = {}

---What `lode.open` takes.
---@class lode.open_options
---Every write raises READONLY, and the store is never made; default false.
---A store whose files may not be written opens only so.
---@field readonly boolean?
---False: raise NOT_FOUND where there is no store; default true.
---@field create boolean?
---The path is a file (beside it PATH-lock and PATH-lode), not a directory;
---default false.
---@field single_file boolean?
---Permission bits of new files: octal digits in a string; default "0600".
---@field mode string?
---Bytes of address space to reserve. The default is as much as the system
---grants, at most 1 TiB; a smaller map grows by itself.
---@field map_size integer?
---The quota, in bytes of file: past it a write raises FULL, deletes still
---work; default: none.
---@field max_size integer?
---Most named collections; default 256.
---@field collections integer?
---Most readers at once, of all processes; default 1024.
---@field readers integer?
---Seconds to wait for another writer, then BUSY; default 10.
---@field lock_timeout number?
---"commit", the default: on disk when a write returns. "behind": in memory;
---a thread commits batches, in order and synced. "os": with the operating
---system, which outlives the process, not a power cut; `store:flush` syncs.
---@field durability "commit"|"behind"|"os"|nil
---With "behind": how many writes may wait; default 1000.
---@field flush_ops integer?
---With "behind": how many bytes of keys and values may wait; default 8 MiB.
---@field flush_bytes integer?
---With "behind": milliseconds that a write may wait, but for the time of the
---commit; default 50.
---@field flush_ms integer?
---With "behind": walks, counts and `#` first commit what is pending. False:
---they see what is committed; default true.
---@field autoflush_on_read boolean?
---Who removes what has expired: each write a few ("inline", the default), a
---thread ("background"), or `store:maintain` alone ("off").
---@field maintenance "inline"|"background"|"off"|nil
---True: the whole store is checked first, and CORRUPT raised where it isn't
---sound. "background": a thread does it, and tells `log`; default false.
---@field check boolean|"background"|nil
---The time in seconds since the epoch; default the system's. Not with
---`maintenance = "background"`, whose thread can't call Lua.
---@field clock (fun(): number)?
---Compare the checksum of each entry when it is read; default true.
---@field checksum boolean?
---Open on a network file system all the same, where neither maps nor locks
---can be trusted; default false.
---@field allow_unsafe_fs boolean?
---What messages call the store; default its path.
---@field name string?
---Is told what happens: level, message, and a table of details. "stderr"
---writes it there; default: nobody is told.
---@field log (fun(level: string, message: string, fields: table))|"stderr"|nil
---What is told: this and above; default "warn".
---@field log_level "debug"|"info"|"warn"|"error"|nil

---Opens the store at a path, and makes it when it is absent. A path may be
---open any number of times, in one process or several: all handles of a
---process share one environment of LMDB. After a fork the child's handles
---open it anew by themselves.
---
---Raises BAD_ARGUMENT for an option that there isn't or of the wrong kind;
---NOT_FOUND; NOT_A_STORE, INCOMPATIBLE and CORRUPT for files that are
---something else, too new, or damaged, which are then left as they are;
---UNSAFE_FS; READONLY; BUSY; DISK_FULL.
---```lua
---local notes = lode.open("notes", { durability = "os" })
---notes:dict("days").monday = "fog"
---notes:close()
---local e = select(2, pcall(lode.open, "nowhere", { create = false }))
---print(e.code)                                             --> NOT_FOUND
---```
---@param path string a directory; with `single_file` a file
---@param options lode.open_options?
---@return lode.store
function lode.open (path, options) end

-- }==================================================================

-- {==================================================================
-- Keys and values
-- ====================================================================

---A string with any bytes, a number (not NaN) or a boolean. `1` and `1.0`
---are one key, as in Lua.
---@alias lode.scalar string|number|boolean

---A scalar, or a tuple: an array of scalars, as `{ "2026", 11, 20 }`. At most
---1 MiB. All keys have one order: false, true, numbers by value, strings by
---byte, tuples element by element. Anything else raises BAD_KEY.
---@alias lode.key lode.scalar|lode.scalar[]

---A type that the keys or values of a collection must have; else a write
---raises BAD_KEY or BAD_VALUE.
---@alias lode.type
---| "string"
---| "integer" # a whole number; on Lua 5.3 and later not a float
---| "number"
---| "boolean"
---| "table" # values only
---| "tuple" # an array of scalars

-- }==================================================================

-- {==================================================================
-- Errors
-- ====================================================================

---What is raised, on every face but resty.lode. `tostring` makes one line of
---it. An absent entry is no error: it is nil or false. What a function of the
---user's raises passes through unchanged.
---```lua
---local ok, e = pcall(dict.set, store:dict "d", "k", print)
---print(e.code, e.collection, e.key)                        --> BAD_VALUE d k
---print(tostring(e):match "^lode: [A-Z_]+")            --> lode: BAD_VALUE
---```
---@class lode.error
---What happened, for programs.
---@field code lode.code
---What happened, and what to do, for people.
---@field message string
---The path of the store.
---@field path string?
---The name of the dict or set.
---@field collection string?
---The key that the call was about.
---@field key any
---"file:line" of the Lua code that made the call.
---@field where string?

---What an error is.
---@alias lode.code
---| "BAD_ARGUMENT" # an argument or option of the wrong kind, or unknown
---| "BAD_KEY" # nil, NaN, a tuple in a tuple, the wrong type, past 1 MiB
---| "BAD_VALUE" # can't be stored, or the wrong type; what a function gave
---| "CLOSED" # the store is closed
---| "READONLY" # a write to a readonly store, or inside a snapshot
---| "NOT_FOUND" # no store there, or the collection was dropped
---| "NOT_A_STORE" # the file is something else; nothing was touched
---| "INCOMPATIBLE" # a newer format, LMDB 1.0, or other options than kept
---| "UNSAFE_FS" # a network file system
---| "FULL" # past max_size, or the map can't grow
---| "DISK_FULL" # nothing of the write was kept
---| "READERS_FULL" # all reader slots are taken
---| "BUSY" # waited too long for another writer, or another fetch
---| "REENTRY" # called from a function that the store is waiting for
---| "CORRUPT" # the file is damaged; see store:check and lode.repair
---| "IO" # the system refused, in its own words
---| "NO_MEMORY" # an allocation failed; nothing has changed

-- }==================================================================

-- {==================================================================
-- For writers of serializers
-- ====================================================================

---What `require "lode.core"` gives: the C module itself. Programs want
---`require "lode"`; a serializer or policy of one's own may want these.
---@class lode.core: lode
local core = {}

---A value as MessagePack, as a dict stores it. Raises BAD_VALUE, naming the
---path to what can't be stored.
---```lua
---local core = require "lode.core"
---print(#core.pack { 1, 2, 3 })                             --> 4
---```
---@param value any
---@return string bytes
function core.pack (value) end

---The value that MessagePack bytes make. Raises CORRUPT.
---```lua
---local core = require "lode.core"
---print(core.unpack(core.pack { plan = "pro" }).plan)       --> pro
---```
---@param bytes string
---@return any value
function core.unpack (bytes) end

---Raises a `lode.error` of this code; `where` is the caller's caller.
---```lua
---local core = require "lode.core"
---local ok, e = pcall(core.raise, "BAD_VALUE", "too long", { key = 7 })
---print(e.code, e.message, e.key)                 --> BAD_VALUE too long 7
---```
---@param code lode.code
---@param message string
---@param fields table? further fields of the error
function core.raise (code, message, fields) end

---A string in Unicode's form NFC or NFKC, by the C library utf8proc. The
---serializers `nfc` and `nfkc` are made of it.
---```lua
----- needs utf8proc
---local core = require "lode.core"
---print(#"e\204\129", #core.normalize "e\204\129")          --> 3 2
---```
---@param text string in UTF-8
---@param compatible boolean? NFKC instead of NFC
---@return string? normalized
---@return string? why "absent" (the library), "invalid UTF-8" or "too long"
function core.normalize (text, compatible) end

---The test build only: the n-th allocation from now on fails; 0: none.
---@package
---@param n integer
function core.test_fail (n) end

---The test build only: what lode holds.
---@package
---@return integer blocks of memory
---@return integer handles that are open
function core.test_live () end

---The test build only: whether a collection's indexes are right.
---@package
---@param c lode.dict|lode.set
---@return integer calls in its index by time
---@return integer lost places where records and indexes don't agree
function core.test_indexes (c) end

-- }==================================================================

return core, lode

---@meta lode.core
-- The texts of what the C module registers, for language servers and the
-- generated reference. Never loaded by a program.
--
-- Every function may raise a `lode.error`. Besides what is said below, all
-- that use a store raise CLOSED after its end, CORRUPT for damage found, IO
-- and NO_MEMORY; all that use a dict or set raise NOT_FOUND once it was
-- dropped; all that write raise READONLY, BUSY (another writer kept the
-- lock longer than lock_timeout), FULL, DISK_FULL and REENTRY.

---@alias lode.code
---| "BAD_ARGUMENT" | "BAD_KEY" | "BAD_VALUE" | "CLOSED" | "READONLY"
---| "NOT_FOUND" | "NOT_A_STORE" | "INCOMPATIBLE" | "UNSAFE_FS" | "FULL"
---| "DISK_FULL" | "READERS_FULL" | "BUSY" | "REENTRY" | "CORRUPT" | "IO"
---| "NO_MEMORY"

---@class lode.error
---@field code lode.code
---@field message string what happened, and what to do
---@field path string? the store's path
---@field collection string? its dict or set
---@field key any the key that the call was about
---@field where string? "file:line" of the Lua code that made the call

---@alias lode.scalar string|number|boolean
---@alias lode.key lode.scalar|lode.scalar[] an array is a tuple
---@alias lode.type "string"|"integer"|"number"|"boolean"|"table"|"tuple"

---@class lode.range
---@field from lode.key? the first key, included
---@field to lode.key? the last key, included
---@field after lode.key? all past this key; not with `from`
---@field before lode.key? all up to this key, without it; not with `to`
---@field prefix string|lode.scalar[]? what a string, or a tuple, begins with
---@field reverse boolean? from the last to the first
---@field limit integer? most entries
---@field snapshot boolean? walks only: pin one moment until the walk ends

---@class lode.core
---@field version string of lode, "0.1.0"
---@field dict lode.dict_functions
---@field set lode.set_functions
local core = {}

-- {==================================================================
-- The module
-- ====================================================================

---@class lode.open_options
---@field readonly boolean? every write raises READONLY; default false
---@field create boolean? false: raise NOT_FOUND where there is no store
---@field single_file boolean? the path is a file, not a directory
---@field mode string? permission bits of new files, octal; default "0600"
---@field map_size integer? bytes of address space to reserve
---@field max_size integer? the quota, in bytes of file; default none
---@field collections integer? most named collections; default 256
---@field readers integer? reader slots; default 1024
---@field lock_timeout number? seconds to wait for a writer; default 10
---@field durability "commit"|"behind"|"os"? "commit" (the default): on disk
--- when a write returns; "behind": in memory, a thread commits batches in
--- order; "os": with the operating system
---@field flush_ops integer? with "behind": writes that may wait; default 1000
---@field flush_bytes integer? bytes of their keys and values; default 8 MiB
---@field flush_ms integer? age of the oldest, but for the commit; default 50
---@field autoflush_on_read boolean? with "behind": walks, counts and # commit
--- what is pending first; default true
---@field checksum boolean? compare checksums at reads; default true
---@field allow_unsafe_fs boolean? open on a network file system
---@field name string? for messages; default the path
---@field maintenance "inline"|"background"|"off"? who removes what has
--- expired: each write a few (the default), a thread, or store:maintain
---@field check boolean|"background"? whether the store is checked first
--- (CORRUPT), or by a thread that tells `log`; default false
---@field clock (fun(): number)? the time in seconds since the epoch;
--- default the system's. Not with maintenance = "background"
---@field log (fun(level: string, message: string, fields: table)|"stderr")?
---@field log_level "debug"|"info"|"warn"|"error"? default "warn"

---Opens the store at a path, making it when absent. Raises NOT_FOUND,
---NOT_A_STORE, INCOMPATIBLE, UNSAFE_FS, CORRUPT.
---@param path string
---@param options lode.open_options?
---@return lode.store
function core.open (path, options) end

---A value as MessagePack. Raises BAD_VALUE, naming the path to what can't be
---stored.
---@param value any
---@return string
function core.pack (value) end

---The value that MessagePack bytes make. Raises CORRUPT.
---@param bytes string
---@return any
function core.unpack (bytes) end

---Raises a lode.error, with these further fields.
---@param code lode.code
---@param message string
---@param fields table?
function core.raise (code, message, fields) end

---A string in a Unicode form, by the C library utf8proc; for lode.serializer.
---@param text string in UTF-8
---@param compatible boolean? NFKC instead of NFC
---@return string? normalized
---@return string? why "absent" (the library), "invalid UTF-8" or "too long"
function core.normalize (text, compatible) end

---The test build only: the n-th allocation from now on fails; 0: none.
---@param n integer
function core.test_fail (n) end

---The test build only.
---@return integer blocks of memory that lode holds
---@return integer handles that are open
function core.test_live () end

---The test build only.
---@param c lode.dict|lode.set
---@return integer calls in its index by time
---@return integer lost places where records and indexes don't agree
function core.test_indexes (c) end

-- }==================================================================

-- {==================================================================
-- Stores
-- ====================================================================

---@class lode.store
local store = {}

---@class lode.serializer
---@field name string kept with the collection
---@field encode fun(value: any): string
---@field decode fun(bytes: string): any

---@class lode.set_options: lode.time_options
---@field key lode.type? the type that each key must have
---@field key_serializer lode.serializer|string? or its name in lode.serializer
---@field hash (fun(bytes: string): string)? for keys of 480 bytes and more
---@field raw boolean? keys and values are bytes as they lie

---@class lode.dict_options: lode.set_options
---@field value lode.type? the type that each value must have
---@field serializer lode.serializer|string? or its name in lode.serializer
---@field cache integer? decoded values to keep in this lua_State; a table
--- among them is given to every reader, and not to be changed

---The dict of this name, made when absent. Options are kept with it.
---Raises INCOMPATIBLE, naming the option that differs.
---@param name string of 1 to 200 bytes
---@param options lode.dict_options?
---@return lode.dict
function store:dict (name, options) end

---The set of this name, made when absent.
---@param name string of 1 to 200 bytes
---@param options lode.set_options?
---@return lode.set
function store:set (name, options) end

---An iterator over the collections, in order of their names.
---@return fun(): string?, "dict"|"set"|"raw"|nil
function store:collections () end

---@class lode.kept_options what is kept with a collection; see
--- lode.dict_options
---@field key lode.type?
---@field value lode.type?
---@field serializer string? its name
---@field key_serializer string? its name
---@field hash boolean? true: it has a hash function of its own
---@field raw boolean?
---@field ttl number?
---@field expire string? the name of its policy
---@field reads boolean? true: that policy looks at atime or hits
---@field on_expire boolean? true: it is to be told of what dies
---@field times boolean?
---@field max_entries integer?
---@field max_bytes integer?
---@field evict string? "function": one that ranks entries

---What a collection was made with, also where its serializer or policy is
---unknown here. Makes none.
---@param name string
---@return "dict"|"set"|"raw"|nil kind nil when there is none
---@return lode.kept_options? options
function store:options (name) end

---Removes a collection with all it holds.
---@param name string
---@return boolean there whether there was one
function store:drop (name) end

---Gives a collection another name. Raises INCOMPATIBLE when that is taken.
---@param old string
---@param new string
---@return boolean there whether there was one
function store:rename (old, new) end

---Calls fn(...). What it does to this store commits together when it
---returns; an error rolls it back and passes through unchanged. A call
---inside is a savepoint.
---@param fn fun(...): ...
---@return any ... fn's results
function store:transaction (fn, ...) end

---Calls fn(...); all its reads see one moment, and writes raise READONLY.
---@param fn fun(...): ...
---@return any ... fn's results
function store:snapshot (fn, ...) end

---Returns when all that this process wrote is on disk. Raises what the last
---batch of writes behind fails with, having tried it again; NOT_FOUND, once,
---after writes were lost with their collection. With `wait = false` it only
---begins to, in a thread; IO also for one begun before that has failed.
---@param options { wait: boolean? }?
function store:flush (options) end

---Writes a copy of the last commit to `path`, where nothing may be yet.
---@param path string
---@param options { compact: boolean? }? compact: without free pages
function store:backup (path, options) end

---@class lode.oldest_reader
---@field commits integer made since the moment that it reads
---@field pid integer
---@field seconds number? for how long, where it is a snapshot of this process

---@class lode.store_stats
---@field file_size integer bytes of the data file
---@field used_size integer bytes of it that entries and trees take
---@field free_size integer bytes of it that new writes fill first
---@field map_size integer bytes of address space reserved
---@field max_size integer? the quota, in bytes
---@field entries integer of all collections
---@field collections integer
---@field version integer
---@field readers integer reader slots in use, of all processes
---@field max_readers integer
---@field oldest_reader lode.oldest_reader? who reads an older moment than the
--- last commit, in any process: the file grows for as long as that stays
---@field handles integer open handles of this process on this file
---@field expired integer entries past their time that are not removed yet
---@field waiting integer of these, kept for a policy or an on_expire that
--- this process wasn't given
---@field accesses integer reads noted by this process, not written yet
---@field swept integer entries that this handle has removed
---@field last_sweep number? when it last did
---@field evicted integer entries, alive, that went by this handle to keep a cap
---@field pending integer writes behind, of this process, not on disk yet
---@field pending_bytes integer bytes of their keys and values
---@field last_flush number? when a batch of them was committed last
---@field failed lode.code? of the last batch, when that failed

---@return lode.store_stats
function store:stats () end

---The path as it was given.
---@return string
function store:path () end

---A number that grows with each commit by anyone.
---@return integer
function store:version () end

---How many entries that were alive have gone by this handle to keep a cap; as
---`stats` has it, but at no cost.
---@return integer
function store:evicted () end

---Closes the store and all that belongs to it. Once more is fine. Raises
---what the last sync, or the last batch of writes behind, failed with.
function store:close () end

-- }==================================================================

-- {==================================================================
-- Dicts
-- ====================================================================

---A table on disk: d[k], d[k] = v, #d, pairs(d), tostring(d).
---@class lode.dict: { [lode.key]: any }

---What can be done with a dict besides.
---@class lode.dict_functions
local dict = {}

---The value under a key.
---@param d lode.dict
---@param key lode.key?
---@param default any
---@return any value or default
function dict.get (d, key, default) end

---Writes a value; nil deletes. Raises BAD_KEY, BAD_VALUE.
---@param d lode.dict
---@param key lode.key
---@param value any
---@param ttl number? seconds to live; math.huge: for ever; default: what the
--- dict says, else for ever
function dict.set (d, key, value, ttl) end

---Writes a value unless there is one.
---@param d lode.dict
---@param key lode.key
---@param value any
---@param ttl number? seconds to live; math.huge: for ever; default: what the
--- dict says, else for ever
---@return boolean added
function dict.add (d, key, value, ttl) end

---Writes a value where there is one.
---@param d lode.dict
---@param key lode.key
---@param value any
---@param ttl number? seconds to live; math.huge: for ever; default: what the
--- dict says, else for ever
---@return boolean replaced
function dict.replace (d, key, value, ttl) end

---@param d lode.dict
---@param key lode.key
---@return boolean there whether there was one
function dict.delete (d, key) end

---Whether there is an entry; reads no value, and counts as no read.
---@param d lode.dict
---@param key lode.key?
---@return boolean
function dict.has (d, key) end

---Takes an entry out.
---@param d lode.dict
---@param key lode.key
---@param default any
---@return any value or default
function dict.pop (d, key, default) end

---Takes the first or the last entry out.
---@param d lode.dict
---@param which "first"|"last"|nil default "first"
---@return lode.key? key nil when the dict is empty
---@return any value
function dict.popitem (d, which) end

---Writes a value unless there is one.
---@param d lode.dict
---@param key lode.key
---@param value any
---@param ttl number? seconds to live; math.huge: for ever; default: what the
--- dict says, else for ever
---@return any value what is there afterwards
function dict.setdefault (d, key, value, ttl) end

---Reads, calls fn(old) once, and writes its result (nil deletes), with no
---other writer in between. When fn raises nothing changes. fn may read the
---store; a write in it raises REENTRY.
---@param d lode.dict
---@param key lode.key
---@param fn fun(old: any): any
---@param ttl number? seconds to live; math.huge: for ever; default: what the
--- dict says, else to the end that it has
---@return any value fn's result
function dict.update (d, key, fn, ttl) end

---Adds to a number. Raises BAD_VALUE where something else stands.
---@param d lode.dict
---@param key lode.key
---@param by number? default 1
---@param init number? what an absent entry counts as; default 0
---@param ttl number? seconds that a new entry lives; one that is there keeps
--- its end, or begins what the dict says anew
---@return number value the new number
function dict.incr (d, key, by, init, ttl) end

---Writes `value` where the stored one equals `expected`: tables by content,
---nil as absent.
---@param d lode.dict
---@param key lode.key
---@param expected any
---@param value any nil deletes
---@param ttl number? seconds to live; math.huge: for ever; default: what the
--- dict says, else to the end that it has
---@return boolean written
function dict.cas (d, key, expected, value, ttl) end

---Writes many entries, all or none: a table's, a dict's, or those that an
---iterator function gives until its key is nil.
---@param d lode.dict
---@param entries table|lode.dict|fun(): lode.key?, any
---@param ttl number? seconds to live; math.huge: for ever; default: what the
--- dict says, else for ever
---@return integer n the number written
function dict.put_many (d, entries, ttl) end

---Reads many entries at one moment.
---@param d lode.dict
---@param keys lode.key[]
---@return table found values by key
---@return lode.key[] missing
function dict.get_many (d, keys) end

---Deletes many entries in one transaction.
---@param d lode.dict
---@param keys lode.key[]
---@return integer n the number removed
function dict.delete_many (d, keys) end

---Deletes the entries in a range, all or none.
---@param d lode.dict
---@param range lode.range
---@return integer n the number removed
function dict.delete_range (d, range) end

---Deletes every entry.
---@param d lode.dict
---@return integer n the number removed
function dict.clear (d) end

---The number of entries that are alive.
---@param d lode.dict
---@return integer
function dict.len (d) end

---The number of entries in a range.
---@param d lode.dict
---@param range lode.range?
---@return integer
function dict.count (d, range) end

---Walks a range in order. Others may write meanwhile: every key comes at
---most once.
---@param d lode.dict
---@param range lode.range?
---@return fun(): lode.key?, any
function dict.pairs (d, range) end

---Walks the keys of a range.
---@param d lode.dict
---@param range lode.range?
---@return fun(): lode.key?
function dict.keys (d, range) end

---Walks the values of a range.
---@param d lode.dict
---@param range lode.range?
---@return fun(): any
function dict.values (d, range) end

---A part of a range, with nothing held between calls.
---@param d lode.dict
---@param range lode.range? its limit is the size of a page; default 100
---@return table[] page an array of { key, value }
---@return lode.range? next the range of the next page; nil after the last
function dict.page (d, range) end

---@param d lode.dict
---@return lode.key? key nil when the dict is empty
---@return any value
function dict.first (d) end

---@param d lode.dict
---@return lode.key? key nil when the dict is empty
---@return any value
function dict.last (d) end

---The nearest entry after a key, whether that is there or not.
---@param d lode.dict
---@param key lode.key? nil: the first entry
---@return lode.key? key nil at the end
---@return any value
function dict.next (d, key) end

---The nearest entry before a key, whether that is there or not.
---@param d lode.dict
---@param key lode.key? nil: the last entry
---@return lode.key? key nil at the end
---@return any value
function dict.prev (d, key) end

---A new dict of the same store, with the same options and entries. Raises
---INCOMPATIBLE where the name is taken.
---@param d lode.dict
---@param name string
---@return lode.dict
function dict.copy (d, name) end

---All entries as of one moment.
---@param d lode.dict
---@return table
function dict.totable (d) end

---The present name; store:rename changes it.
---@param d lode.dict
---@return string
function dict.name (d) end

---@class lode.collection_stats
---@field entries integer
---@field expired integer past their time, and not removed yet
---@field waiting integer of these, kept for a policy or an on_expire that
--- this process wasn't given
---@field size integer bytes of its pages
---@field depth integer of its tree
---@field branch_pages integer
---@field leaf_pages integer
---@field overflow_pages integer

---@param d lode.dict
---@return lode.collection_stats
function dict.stats (d) end

-- }==================================================================

-- {==================================================================
-- Sets
-- ====================================================================

---A set on disk: s[x] is true or nil, s[x] = true, s[x] = nil, #s, pairs(s).
---`+ * - ^` (and `| & - ~` where Lua has them) make expressions, and `<= < ==`
---compare.
---@class lode.set: { [lode.key]: true? }
---@operator add(lode.set|lode.expression): lode.expression
---@operator mul(lode.set|lode.expression): lode.expression
---@operator sub(lode.set|lode.expression): lode.expression
---@operator pow(lode.set|lode.expression): lode.expression

---What an operator of sets makes: walked, counted or asked, it is computed
---anew in one ordered pass and in constant memory.
---@class lode.expression: lode.set

---What can be done with a set besides. Functions that only read take an
---expression as well.
---@class lode.set_functions
local set = {}

---@param s lode.set
---@param x lode.key
---@param ttl number? seconds to live; math.huge: for ever; default: what the
--- set says, else for ever
---@return boolean new whether it was no member
function set.add (s, x, ttl) end

---@param s lode.set
---@param x lode.key
---@return boolean there whether it was a member
function set.remove (s, x) end

---@param s lode.set|lode.expression
---@param x lode.key?
---@return boolean
function set.has (s, x) end

---Takes a member out.
---@param s lode.set
---@return lode.key? x nil when the set is empty
function set.pop (s) end

---Adds many members, all or none: an array's, a set's, or those that an
---iterator function gives until it gives nil.
---@param s lode.set
---@param members lode.key[]|lode.set|lode.expression|fun(): lode.key?
---@param ttl number? seconds to live; math.huge: for ever; default: what the
--- set says, else for ever
---@return integer n the number that is new
function set.add_many (s, members, ttl) end

---Removes many members, all or none.
---@param s lode.set
---@param members lode.key[]|lode.set|lode.expression|fun(): lode.key?
---@return integer n the number that were members
function set.remove_many (s, members) end

---Walks the members of a range in order.
---@param s lode.set|lode.expression
---@param range lode.range?
---@return fun(): lode.key?
function set.each (s, range) end

---The number of members.
---@param s lode.set|lode.expression
---@return integer
function set.len (s) end

---The number of members in a range.
---@param s lode.set|lode.expression
---@param range lode.range?
---@return integer
function set.count (s, range) end

---@param s lode.set|lode.expression
---@return lode.key? x nil when there is none
function set.first (s) end

---@param s lode.set|lode.expression
---@return lode.key? x nil when there is none
function set.last (s) end

---Removes every member.
---@param s lode.set
---@return integer n the number removed
function set.clear (s) end

---A new set of the same store, with the same options and members. Raises
---INCOMPATIBLE where the name is taken.
---@param s lode.set
---@param name string
---@return lode.set
function set.copy (s, name) end

---All members as the keys of a table, each with the value true.
---@param s lode.set|lode.expression
---@return table
function set.totable (s) end

---The present name; store:rename changes it.
---@param s lode.set
---@return string
function set.name (s) end

---@param s lode.set
---@return lode.collection_stats
function set.stats (s) end

---The members of any of them.
---@param a lode.set|lode.expression
---@param ... lode.set|lode.expression
---@return lode.expression
function set.union (a, ...) end

---The members of all of them.
---@param a lode.set|lode.expression
---@param ... lode.set|lode.expression
---@return lode.expression
function set.intersection (a, ...) end

---The members of the first that none of the others has.
---@param a lode.set|lode.expression
---@param ... lode.set|lode.expression
---@return lode.expression
function set.difference (a, ...) end

---The members of an odd number of them.
---@param a lode.set|lode.expression
---@param ... lode.set|lode.expression
---@return lode.expression
function set.symmetric_difference (a, ...) end

---Whether they have no member in common.
---@param a lode.set|lode.expression
---@param b lode.set|lode.expression
---@return boolean
function set.disjoint (a, b) end

---Makes the set of this name hold just the members of an expression; the
---set may be one of its operands.
---@param expr lode.set|lode.expression
---@param into lode.store
---@param name string
---@return lode.set
function set.save (expr, into, name) end

---Adds the members of an expression to a set, which may be one of its
---operands.
---@param s lode.set
---@param expr lode.set|lode.expression
function set.update (s, expr) end

-- }==================================================================

core.dict, core.set = dict, set
return core, store

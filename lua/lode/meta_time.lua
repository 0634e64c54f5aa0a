---@meta _
-- The texts of what has to do with time: lifetimes, caps, upkeep, get or
-- compute. It goes with meta.lua, as one class may be described in several
-- files; lode/policy.lua has its own texts. Never loaded by a program.
--
-- Spans are in seconds, fractions too, and are kept in whole milliseconds.
-- Times are in seconds since the epoch.

-- {==================================================================
-- Options
-- ====================================================================

---@alias lode.evict "sieve"|"lru"|"lfu"|"fifo"|"ttl"
---| fun(entry: lode.entry): number the lowest goes first

---What a dict or a set is told of time. All of it is kept with it, but for
---functions (of a policy its name is kept) and `rearm`. When it is opened
---again, what is left out is taken from what is kept, and what is given has
---to agree, or INCOMPATIBLE names the option.
---@class lode.time_options
---@field ttl number? seconds that each entry lives from its last write,
--- unless the write says otherwise
---@field expire lode.expire|lode.policy? answers when an entry dies. A
--- plain function has the name "function"; it has to be given each time
---@field on_expire lode.on_expire? is told of each entry that is removed
--- because it died, or to keep a cap
---@field max_entries integer? at most so many entries, or up to 16 more
--- for a while
---@field max_bytes integer? at most so many bytes of keys and values
---@field evict lode.evict? who goes first at a cap; default "sieve"
---@field times boolean? keep ctime, mtime, atime and hits of each entry,
--- also where no policy needs them
---@field rearm boolean? these options replace those that are kept, and
--- every entry gets its lifetime anew; not kept itself

---@class lode.removed: lode.entry what on_expire is told; its times and
--- hits are nil where they aren't kept
---@field expires number? when it died, or would have
---@field reason "expired"|"evicted" "evicted": to keep a cap

---Runs in the transaction that removes the entry, and may write to the
---store. When it raises, nothing that it did is kept, and the entry stays,
---unseen by readers; that is logged, and tried again at a later sweep.
---@alias lode.on_expire fun(key: lode.key, value: any, entry: lode.removed)

-- }==================================================================

-- {==================================================================
-- One entry
-- ====================================================================

---@class lode.info what is known of an entry
---@field ctime number? when it was first written
---@field mtime number? when it was last written
---@field atime number? when it was last read or written
---@field hits integer? how often it was read
---@field expires number? when it dies; nil: never
---@field size integer bytes of key and value
---@field value_size integer of these, the value's; 0 for a member of a set

---@class lode.dict_functions
local dict = {}

---The seconds that an entry has left.
---@param d lode.dict
---@param key lode.key
---@return number? seconds nil where there is no entry, or it doesn't expire
function dict.ttl (d, key) end

---Gives an entry another lifetime.
---@param d lode.dict
---@param key lode.key
---@param ttl number? seconds from now; nil: it never dies
---@return boolean there whether there is one
function dict.expire (d, key, ttl) end

---Counts as a read, and gives an entry the lifetime of its dict anew.
---@param d lode.dict
---@param key lode.key
---@return boolean there whether there is one
function dict.touch (d, key) end

---@param d lode.dict
---@param key lode.key
---@return lode.info? info nil where there is no entry
function dict.info (d, key) end

---The value under a key, also after its end, until a sweep removes it.
---@param d lode.dict
---@param key lode.key?
---@return any value
---@return boolean? stale whether it has come to its end
function dict.get_stale (d, key) end

---@class lode.set_functions
local set = {}

---The seconds that a member has left.
---@param s lode.set
---@param x lode.key
---@return number? seconds nil where it is no member, or doesn't expire
function set.ttl (s, x) end

---Gives a member another lifetime.
---@param s lode.set
---@param x lode.key
---@param ttl number? seconds from now; nil: it never dies
---@return boolean there whether it is a member
function set.expire (s, x, ttl) end

---Counts as a read, and gives a member the lifetime of its set anew.
---@param s lode.set
---@param x lode.key
---@return boolean there whether it is a member
function set.touch (s, x) end

---@param s lode.set
---@param x lode.key
---@return lode.info? info nil where it is no member
function set.info (s, x) end

-- }==================================================================

-- {==================================================================
-- Get or compute
-- ====================================================================

---@class lode.fetch_options
---@field ttl number? seconds that the result lives; default: what the dict
--- says
---@field negative number? seconds that nil is remembered; default: it isn't
---@field stale number? seconds past its end that the old value is given,
--- while another caller computes; default 0
---@field early number? a factor, 1 is good: compute some values before
--- they end, the sooner the longer that takes; default 0: none
---@field wait number? seconds to wait for another caller; default: the
--- lock_timeout of the store

---The value; where there is none, what fn(key) gives, which is stored. Of
---all callers that miss a key, in any thread and process, one computes and
---the others wait: BUSY when that takes too long. What fn raises passes
---through, and the next caller computes. fn may use the store, but not
---fetch the same key: REENTRY. In a transaction nobody is waited for.
---@param d lode.dict
---@param key lode.key
---@param fn fun(key: lode.key): any
---@param options number|lode.fetch_options? a number is the ttl
---@return any value
function dict.fetch (d, key, fn, options) end

-- }==================================================================

-- {==================================================================
-- Upkeep
-- ====================================================================

---@class lode.store
local store = {}

---@class lode.budget
---@field entries integer? remove at most so many
---@field ms integer? take about so many milliseconds
---@field age number? leave what has died in the last so many seconds, for
--- dict.get_stale

---Removes what has expired, collection after collection, and writes the
---reads that were noted. With a budget it stops there, and the next call
---goes on. Raises REENTRY in a transaction.
---@param budget lode.budget? default: until all is done
---@return integer removed
---@return boolean more whether more is due that can be removed here
function store:maintain (budget) end

-- }==================================================================

return dict, set, store

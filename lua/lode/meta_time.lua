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
---@field max_entries integer? at most so many entries; for as long as one
--- transaction lasts, and never by more than 16, there may be more
---@field max_bytes integer? at most so many bytes of keys and values
---@field evict lode.evict? who goes first at a cap; default "sieve"
---@field times boolean? keep ctime, mtime, atime and hits of each entry,
--- also where no policy needs them
---@field rearm boolean? these options replace those that are kept, and
--- every entry gets its lifetime anew; not kept itself

---Runs in the transaction that removes the entry. It may write to the
---store. When it raises, the entry stays, unseen by readers; that is
---logged, and tried again at a later sweep.
---@alias lode.on_expire fun(key: lode.key, value: any, entry: lode.entry)

-- }==================================================================

-- {==================================================================
-- One entry
-- ====================================================================

---@class lode.info what is known of an entry
---@field ctime number? when it was first written
---@field mtime number? when it was last written
---@field atime number? when it was last read or written
---@field hits integer? how often it was read
---@field expires number? when it dies; nil: never, or a policy will say
---@field size integer bytes of key and value

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
---@param ttl number? seconds from now
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
---@param ttl number? seconds from now
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

return dict, set

---@meta _
-- The texts of checks and repair. It goes with meta.lua. Never loaded by a
-- program.

-- {==================================================================
-- Checking
-- ====================================================================

---@class lode.check_path_options
---@field progress (fun(done: integer, total: integer))? bytes; an error that
--- it raises ends the call, and passes through unchanged

---@class lode.check_options: lode.check_path_options
---@field repair boolean? mend what can be mended where it stands

---@class lode.check_report
---@field ok boolean whether there are no problems (any more)
---@field entries integer of all collections, also what is past its time
---@field collections integer
---@field bytes integer of the pages that are in use
---@field problems string[] in words; with `repair` those that are left. Of
--- more than 1000 only the first
---@field mendable boolean? where there are any: `repair` can do something
--- about all of them
---@field mended string[]? with `repair`: what was done, in words
---@field dropped integer? with `repair`: entries that were lost in it

---@class lode.store
local store = {}

---Checks the whole store, page by page and entry by entry, as it was last
---committed, while others read and write. With `repair`: indexes and counts
---are made to agree with the entries, and damaged entries removed, in one
---transaction. Damage is no error: it is in the report.
---@param options lode.check_options?
---@return lode.check_report
function store:check (options) end

---@class lode.core
local core = {}

---Checks a store that is not open, also one that can't be opened. Raises
---NOT_FOUND, NOT_A_STORE, INCOMPATIBLE; BUSY when somebody writes to it.
---@param path string
---@param options lode.check_path_options?
---@return lode.check_report
function core.check (path, options) end

-- }==================================================================

-- {==================================================================
-- Salvage
-- ====================================================================

---@class lode.salvaged
---@field name string "lost+found#" and a number where it is lost
---@field kind "dict"|"set"|"raw"
---@field kept integer entries
---@field lost integer entries, as far as it can be known

---@class lode.salvage_report
---@field ok boolean whether nothing was lost
---@field older boolean whether it is the state before the last commit
---@field entries integer kept
---@field lost integer at least
---@field collections lode.salvaged[]
---@field problems string[] of the original

---Writes all that is sound of the store at `path`, however damaged, to a new
---one at `to`, where nothing may be yet. The original is only read. All is
---done in a child process. Raises CORRUPT when nothing can be made of it.
---@param path string
---@param to string
---@param options lode.check_path_options?
---@return lode.salvage_report
function core.repair (path, to, options) end

-- }==================================================================

return core, store

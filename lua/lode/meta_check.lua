---@meta _
-- Pages are read by code of lode's own, without LMDB, which trusts what it
-- reads: whatever the bytes are, a check ends and says what is wrong.

-- {==================================================================
-- Checking
-- ====================================================================

---What `lode.check` and `lode.repair` take, and other long work.
---@class lode.check_path_options
---Is told how many bytes are done, and of how many. An error that it raises
---ends the call, and passes through unchanged.
---@field progress (fun(done: integer, total: integer))?

---What `store:check` takes.
---@class lode.check_options: lode.check_path_options
---Mend what can be mended where it stands; default false.
---@field repair boolean?

---What a check has found.
---@class lode.check_report
---Whether there are no problems (any more).
---@field ok boolean
---Entries of all collections, sound or not, also what is past its time.
---@field entries integer
---Dicts, sets and raw databases.
---@field collections integer
---Bytes of the pages that are in use.
---@field bytes integer
---What is wrong, in words; with `repair` what is left of it. Of more than 1000
---only the first.
---@field problems string[]
---Where there are any: `repair` can do something about all of them.
---@field mendable boolean?
---With `repair`: what was done, in words.
---@field mended string[]?
---With `repair`: entries that were lost in it.
---@field dropped integer?

---@class lode.store
local store = {}

---Checks the whole store, page by page and entry by entry, as it was last
---committed, while others read and write. Damage is no error: it is in the
---report. With `repair`: indexes and counts are made to agree with the
---entries, and damaged entries removed, in one transaction; then it may raise
---READONLY, and REENTRY inside a transaction. Raises BUSY where the file
---changes too fast to be checked.
---```lua
---store:dict("d").k = "v"
---local report = store:check()
---print(report.ok, report.entries, #report.problems)        --> true 1 0
---print(#store:check({ repair = true }).mended)             --> 0
---```
---@param options lode.check_options?
---@return lode.check_report
function store:check (options) end

---@class lode
local lode = {}

---Checks a store that is not open, also one that can't be opened. Raises
---NOT_FOUND, NOT_A_STORE, INCOMPATIBLE; BUSY when somebody writes to it.
---```lua
---store:dict("d").k = "v"
---store:close()
---print(lode.check("data").ok)                              --> true
---```
---@param path string
---@param options lode.check_path_options?
---@return lode.check_report
function lode.check (path, options) end

-- }==================================================================

-- {==================================================================
-- Salvage
-- ====================================================================

---What there is of a collection after `lode.repair`.
---@class lode.salvaged
---Its name; "lost+found#" and a number where that is lost.
---@field name string
---What it is.
---@field kind "dict"|"set"|"raw"
---Entries that were kept.
---@field kept integer
---Entries that were lost, as far as it can be known.
---@field lost integer

---What `lode.repair` has done.
---@class lode.salvage_report
---Whether nothing was lost.
---@field ok boolean
---Whether it is the state before the last commit, the last one being damaged.
---@field older boolean
---Entries that were kept.
---@field entries integer
---Entries that were lost, at least.
---@field lost integer
---What there is of each.
---@field collections lode.salvaged[]
---What is wrong with the original, in words.
---@field problems string[]

---Writes all that is sound of the store at `path`, however damaged, to a new
---one at `to`. It takes the newest state, if that is whole; else the one before
---it, if that is; else every sound entry that can be found. The original is
---only read, and all is done in a child process, so that whatever damage does,
---it does there. Raises CORRUPT when nothing can be made of it; BAD_ARGUMENT
---where something is at `to`; NOT_FOUND, NOT_A_STORE, INCOMPATIBLE, BUSY,
---DISK_FULL.
---```lua
---store:dict("d").k = "v"
---store:close()
---local report = lode.repair("data", "saved")
---print(report.ok, report.entries, report.lost)             --> true 1 0
---print(report.collections[1].name)                         --> d
---```
---@param path string
---@param to string where nothing may be yet
---@param options lode.check_path_options?
---@return lode.salvage_report
function lode.repair (path, to, options) end

-- }==================================================================

return store, lode

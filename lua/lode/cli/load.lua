--- The command load: makes a store of what dump wrote.
--
-- Lines are read and understood before the store is locked, so that a slow
-- pipe keeps no other writer out; then they are written, so many at a time,
-- in one transaction. Whatever ends it early, the store is whole, and has all
-- of what came before some line.

local cli = require "lode.cli"
local forms = require "lode.cli.forms"
local guard = require "lode.cli.guard"
local stores = require "lode.cli.stores"
local terminal = require "lode.cli.terminal"

local batch_entries = 10000
local batch_bytes = 8 * 2^20

---@class lode.cli.loading
---@field store lode.store
---@field source table lines: see `lines_of`
---@field read function the reader of a form
---@field foreign boolean? the form knows no options and no "never"
---@field collections table<string, lode.cli.collection>
---@field current lode.cli.collection?
---@field batch table[] what is read and not written
---@field bytes integer of it
---@field limit integer entries of a batch
---@field loaded integer entries that are committed
---@field past integer entries whose end had come
---@field now integer the time that the store is told
local loading = {}
loading.__index = loading

-- Standard input by lines, with their number and the bytes so far.
local function lines_of (file)
  local source = { number = 0, bytes = 0 }
  local here = file:seek "cur"
  local size = here and file:seek "end"
  if size then file:seek("set", here) end
  source.total = size and size > here and size - here or nil
  function source.next ()
    local line, why = file:read "*l"
    if why then error("can't read: " .. why, 0) end
    if not line then return nil end
    source.number = source.number + 1
    source.bytes = source.bytes + #line + 1
    return line
  end
  return source
end

-- How long an entry lives. The store's time stands still while a batch is
-- written, so that an end that was dumped is the end that is kept, to the
-- millisecond. Nil: what the collection says; 0: its end has come.
local function ttl_of (self, c, expires)
  if not expires then
    return not (c.answers or self.foreign) and math.huge or nil
  end
  local left = math.floor(expires * 1000 + 0.5) - self.now * 1000
  if left <= 0 then return 0 end
  return not c.answers and (left - 0.5) / 1000 or nil
end

function loading:put (c, key, value, expires)
  local ttl = ttl_of(self, c, expires)
  if c.kind == "raw" then ttl = nil end
  if ttl == 0 then
    self.past = self.past + 1
    return
  end
  c.deadline = expires
  c:put(key, value, ttl)
end

-- Writes what is read.
function loading:write ()
  local batch = self.batch
  self.batch, self.bytes = {}, 0
  if #batch == 0 then return end
  self.now = os.time()
  self.store:transaction(function ()
    for _, op in ipairs(batch) do
      local ok, problem = pcall(self.put, self, op[1], op[2], op[3], op[4])
      if not ok then
        if cli.is_interrupt(problem) then error(problem, 0) end
        error(("line %d: %s: %s"):format(op[5], op[1].name,
          cli.reason(problem)), 0)
      end
    end
  end)
  self.loaded = self.loaded + #batch
end

-- A collection begins.
function loading:begin (name, kind, options, bytes)
  self:write()
  local c = self.collections[name]
  if not c and self.foreign and self.store:options(name) then
    c = stores.collection(self.store, name)
  elseif not c then
    local as_bytes = {}
    for _, which in ipairs(bytes) do
      as_bytes[which == "k" and "key" or "value"] = true
    end
    c = stores.make(self.store, name, kind, options, as_bytes)
  end
  self.collections[name], self.current = c, c
end

function loading:take (key, value, expires)
  local c = self.current
  if not c then error("an entry before any collection", 0) end
  if expires ~= nil and type(expires) ~= "number" then
    error('"t" is a number of seconds since the epoch', 0)
  elseif c.kind ~= "set" and value == nil then
    error('an entry of a dict without "v"', 0)
  end
  self.batch[#self.batch + 1] = { c, key, value, expires,
    self.source.number }
end

-- Reads one event and does what it says; false at the end.
function loading:step ()
  local before = self.source.bytes
  local what, a, b, c, d = self.read()
  if what == nil then return false end
  if what == "collection" then
    self:begin(a, b, c, d)
  elseif what == "entry" then
    self:take(a, b, c)
    self.bytes = self.bytes + self.source.bytes - before
  elseif what == "end" then
    self.ended = true
  end
  return true
end

-- Everything; what has failed is told with its line.
function loading:run (bar)
  repeat
    local ok, result = pcall(self.step, self)
    if not ok then
      if cli.is_interrupt(result) or tostring(result):find "^line %d" then
        error(result, 0)
      end
      error(("line %d: %s"):format(self.source.number, cli.reason(result)),
        0)
    end
    if #self.batch >= self.limit or self.bytes >= batch_bytes then
      self:write()
    end
    if self.source.number % 64 == 0 then bar:to(self.source.bytes) end
  until not result
  self:write()
end

local function summary (self)
  local text = ("%s entries loaded"):format(terminal.grouped(self.loaded
    - self.past))
  if self.past > 0 then
    text = text .. (", %s left out whose time had come"):format(
      terminal.grouped(self.past))
  end
  return text
end

local function reader_of (call, source)
  local options, name = call.options, call.args[2]
  if options.raw then return forms.raw.reader(source.next, name) end
  if options.flat then
    return forms.flat.reader(source.next, name, options.types)
  end
  return forms.json.reader(source.next)
end

local function new (call)
  local source = lines_of(io.stdin)
  local limit = cli.number(call, "batch", 1, true) or batch_entries
  local self = setmetatable({ source = source, collections = {}, batch = {},
    bytes = 0, limit = limit, loaded = 0, past = 0, now = os.time(),
    read = reader_of(call, source),
    foreign = call.options.raw or call.options.flat }, loading)
  self.store = stores.writing(call.args[1], { create = true,
    clock = function () return self.now end })
  return self
end

local function load (call)
  local self = new(call)
  local atomic = call.options.atomic
  stores.with(self.store, function (store)
    local bar = terminal.progress("load", self.source.total, terminal.bytes)
    local function run () self:run(bar) end
    local ok, problem = guard(function ()
      if atomic then store:transaction(run) else run() end
    end)
    bar:finish()
    if not ok then
      cli.tell("load: %s; the store is whole", atomic
        and "nothing is loaded" or summary(self))
      error(problem, 0)
    end
  end)
  if not call.options.raw and not call.options.flat and not self.ended then
    cli.tell("load: %s, but the dump was cut off: it has no last line",
      summary(self))
    return cli.status.no
  end
  if not call.options.quiet then cli.tell("load: %s", summary(self)) end
end

local command = {
  usage = "PATH [COLLECTION]",
  least = 1, most = 2,
  text = [[
Reads what `lode dump` wrote from standard input, and puts it into a store,
made when it is absent. Collections are made with their options; one that is
there keeps its entries, those of the same key are replaced, and its options
must agree. An entry whose time has come is left out.

Entries are written 10,000 at a time, each time in a transaction. So Ctrl-C, or
a line that is wrong, leaves a whole store with what came before, and a message
says how much that is; loading the file again completes it. With --atomic it is
all or nothing, and other writers wait meanwhile.
]],
  options = {
    { "batch", "N", "entries in a transaction" },
    { "atomic", nil, "all in one transaction" },
    { "raw", nil, "read what mdb_dump wrote, into plain LMDB databases; "
      .. "COLLECTION is the name for one without a name" },
    { "flat", nil, "read lines of key, tab, value, and perhaps a tab and "
      .. "seconds to live, into the dict COLLECTION; "
      .. "\\t \\n \\r \\\\ \\xHH in them" },
    { "types", nil, "with --flat: 3, 1.5, true and false are no strings" },
    { "quiet", nil, "say nothing when all is well" },
  },
  run = function (call)
    local options = call.options
    if options.raw and options.flat then
      cli.misuse "either --raw or --flat"
    elseif options.flat and not call.args[2] then
      cli.misuse "--flat takes a COLLECTION"
    elseif call.args[2] and not options.flat and not options.raw then
      cli.misuse "a COLLECTION goes with --flat or --raw only"
    end
    return load(call)
  end,
}

return { load = command }

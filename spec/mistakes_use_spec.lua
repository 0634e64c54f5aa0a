-- What a newcomer does wrong with dicts and sets that are open: keys, values,
-- arguments, callbacks, stores that are closed. Each message says what
-- happened, where, and what to do. See mistakes_open_spec.lua.

local helper = require "support.helper"
local lode = require "lode"
local mistakes = require "support.mistakes"

local dict, set = lode.dict, lode.set
local mistake = mistakes.raises

describe("taking a dict for something else:", function ()
  helper.watch()

  mistake("calling it", "BAD_ARGUMENT",
    { "a dict can't be called", "collection users", "d[key]" },
    function (_, users) users "ada" end)

  mistake("for k, v in users do", "BAD_ARGUMENT",
    { "a dict can't be called", "collection users", "dict.pairs(d)" },
    function (_, users) for _ in users do error "walked" end end)

  mistake("for x in staff do", "BAD_ARGUMENT",
    { "a set can't be called", "collection staff", "set.each(s)" },
    function (_, _, staff) for _ in staff do error "walked" end end)

  mistake("dict:get, with a colon", "BAD_ARGUMENT",
    { "called with a colon", "'get'", "with a dot, as dict.get(d, key)" },
    function (_, users) dict:get(users, "ada") end)

  mistake("its name in its place", "BAD_ARGUMENT",
    { 'a dict expected, got "users"', "#1 to 'get'",
      "store:dict(name) gives one" },
    function () dict.get("users", "ada") end)

  mistake("the store in its place", "BAD_ARGUMENT",
    { "a dict expected, got a store", "#1 to 'set'",
      "store:dict(name) gives one" },
    function (store) dict.set(store, "ada", 1) end)

  mistake("a plain table in its place", "BAD_ARGUMENT",
    { "a dict expected, got a table", "#1 to 'incr'",
      "store:dict(name) gives one" },
    function () dict.incr({ n = 1 }, "n") end)

  mistake("a set read as a dict", "BAD_ARGUMENT",
    { "a dict expected, got a set", "#1 to 'get'", "are in lode.set" },
    function (_, _, staff) dict.get(staff, "ada") end)

  mistake("a dict added to as a set", "BAD_ARGUMENT",
    { "a set expected, got a dict", "#1 to 'add'", "are in lode.dict" },
    function (_, users) set.add(users, "bob") end)

  mistake("a dict in the algebra of sets", "BAD_ARGUMENT",
    { "got a dict", "#2 to 'union'", "a set or an expression expected" },
    function (_, users, staff) set.union(staff, users) end)

  mistake("a change to an expression", "BAD_ARGUMENT",
    { "can't be changed", "(staff * admins)", "keep it with set.save" },
    function (store, _, staff)
      local both = staff * store:set "admins"
      both.bob = true
    end)
end)

describe("keys that can't be:", function ()
  helper.watch()

  local can = "strings, numbers, booleans and tuples (arrays) of these can"

  mistake("nil", "BAD_KEY",
    { "nil can't be a key", "collection users", can },
    function (_, users) users[nil] = 1 end)

  mistake("not a number", "BAD_KEY",
    { "NaN can't be a key", "collection users", can },
    function (_, users) users[0 / 0] = 1 end)

  mistake("a function", "BAD_KEY",
    { "a function can't be a key", "collection users", can },
    function (_, users) users[print] = 1 end)

  mistake("a file handle, of a set", "BAD_KEY",
    { "can't be a key", "collection staff", can },
    function (_, _, staff) staff[io.stdout] = true end)

  mistake("a member left out", "BAD_KEY",
    { "nil can't be a key", "collection staff", can },
    function (_, _, staff) set.add(staff) end)

  mistake("a tuple in a tuple", "BAD_KEY",
    { "key[2]: a table can't be part", "key {2026, {...}}",
      "strings, numbers and booleans can" },
    function (_, users) users[{ 2026, { 11, 20 } }] = 1 end)

  mistake("a function in a tuple", "BAD_KEY",
    { "key[2]: a function can't be part", "key {2026, a function}",
      "strings, numbers and booleans can" },
    function (_, users) users[{ 2026, print }] = 1 end)

  mistake("a table with names", "BAD_KEY",
    { "without holes or other fields", "collection users",
      'as {"2026", 11}' },
    function (_, users) users[{ year = 2026 }] = 1 end)

  mistake("a book", "BAD_KEY",
    { "a key has at most 1048576 bytes", 'key "kkkk', "in the value" },
    function (_, users) users[("k"):rep(2 ^ 20 + 1)] = 1 end)

  mistake("a number where strings were asked for", "BAD_KEY",
    { "is a string (its option 'key'), not 1", "collection names", "'key'" },
    function (store) store:dict("names", { key = "string" })[1] = "Ada" end)

  mistake("a number in a raw dict", "BAD_KEY",
    { "1 can't be a key", "collection bytes", "only a string can" },
    function (store) store:dict("bytes", { raw = true })[1] = "x" end)

  mistake("an empty one in a raw dict", "BAD_KEY",
    { "an empty key", 'key ""', "1 byte" },
    function (store) store:dict("bytes", { raw = true })[""] = "x" end)
end)

describe("values that can't be:", function ()
  helper.watch()

  local can = "booleans, numbers, strings and tables of these can"

  mistake("a function", "BAD_VALUE",
    { "value: a function can't be stored", 'key "bob"', can },
    function (_, users) users.bob = print end)

  mistake("an object, with a function deep in it", "BAD_VALUE",
    { "value.on[2].click: a function can't be stored", 'key "bob"', can },
    function (_, users) users.bob = { on = { {}, { click = print } } } end)

  mistake("a file", "BAD_VALUE",
    { "value.log: a userdata can't be stored", 'key "bob"', can },
    function (_, users) users.bob = { log = io.stdout } end)

  mistake("a dict in a dict", "BAD_VALUE",
    { "value: a userdata can't be stored", 'key "staff"', can },
    function (_, users, staff) users.staff = staff end)

  mistake("a coroutine", "BAD_VALUE",
    { "value: a thread can't be stored", 'key "bob"', can },
    function (_, users) users.bob = coroutine.create(function () end) end)

  mistake("a table that has itself", "BAD_VALUE",
    { "value.next.next: a table inside itself", 'key "bob"',
      "put a key in its place" },
    function (_, users)
      local bob = { next = {} }
      bob.next.next = bob
      users.bob = bob
    end)

  mistake("a list chained a thousand deep", "BAD_VALUE",
    { "tables this deep in tables", 'key "bob"', "128 levels can" },
    function (_, users)
      local chain = {}
      for _ = 1, 1000 do chain = { chain } end
      users.bob = chain
    end)

  mistake("a table whose keys are tables", "BAD_VALUE",
    { "value.seen: a table can't be a key", 'key "bob"',
      "strings, numbers and booleans can" },
    function (_, users) users.bob = { seen = { [{ 1, 2 }] = true } } end)

  mistake("one among many", "BAD_VALUE",
    { "value: a function can't be stored", 'key "bad"', can },
    function (_, users) dict.put_many(users, { good = 1, bad = print }) end)

  mistake("nil, added", "BAD_VALUE",
    { "nil can't be stored", 'key "bob"', "dict.delete takes an entry out" },
    function (_, users) dict.add(users, "bob") end)

  mistake("a string where integers were asked for", "BAD_VALUE",
    { 'not the string "36"', 'key "ada"', "is an integer (its option" },
    function (store) store:dict("ages", { value = "integer" }).ada = "36" end)

  mistake("half a number where integers were asked for", "BAD_VALUE",
    { "36.5", 'key "ada"', "is an integer (its option" },
    function (store) store:dict("ages", { value = "integer" }).ada = 36.5 end)

  mistake("a table in a raw dict", "BAD_VALUE",
    { "a table can't be a value", "collection bytes", "only a string can" },
    function (store) store:dict("bytes", { raw = true }).a = {} end)

  mistake("one that is larger than its dict may be", "BAD_VALUE",
    { "more than the whole collection may have (max_bytes 10)", 'key "a"',
      "raise that" },
    function (store)
      store:dict("small", { max_bytes = 10 }).a = ("x"):rep(20)
    end)

  mistake("a value for a member of a set", "BAD_VALUE",
    { 'set to true or nil, not to "boss"', 'key "bob"',
      "a dict keeps values" },
    function (_, _, staff) staff.bob = "boss" end)

  mistake("false for a member of a set", "BAD_VALUE",
    { "not to false", 'key "ada"', "true or nil" },
    function (_, _, staff) staff.ada = false end)
end)

describe("arguments:", function ()
  helper.watch()

  mistake("a time to live as a string", "BAD_ARGUMENT",
    { 'not "60"', "#4 to 'set'", "a number of seconds above 0" },
    function (_, users) dict.set(users, "bob", 1, "60") end)

  mistake("a time to live of 0, for ever", "BAD_ARGUMENT",
    { "not 0", "#4 to 'set'", "math.huge" },
    function (_, users) dict.set(users, "bob", 1, 0) end)

  mistake("a time to live by name", "BAD_ARGUMENT",
    { "not a table", "#4 to 'set'", "a number of seconds above 0" },
    function (_, users) dict.set(users, "bob", 1, { ttl = 60 }) end)

  mistake("a key and a value to put_many", "BAD_ARGUMENT",
    { 'got "bob"', "#2 to 'put_many'", "a table, a dict or an iterator" },
    function (_, users) dict.put_many(users, "bob", 1) end)

  mistake("keys one by one to get_many", "BAD_ARGUMENT",
    { 'got "ada"', "#2 to 'get_many'", "an array of keys expected" },
    function (_, users) dict.get_many(users, "ada", "bob") end)

  mistake("members as fields to add_many", "BAD_ARGUMENT",
    { 'the field "bob" and no elements', "#2 to 'add_many'",
      'an array expected, as {"a", "b"}' },
    function (_, _, staff) set.add_many(staff, { bob = true }) end)

  mistake("keys as fields to delete_many", "BAD_ARGUMENT",
    { 'the field "ada" and no elements', "#2 to 'delete_many'",
      'an array expected, as {"a", "b"}' },
    function (_, users) dict.delete_many(users, { ada = true }) end)

  mistake("incr of a string", "BAD_VALUE",
    { 'and "12" is there', 'key "n"', "only a number can be incremented" },
    function (_, users)
      users.n = "12"
      dict.incr(users, "n")
    end)

  mistake("incr by a string", "BAD_ARGUMENT",
    { 'got "1"', "#3 to 'incr'", "a number expected" },
    function (_, users) dict.incr(users, "n", "1") end)

  mistake("the front, of popitem", "BAD_ARGUMENT",
    { 'got "front"', "#2 to 'popitem'", '"first" or "last" expected' },
    function (_, users) dict.popitem(users, "front") end)

  mistake("fetch without a function", "BAD_ARGUMENT",
    { "got 5", "#3 to 'fetch'", "a function expected" },
    function (_, users) dict.fetch(users, "n", 5) end)

  mistake("a misspelt option of fetch", "BAD_ARGUMENT",
    { 'unknown option "negativ"', "#4 to 'fetch'", "is 'negative' meant?" },
    function (_, users)
      dict.fetch(users, "n", function () end, { negativ = 5 })
    end)

  mistake("a number of entries to maintain", "BAD_ARGUMENT",
    { "got 500", "#1 to 'maintain'", "a budget expected, as { ms = 1 }" },
    function (store) store:maintain(500) end)

  mistake("an option of check that there isn't", "BAD_ARGUMENT",
    { 'unknown option "fix"', "#1 to 'check'",
      "there are progress and repair" },
    function (store) store:check { fix = true } end)

  mistake("a backup onto the store itself", "BAD_ARGUMENT",
    { "is there already", "data.mdb", "a backup goes to a new place" },
    function (store, _, _, path) store:backup(path) end)

  mistake("a backup to nowhere", "IO",
    { "No such file or directory", "/no/such", "check the one above it" },
    function (store) store:backup(helper.path() .. "/no/such") end)

  mistake("a time to live in a raw dict", "BAD_ARGUMENT",
    { "have no time to live", "collection bytes", "keeps the bytes" },
    function (store)
      dict.set(store:dict("bytes", { raw = true }), "a", "x", 60)
    end)
end)

describe("ranges:", function ()
  helper.watch()

  mistake("a misspelt field", "BAD_ARGUMENT",
    { 'no field "form"', "#2 to 'count'", "is 'from' meant?" },
    function (_, users) dict.count(users, { form = "a" }) end)

  mistake("two ends without names", "BAD_ARGUMENT",
    { "a range has no field", "#2 to 'count'", "there are from, to," },
    function (_, users) dict.count(users, { "a", "b" }) end)

  mistake("a string in its place", "BAD_ARGUMENT",
    { 'got "a"', "#2 to 'count'", 'as { prefix = "a" }' },
    function (_, users) dict.count(users, "a") end)

  mistake("both kinds of one end", "BAD_ARGUMENT",
    { "from and after exclude each other", "#2 to 'keys'", "from" },
    function (_, users)
      local keys = dict.keys(users, { from = 1, after = 1 })
      keys()
    end)

  mistake("the prefix of a number", "BAD_ARGUMENT",
    { "prefix: a string or a tuple expected, got 20", "prefix",
      "numbers have from and to" },
    function (_, users) dict.count(users, { prefix = 20 }) end)

  mistake("a limit as a string", "BAD_ARGUMENT",
    { 'got "5"', "#2 to 'count'", "limit: a whole number from 0" },
    function (_, users) dict.count(users, { limit = "5" }) end)

  mistake("all of them, of delete_range", "BAD_ARGUMENT",
    { "got nil", "#2 to 'delete_range'", "a range expected" },
    function (_, users) dict.delete_range(users) end)

  mistake("the number of a page", "BAD_ARGUMENT",
    { "got 2", "#2 to 'page'", 'as { prefix = "a" }' },
    function (_, users) dict.page(users, 2) end)

  mistake("the page in place of the range of the next", "BAD_ARGUMENT",
    { "a range has no field 1", "#2 to 'page'", "there are from, to," },
    function (_, users)
      local page = dict.page(users)
      dict.page(users, page)
    end)
end)

describe("functions that lode calls:", function ()
  helper.watch()

  mistake("a value to update", "BAD_ARGUMENT",
    { "got a table", "#3 to 'update'", "a function expected" },
    function (_, users) dict.update(users, "ada", { logins = 2 }) end)

  mistake("an update that forgets to return", "BAD_VALUE",
    { "update returned nothing", 'key "ada"',
      "return the new value, or nil to delete" },
    function (_, users)
      dict.update(users, "ada", function (u) u.logins = u.logins + 1 end)
    end)

  mistake("an update that writes", "REENTRY",
    { "was called while its entry is being changed", "collection staff",
      "store:transaction" },
    function (_, users, staff)
      dict.update(users, "ada", function (u)
        staff.bob = true
        return u
      end)
    end)

  mistake("the result of a function to transaction", "BAD_ARGUMENT",
    { "got nil", "#1 to 'transaction'", "a function expected" },
    function (store)
      local function work () end
      store:transaction((work()))
    end)

  mistake("a write in a snapshot", "READONLY",
    { "a snapshot is for reading", 'key "bob"', "use a transaction" },
    function (store, users)
      store:snapshot(function () users.bob = 1 end)
    end)

  mistake("a sweep in a transaction", "REENTRY",
    { "sweeps have transactions of their own", "(store ",
      "outside of yours" },
    function (store) store:transaction(function () store:maintain() end) end)

  mistake("a backup in a transaction", "REENTRY",
    { "no backup inside of a transaction", "(store ",
      "before or after" },
    function (store)
      store:transaction(function () store:backup(helper.path()) end)
    end)

  mistake("a fetch within the fetch of its key", "REENTRY",
    { "computing the same key already", 'key "bob"',
      "can't fetch its own key" },
    function (_, users)
      local function again () return dict.fetch(users, "bob", again) end
      dict.fetch(users, "bob", again)
    end)

  mistake("a serializer that gives no string", "BAD_VALUE",
    { "gave a table", "collection d", "encode has to give a string" },
    function (store)
      local same = function (v) return v end
      store:dict("d", { serializer = { name = "same", encode = same,
        decode = same } }).a = {}
    end)

  mistake("a hash that gives no string", "BAD_KEY",
    { "and did not", "function 'hash'", "has to give a string" },
    function (store)
      local d = store:dict("d", { hash = function (bytes) return #bytes end })
      d[("k"):rep(999)] = 1
    end)

  mistake("a policy that answers yes", "BAD_VALUE",
    { "gave true", "collection d", "in seconds since the epoch" },
    function (store)
      local d = store:dict("d", { expire = function () return true end })
      d.a = 1
    end)

  mistake("a policy that answers how long, not when", "BAD_VALUE",
    { "a date in the 1970s", "collection d", "entry.now + 60" },
    function (store)
      local d = store:dict("d", { expire = function () return 60 end })
      d.a = 1
    end)

  mistake("an order of eviction that is no number", "BAD_VALUE",
    { 'gave "old"', "the function 'evict'", "the lowest goes first" },
    function (store)
      local d = store:dict("d", { max_entries = 1,
        evict = function () return "old" end })
      d.a = 1
    end)

  mistake("a policy of no time", "BAD_ARGUMENT",
    { "not nil", "lode.policy.idle", "as policy.idle(600)" },
    function () lode.policy.idle() end)

  mistake("a store closed by what it waits for", "REENTRY",
    { "that this store is waiting for", "store:close()",
      "close it when that has returned" },
    function (store)
      local d = store:dict("d", { expire = function () store:close() end })
      d.a = 1
    end)
end)

describe("stores that are no longer so:", function ()
  helper.watch()

  mistake("a closed one", "CLOSED",
    { "the store is closed", "(store ", "open it again" },
    function (store)
      store:close()
      store:dict "users"
    end)

  mistake("a dict of a closed one", "CLOSED",
    { "the store is closed", "collection users", "open it again" },
    function (store, users)
      store:close()
      users.bob = 1
    end)

  mistake("a walk on in a closed one", "CLOSED",
    { "the store is closed", "collection users", "open it again" },
    function (store, users)
      local walk = dict.pairs(users)
      store:close()
      walk()
    end)

  it("a dict that was dropped", function ()
    local store, users = mistakes.store()
    store:drop "users"
    mistakes.check(helper.fails("NOT_FOUND", function () users.bob = 1 end),
      { "was dropped", "collection users", "open it again" })
  end)

  mistake("a write to one for reading only", "READONLY",
    { "is open for reading only", 'key "bob"', "open it without readonly" },
    function (_, _, _, path)
      helper.open({ readonly = true }, path):dict("users").bob = 1
    end)

  it("a quota that is used up", function ()
    local store = helper.open { max_size = 2e5 }
    local d = store:dict "d"
    local e = helper.fails("FULL", function ()
      for i = 1, 1000 do d[i] = ("x"):rep(2000) end
    end)
    mistakes.check(e, { "is full: its quota (max_size) is", "collection d",
      "delete entries, or reopen it with a larger one" })
    assert.are.equal(e.key - 1, #d)
  end)
end)

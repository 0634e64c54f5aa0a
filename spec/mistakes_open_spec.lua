-- What a newcomer does wrong before there is anything to read: opening
-- stores, dicts and sets, options, and what lies on the disk. Each message
-- says what happened, where, and what to do. In mistakes_use_spec.lua: what
-- comes after; in mistakes_quiet_spec.lua: what raises nothing of lode's.

local helper = require "support.helper"
local lode = require "lode"
local mistakes = require "support.mistakes"

local fails, shell = helper.fails, helper.shell
local mistake = mistakes.raises

local function quoted (path) return "'" .. path .. "'" end

local function file_at (path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  return path
end

-- A directory whose data.mdb has these bytes.
local function directory_of (bytes)
  local path = helper.path()
  shell("mkdir " .. quoted(path))
  file_at(path .. "/data.mdb", bytes)
  return path
end

-- A closed store on the disk.
local function closed_store ()
  local store, path = helper.open()
  store:dict("d").a = 1
  store:close()
  return path
end

-- Runs fn with the path of a small file system of its own. False where none
-- can be mounted.
local function on_small_disk (size, fn)
  local path = helper.path "disk"
  local _, mounted = shell(("mkdir %s && mount -t tmpfs -o size=%s none %s")
    :format(quoted(path), size, quoted(path)))
  if not mounted then return false end
  local ok, e = pcall(fn, path)
  shell("umount -l " .. quoted(path))
  if not ok then error(e, 0) end
  return true
end

describe("opening a store:", function ()
  helper.watch()

  mistake("no path", "BAD_ARGUMENT",
    { "a path expected, got nil", "'open'", 'lode.open("data")' },
    function () lode.open() end)

  mistake("a table in the place of the path", "BAD_ARGUMENT",
    { "a path expected, got a table", "'open'", 'lode.open("data")' },
    function () lode.open { path = "data" } end)

  mistake("lode:open, with a colon", "BAD_ARGUMENT",
    { "called with a colon", "'open'", 'lode.open("data")' },
    function () lode:open "data" end)

  mistake("an empty path", "BAD_ARGUMENT",
    { 'got ""', "#1 to 'open'", "a path expected" },
    function () lode.open "" end)

  mistake("the path of a file", "NOT_A_STORE",
    { "is a file", "/notes", "a store is a directory" },
    function () lode.open(file_at(helper.path "notes", "milk, eggs")) end)

  mistake("the path of data.mdb in place of its directory", "NOT_A_STORE",
    { "data.mdb is a file", "(store ", "its path that of the directory" },
    function (_, _, _, path) lode.open(path .. "/data.mdb") end)

  mistake("a path through a file", "NOT_A_STORE",
    { "a part of this path is a file", "/data", "check it" },
    function ()
      lode.open(file_at(helper.path "notes", "milk, eggs") .. "/data")
    end)

  mistake("a path whose parent isn't there", "IO",
    { "No such file or directory", "/no/such",
      "make the directories above it first" },
    function () lode.open(helper.path() .. "/no/such") end)

  mistake("the path of a directory with single_file", "NOT_A_STORE",
    { "is no regular file", "(store ", "single_file = true" },
    function (_, _, _, path) lode.open(path, { single_file = true }) end)

  mistake("create = false, at a path that was misspelt", "NOT_FOUND",
    { "there is no store at", "/stroe", "check the path" },
    function () lode.open(helper.path "stroe", { create = false }) end)

  mistake("readonly, at a path that was misspelt", "NOT_FOUND",
    { "there is no store at", "/stroe", "check the path" },
    function () lode.open(helper.path "stroe", { readonly = true }) end)

  mistake("another program's file", "NOT_A_STORE",
    { "is not an LMDB file", "data.mdb", "check the path" },
    function ()
      lode.open(directory_of("SQLite format 3\0" .. ("\0"):rep(8176)))
    end)

  mistake("a store of LMDB 1.0", "INCOMPATIBLE",
    { "was written by LMDB 1.0", "data.mdb", "mdb_dump" },
    function ()
      local page = ("\0"):rep(24) .. "\222\192\239\190\3\0\0\0"
      lode.open(directory_of(page .. ("\0"):rep(8192)))
    end)

  mistake("a store that was copied half", "CORRUPT",
    { "is cut short: 5000 bytes of", "data.mdb", "backup" },
    function ()
      local path = closed_store()
      shell("truncate -s 5000 " .. quoted(path .. "/data.mdb"))
      lode.open(path)
    end)

  mistake("a data.mdb that was emptied", "NOT_A_STORE",
    { "is empty", "data.mdb", "remove it to begin a new one" },
    function ()
      local path = closed_store()
      file_at(path .. "/data.mdb", "")
      lode.open(path)
    end)

  mistake("a data.mdb that was deleted, alone", "CORRUPT",
    { "is gone", "data.mdb", "to begin a new store, remove" },
    function ()
      local path = closed_store()
      os.remove(path .. "/data.mdb")
      lode.open(path)
    end)

  mistake("a data.mdb that is another store's", "INCOMPATIBLE",
    { "is another store than", "data.mdb", "put the right one back" },
    function ()
      local path, other = closed_store(), closed_store()
      shell(("cp %s %s"):format(quoted(other .. "/data.mdb"),
        quoted(path .. "/data.mdb")))
      lode.open(path)
    end)

  mistake("a second handle with another max_size", "INCOMPATIBLE",
    { "with another max_size", "/store", "close it first" },
    function (_, _, _, path) lode.open(path, { max_size = 1e6 }) end)

  mistake("a check of what is no store", "NOT_A_STORE",
    { "not an LMDB file", "/notes", "check the path" },
    function () lode.check(file_at(helper.path "notes", "milk, eggs")) end)

  mistake("a repair of what isn't there", "NOT_FOUND",
    { "there is no store to read", "/gone", "No such file" },
    function () lode.repair(helper.path "gone", helper.path "saved") end)
end)

describe("the place of a store:", function ()
  helper.watch()

  -- Runs `source` in a process that `before`, a shell command, leads to; what
  -- it prints of the error of lode.open(path).
  local function opened_elsewhere (before, path)
    local script = file_at(helper.path "script", ([[
      package.path, package.cpath = %q, %q
      local ok, e = pcall(require("lode").open, %q)
      print(ok and "opened" or e.code .. " " .. tostring(e))
    ]]):format(package.path, package.cpath, path))
    return (shell(("%s %s %s"):format(before, quoted(helper.interpreter),
      quoted(script))))
  end

  -- The same as a user who has no rights; nil where none is to be had.
  local function opened_by_nobody (path)
    local _, root = shell '[ "$(id -u)" = 0 ]'
    local as = root and "setpriv --reuid=65534 --clear-groups" or ""
    shell("chmod go+x " .. quoted(path .. "/.."))
    local _, runs = shell(("%s %s -e '' && %s ls lua/lode"):format(as,
      quoted(helper.interpreter), as))
    return runs and opened_elsewhere("umask 0; " .. as, path) or nil
  end

  local function texts_in (text, ...)
    for _, part in ipairs { ... } do
      assert.is_truthy(text:find(part, 1, true), text)
    end
  end

  it("one that this user may not read", function ()
    local path = closed_store()
    shell(("chmod 755 %s && chmod 0 %s/data.mdb"):format(quoted(path),
      quoted(path)))
    local text = opened_by_nobody(path)
    if not text then return pending "no other user to be had" end
    texts_in(text, "IO ", "Permission denied", path .. "/data.mdb",
      "check its permissions")
  end)

  it("one that this user may not write to", function ()
    local path = closed_store()
    shell(("chmod 555 %s && chmod 444 %s/*"):format(quoted(path),
      quoted(path)))
    local text = opened_by_nobody(path)
    if not text then return pending "no other user to be had" end
    texts_in(text, "IO ", "Permission denied", path,
      "open it with readonly = true")
  end)

  it("a network file system", function ()
    local source = file_at(helper.path "fake" .. ".c", [[
      #include <sys/vfs.h>
      int statfs (const char *path, struct statfs *fs) {
        (void)path;
        fs->f_type = 0x6969; /* NFS */
        return 0;
      }
    ]])
    local fake = helper.path "fake" .. ".so"
    local _, made = shell(("cc -shared -fPIC -o %s %s"):format(quoted(fake),
      quoted(source)))
    if not made then return pending "no file system can be faked here" end
    local path = helper.path()
    texts_in(opened_elsewhere(("LD_PRELOAD=\"$LD_PRELOAD %s\""):format(fake),
      path), "UNSAFE_FS ", "is on a network or shared file system", path,
      "use a local disk")
  end)

  it("a disk without room", function ()
    local mounted = on_small_disk("400k", function (path)
      local store = helper.open({}, path .. "/data")
      local d = store:dict "d"
      local e = fails("DISK_FULL", function ()
        for i = 1, 1000 do d[i] = ("x"):rep(2000) end
      end)
      mistakes.check(e, { "no room on the disk", path,
        "free some" })
      assert.are.equal("d", e.collection)
      assert.are.equal(e.key - 1, #d)
      store:close()
    end)
    if not mounted then pending "no file system can be mounted here" end
  end)

  it("a disk that is for reading only", function ()
    local mounted = on_small_disk("1m", function (path)
      local store = helper.open({}, path .. "/data")
      store:dict("d").a = 1
      store:close()
      shell("mount -o remount,ro " .. quoted(path))
      mistakes.check(fails("IO", lode.open, path .. "/data"),
        { "Read-only file system", path .. "/data", "readonly = true" })
      store = helper.open({ readonly = true }, path .. "/data")
      assert.are.equal(1, store:dict("d").a)
      store:close()
    end)
    if not mounted then pending "no file system can be mounted here" end
  end)

end)

describe("the options of lode.open:", function ()
  helper.watch()

  local function option (name, parts, options)
    mistake(name, "BAD_ARGUMENT", parts, function ()
      lode.open(helper.path(), options)
    end)
  end

  option("a misspelt one",
    { 'unknown option "durabilty"', "lode.open", "is 'durability' meant?" },
    { durabilty = "os" })

  option("one as it is written elsewhere",
    { 'unknown option "readOnly"', "lode.open", "is 'readonly' meant?" },
    { readOnly = true })

  option("one that another library has",
    { 'unknown option "sync"', "lode.open", "there are readonly, create," },
    { sync = false })

  option("one of dicts",
    { 'unknown option "ttl"', "lode.open", "'ttl' is an option of store:dict" },
    { ttl = 60 })

  option("a name without a value",
    { "unknown option 1", "lode.open", "there are readonly," }, { "readonly" })

  option("a string in place of the table",
    { 'got "readonly"', "#2 to 'open'", "a table of options expected" },
    "readonly")

  option("a flag as a string",
    { 'got "true"', "option 'readonly'", "a boolean expected" },
    { readonly = "true" })

  option("a size with its unit",
    { 'got "1G"', "option 'map_size'", "a number expected" },
    { map_size = "1G" })

  option("a size below zero",
    { "got -1", "option 'max_size'", "a whole number from 1" },
    { max_size = -1 })

  option("a durability that there isn't",
    { 'got "none"', "option 'durability'", '"commit", "behind" or "os"' },
    { durability = "none" })

  option("a time below zero",
    { "got -1", "option 'lock_timeout'", "a number of seconds expected" },
    { lock_timeout = -1 })

  option("a mode as a number",
    { "got 384", "option 'mode'", '"0600"' }, { mode = 384 })

  option("the name of a log file",
    { 'got "app.log"', "option 'log'", 'a function or "stderr"' },
    { log = "app.log" })

  option("a clock, and a thread that can't ask it",
    { "'clock': not with", "lode.open", '("inline")' },
    { clock = os.time, maintenance = "background" })
end)

describe("getting a dict or set of a store:", function ()
  helper.watch()

  mistake("store.dict, with a dot", "BAD_ARGUMENT",
    { 'a store expected, got "users"', "'dict'", "with a colon" },
    function (store) store.dict "users" end)

  mistake("lode.dict, called", "BAD_ARGUMENT",
    { "lode.dict is a table of functions", "lode.dict",
      "store:dict(name) opens a dict" },
    function (store) lode.dict(store, "users") end)

  mistake("store.users, as if the store were a table", "BAD_ARGUMENT",
    { 'no method "users"', "a store", "store:dict(name) opens a dict" },
    function (store) store.users.ada = 1 end)

  mistake("store.users = {}", "BAD_ARGUMENT",
    { "can't be set", 'field "users" of a store', "store:dict(name)" },
    function (store) store.users = {} end)

  mistake("store:get(key), as of a cache", "BAD_ARGUMENT",
    { 'no method "get"', "a store", "store:dict(name) opens a dict" },
    function (store) store:get "ada" end)

  mistake("store:set(key, value), as of a cache", "BAD_ARGUMENT",
    { 'got "Ada"', "#2 to 'set'", "a table of options expected" },
    function (store) store:set("name", "Ada") end)

  mistake("no name", "BAD_ARGUMENT",
    { "got nil", "#1 to 'dict'", "a name (a string) expected" },
    function (store) store:dict() end)

  mistake("an empty name", "BAD_ARGUMENT",
    { "this one has 0", 'collection ""', "has 1 to 200 bytes" },
    function (store) store:dict "" end)

  mistake("a name with a zero in it", "BAD_ARGUMENT",
    { "none of them 0", 'collection "a\\000b"', "has 1 to 200 bytes" },
    function (store) store:dict "a\0b" end)

  mistake("a set, opened as a dict", "INCOMPATIBLE",
    { "staff is a set, not a dict", "collection staff", "open it as one" },
    function (store) store:dict "staff" end)

  mistake("a dict, opened as a set", "INCOMPATIBLE",
    { "users is a dict, not a set", "collection users", "open it as one" },
    function (store) store:set "users" end)

  mistake("a dict in place of its name", "BAD_ARGUMENT",
    { "got a dict", "#1 to 'drop'", "a name (a string) expected" },
    function (store, users) store:drop(users) end)

  mistake("a new name that is taken", "INCOMPATIBLE",
    { "there is a collection staff already", "(store ", "drop it first" },
    function (store) store:rename("users", "staff") end)

  mistake("a copy onto what is there", "INCOMPATIBLE",
    { "'staff' is there already", "(store ", "take another name" },
    function (_, users) lode.dict.copy(users, "staff") end)

  mistake("more collections than were asked for", "FULL",
    { "as many collections as `collections` allows, 1",
      "collection second", "reopen it with more" },
    function ()
      local store = helper.open { collections = 1 }
      store:dict "first"
      store:dict "second"
    end)

  mistake("a dict that a readonly store doesn't have", "NOT_FOUND",
    { "there is no dict new", "collection new", "open for reading only" },
    function ()
      helper.open({ readonly = true }, closed_store()):dict "new"
    end)

  mistake("a database of another program, without raw", "INCOMPATIBLE",
    { "is another program's database", "collection bytes", "raw = true" },
    function (store)
      store:dict("bytes", { raw = true }).a = "b"
      store:dict "bytes"
    end)

  mistake("a dict, opened as raw", "INCOMPATIBLE",
    { "users was made without raw", "collection users", "leave it out" },
    function (store) store:dict("users", { raw = true }) end)
end)

describe("the options of a dict or set:", function ()
  helper.watch()

  local function option (name, parts, options)
    mistake(name, "BAD_ARGUMENT", parts, function (store)
      store:dict("d", options)
    end)
  end

  option("a misspelt one",
    { 'unknown option "max_entires"', "store:dict",
      "is 'max_entries' meant?" }, { max_entires = 5 })

  option("one of lode.open",
    { 'unknown option "readonly"', "store:dict",
      "'readonly' is an option of lode.open" }, { readonly = true })

  option("a time to live as a string",
    { 'got "60"', "option 'ttl'", "a number of seconds above 0 expected" },
    { ttl = "60" })

  option("a time to live of 0, for ever",
    { "got 0", "option 'ttl'", "without it entries stay" }, { ttl = 0 })

  option("a time to live as the policy",
    { "got 60", "option 'expire'", "lode.policy.idle(600)" }, { expire = 60 })

  option("a type that there isn't",
    { 'got "int"', "option 'value'", '"string", "integer"' },
    { value = "int" })

  option("who goes first, without a cap",
    { "nothing is evicted without a cap", "option 'evict'",
      "give max_entries or max_bytes as well" }, { evict = "lru" })

  option("a way to evict that there isn't",
    { 'got "LRU"', "option 'evict'", '"sieve", "lru"' },
    { max_entries = 5, evict = "LRU" })

  option("a time to live and a policy",
    { "either says when entries die", "options 'ttl' and 'expire'",
      "policy.any(" }, { ttl = 60, expire = lode.policy.idle(60) })

  option("more than bytes in a raw dict",
    { "keys and values are bytes", "option 'raw'", "no other option" },
    { raw = true, ttl = 60 })

  option("a serializer that there isn't",
    { 'no serializer named "jsn"', "option 'serializer'",
      "msgpack, json, zlib" }, { serializer = "jsn" })

  option("a serializer without decode",
    { "a table with a name", "option 'serializer'",
      "the functions encode and decode expected" },
    { serializer = { name = "mine", encode = tostring } })

  mistake("an option of dicts for a set", "BAD_ARGUMENT",
    { 'unknown option "value"', "store:set", "there are key," },
    function (store) store:set("s", { value = "string" }) end)

  mistake("others than it was made with", "INCOMPATIBLE",
    { "was made with value = integer, not string", "collection ages",
      "open it with that, or without" },
    function (store)
      store:dict("ages", { value = "integer" })
      store:dict("ages", { value = "string" })
    end)

  mistake("another time to live than it was made with", "INCOMPATIBLE",
    { "was made with ttl = 60, not 90", "collection codes",
      "`rearm = true` changes it" },
    function (store)
      store:dict("codes", { ttl = 60 })
      store:dict("codes", { ttl = 90 })
    end)

  mistake("not the serializer that it was made with", "INCOMPATIBLE",
    { "was made with serializer 'mine'", "collection notes",
      "give it in the options" },
    function (store)
      store:dict("notes", { serializer = { name = "mine",
        encode = tostring, decode = tostring } })
      store:dict "notes"
    end)

  it("a serializer whose library isn't there", function ()
    local store = mistakes.store()
    local d = store:dict("d", { serializer = "json" })
    local searchers = package.searchers or package.loaders
    local kept, loaded = {}, package.loaded.dkjson
    for i = #searchers, 2, -1 do kept[i] = table.remove(searchers, i) end
    package.loaded.dkjson = nil
    local ok, e = pcall(function () d.a = { 1 } end)
    for i, searcher in pairs(kept) do searchers[i] = searcher end
    package.loaded.dkjson = loaded
    assert.is_false(ok)
    assert.are.equal("BAD_ARGUMENT", e.code)
    mistakes.check(e, { 'needs the Lua library "dkjson"', "serializer.json",
      "luarocks install dkjson" })
    assert.is_nil(d.a)
  end)
end)

-- What a newcomer does wrong with the command `lode`, and with resty.lode,
-- whose words are those of ngx.shared.DICT. See mistakes_open_spec.lua.

local cli = require "support.cli"
local helper = require "support.helper"
local mistakes = require "support.mistakes"
local resty = require "resty.lode"

describe("the command:", function ()
  helper.watch()

  -- Its words after "PATH", its status, and texts of its message.
  local function command (name, status, parts, ...)
    local words = { ... }
    it(name, function ()
      local _, _, _, path = mistakes.store()
      for i, word in ipairs(words) do
        words[i] = word:gsub("^PATH", (path:gsub("%%", "%%%%")))
      end
      local r = cli.run((table.unpack or unpack)(words))
      assert.are.equal(status, r.status, r.err)
      assert.are.equal("", r.out)
      for _, part in ipairs(parts) do
        assert.is_truthy(r.err:find(part, 1, true), r.err)
      end
    end)
  end

  command("one that there isn't", 2,
    { 'no command "list"', "`lode help` has them all" }, "list", "PATH")

  command("help for one that there isn't", 2,
    { 'no command "list"', "`lode help` has them all" }, "help", "list")

  command("no path", 2, { "usage: lode get PATH COLLECTION KEY" }, "get")

  command("no key", 2, { "usage: lode get PATH COLLECTION KEY" },
    "get", "PATH", "users")

  command("an option that there isn't", 2,
    { "no option --jsn", "`lode help ls` has them all" },
    "ls", "PATH", "--jsn")

  command("a number that is none", 2, { "--limit takes a", '"ten"' },
    "ls", "PATH", "users", "--limit", "ten")

  command("a string without its quotes", 2,
    { "not JSON at byte 1", "--text" }, "set", "PATH", "users", "bob", "Bob")

  command("a key that is no JSON", 2,
    { 'key "[1"', "not JSON at byte 3" },
    "get", "PATH", "users", "[1", "--json-key")

  command("a value for a member of a set", 2,
    { "staff is a set", "a member has no value" },
    "set", "PATH", "staff", "bob", "1")

  command("a store that isn't there", 1,
    { "NOT_FOUND", "there is no store at", "check the path" },
    "stat", "PATH/nowhere")

  command("a collection that isn't there", 1,
    { 'there is no collection "nobody" in' }, "get", "PATH", "nobody", "ada")

  command("a file that is no store", 1,
    { "NOT_A_STORE", "bin/lode is not an LMDB file", "check the path" },
    "ls", "bin/lode")

  command("a backup onto itself", 1,
    { "is there already", "a backup goes to a new place" },
    "backup", "PATH", "PATH")

  command("a key that isn't there", 1, {}, "get", "PATH", "users", "bob")
end)

describe("resty.lode:", function ()
  helper.watch()

  local function misuse (name, text, fn)
    it(name, function ()
      local shared = resty.open(helper.path())
      local ok, e = pcall(fn, shared.dogs, shared)
      shared:close()
      assert.is_false(ok)
      assert.is_truthy(tostring(e):find(text, 1, true), tostring(e))
    end)
  end

  local function words (name, text, fn)
    it(name, function ()
      local shared = resty.open(helper.path())
      local ok, e = fn(shared.dogs, shared)
      shared:close()
      assert.is_nil(ok)
      assert.is_truthy(tostring(e):find(text, 1, true), tostring(e))
    end)
  end

  misuse("no path", "a path expected, got nil", function () resty.open() end)

  misuse("an option of upkeep that is no number",
    "option 'every': a number above 0 expected, got soon",
    function () resty.open(helper.path(), { every = "soon" }) end)

  misuse("a misspelt option of a dict", "is 'max_bytes' meant?",
    function (_, s) s:dict("cats", { max_byte = 1e6 }) end)

  misuse("a dict without a name",
    'bad "name" argument: a string expected, got nil',
    function (_, s) s:dict() end)

  misuse("dogs.set, with a dot", 'bad "zone" argument',
    function (dogs) dogs.set("Jim", 8) end)

  misuse("a time to live as a string", 'bad "exptime" argument',
    function (dogs) dogs:set("Jim", 8, "60") end)

  misuse("an update without a function",
    'bad "fn" argument: a function expected, got number',
    function (dogs) dogs:update("Jim", 9) end)

  words("an update that forgets to return", "update returned nothing",
    function (dogs)
      dogs:set("Jim", { age = 8 })
      local ok, e = dogs:update("Jim", function (jim) jim.age = 9 end)
      assert.are.equal(8, dogs:get("Jim").age)
      return ok, e
    end)

  words("no key", "nil key", function (dogs) return dogs:get() end)

  words("a value that can't be", "bad value type",
    function (dogs) return dogs:set("Jim", print) end)

  words("incr of what isn't there", "not found",
    function (dogs) return dogs:incr("Jim", 1) end)

  words("one that is closed", "CLOSED: the store is closed",
    function (dogs, s)
      s:close()
      return dogs:get "Jim"
    end)
end)

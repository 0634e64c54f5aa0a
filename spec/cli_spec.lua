-- The command `lode`: how it is called, how it ends, and the commands for
-- single entries. API.md, "Command line".

local cli = require "support.cli"
local helper = require "support.helper"
local json = require "lode.cli.json"
local lode = require "lode"
local main = require "lode.cli"

local dict, set = lode.dict, lode.set
local run, output = cli.run, cli.output

-- Asserts how a run ended, and that its message has each of these.
local function ended (r, status, ...)
  assert.are.equal(status, r.status, r.err)
  for _, part in ipairs { ... } do
    assert.is_truthy(r.err:find(part, 1, true),
      ("%q isn't in %q"):format(part, r.err))
  end
  return r
end

-- A store with what the commands look at; closed.
local function filled ()
  local store, path = helper.open()
  local d, s = store:dict "d", store:set "s"
  d.a, d.b, d[1], d[{ "x", 2 }] = { n = 1, f = 2.5 }, "text", true, "tuple"
  d.bytes = "\0\255"
  set.add_many(s, { "red", 5 })
  store:close()
  return path
end

describe("lode", function ()
  helper.watch()

  it("without a command shows its help and ends with 2", function ()
    local r = ended(run(), 2, "usage: lode COMMAND", "exit status")
    assert.are.equal("", r.out)
  end)

  it("has help for all commands, and for each", function ()
    local all = output "help"
    assert.are.equal(all, output "--help")
    for _, name in ipairs(main.names()) do
      assert.is_truthy(all:find("\n  " .. name .. " ", 1, true), name)
      local text = main.help_of(main.command(name))
      assert.is_truthy(text:find("usage: lode " .. name, 1, true), name)
      for line in text:gmatch "[^\n]+" do
        assert.is_true(#line <= 79, line)
      end
    end
    assert.are.equal(main.help_of(main.command "load"),
      output("help", "load"))
    assert.are.equal(output("help", "get"), output("get", "--help"))
    assert.are.equal("lode " .. lode.version .. "\n", output "--version")
  end)

  it("has a page of the manual that knows each command and option",
    function ()
      local page = cli.content "man/lode.1":gsub("\\%-", "-")
      for _, name in ipairs(main.names()) do
        local command = main.command(name)
        assert.is_truthy(page:find("\n.B lode " .. name .. "\n", 1, true),
          name)
        for _, option in ipairs(command.options or {}) do
          assert.is_truthy(page:find("--" .. option[1], 1, true),
            name .. " --" .. option[1])
        end
      end
    end)

  it("called wrongly ends with 2 and says how", function ()
    local path = filled()
    ended(run "frobnicate", 2, "frobnicate", "lode help")
    ended(run("help", "frobnicate"), 2, "frobnicate")
    ended(run("get", path), 2, "usage: lode get PATH COLLECTION KEY")
    ended(run("stat", path, "d", "e"), 2, "usage: lode stat")
    ended(run("stat", path, "--nix"), 2, "--nix")
    ended(run("stat", path, "-x"), 2, "-x")
    ended(run("ls", path, "d", "--limit"), 2, "--limit takes a value")
    ended(run("ls", path, "d", "--limit", "1.5"), 2, "--limit", "1.5")
    ended(run("stat", path, "--json=1"), 2, "--json takes no value")
    ended(run("get", path, "d", "{", "--json-key"), 2, "not JSON")
    ended(run("set", path, "d", "k", "hello"), 2, [['"hello"']], "--text")
    ended(run("load", path, "d"), 2, "--flat or --raw")
    ended(run("dump", path, "--flat"), 2, "one COLLECTION")
  end)

  it("makes no store where it only reads", function ()
    local path = helper.path()
    for _, words in ipairs {
      { "stat" }, { "ls" }, { "get", "d", "k" }, { "dump" }, { "check" },
      { "repair" }, { "compact" }, { "sweep" }, { "top", "--once" },
      { "report" }, { "repl" }, { "del", "d", "k" },
      { "backup", path .. "-to" },
    } do
      local r = run(words[1], path, words[2], words[3])
      assert.are.equal(1, r.status, words[1] .. ": " .. r.err)
      assert.is_truthy(r.err:find("NOT_FOUND", 1, true), r.err)
    end
    assert.is_nil((io.open(path)))
    assert.is_nil((io.open(path .. "-to")))
  end)

  it("says what is no store", function ()
    local path = cli.file(("no store, "):rep(1000))
    ended(run("stat", path), 1, "NOT_A_STORE")
    assert.are.equal(("no store, "):rep(1000), cli.content(path))
  end)

  it("works on a store in a single file", function ()
    local path = helper.path "file"
    local store = helper.open({ single_file = true }, path)
    store:dict("d").a = 1
    store:close()
    assert.are.equal("1\n", output("get", path, "d", "a"))
    output("set", path, "d", "b", "2")
    assert.are.equal("a\nb\n", output("ls", path, "d"))
    assert.are.equal(0, run("check", path).status)
  end)
end)

describe("lode stat and ls", function ()
  helper.watch()

  it("show the store", function ()
    local path = filled()
    local stats = json.decode(output("stat", path, "--json"))
    assert.are.equal(2, stats.collections)
    assert.are.equal(7, stats.entries)
    assert.are.equal(path, stats.path)
    assert.is_truthy(output("stat", path):find "\n7 +entries\n")
    local text = output("ls", path)
    assert.is_truthy(text:find "dict +5 +4.0 KiB  d\nset +2 +4.0 KiB  s\n")
    local lines = {}
    for line in output("ls", path, "--json"):gmatch "[^\n]+" do
      lines[#lines + 1] = json.decode(line)
    end
    assert.are.equal("d", lines[1].name)
    assert.are.equal("set", lines[2].kind)
    assert.are.equal(2, lines[2].entries)
  end)

  it("show a collection, and what it was made with", function ()
    local store, path = helper.open()
    store:dict("d", { ttl = 60, key = "string" }).a = 1
    store:close()
    local stats = json.decode(output("stat", path, "d", "--json"))
    assert.are.same({ ttl = 60, key = "string" }, stats.options)
    assert.are.equal(1, stats.entries)
    assert.is_truthy(output("stat", path, "d"):find("ttl=60", 1, true))
    ended(run("stat", path, "nix"), 1, "nix")
  end)

  it("list keys, ranges and values", function ()
    local path = filled()
    assert.are.equal('1\na\nb\n"bytes"\n["x",2]\n',
      (output("ls", path, "d"):gsub("\nbytes\n", '\n"bytes"\n')))
    assert.are.equal("a\nb\nbytes\n",
      output("ls", path, "d", "--from", "a", "--to", "c"))
    assert.are.equal('b\t"text"\nbytes\t{"$b":"AP8="}\n',
      output("ls", path, "d", "--prefix", "b", "--values"))
    assert.are.equal('["x",2]\nbytes\n',
      output("ls", path, "d", "--reverse", "--limit=2"))
    assert.are.equal('["x",2]\n',
      output("ls", path, "d", "--prefix", '["x"]', "--json-key"))
    assert.are.equal('5\n"red"\n', output("ls", path, "s", "--json"))
  end)

  it("print no byte that would steer the terminal", function ()
    local store, path = helper.open()
    store:dict("\27[31m")["\27[2J"] = 1
    store:close()
    for _, words in ipairs { { "ls" }, { "ls", "\27[31m" }, { "stat" },
      { "stat", "\27[31m" }, { "top" }, { "check" } } do
      local text = output(words[1], path, words[2])
      assert.is_nil(text:find("\27", 1, true), text)
    end
  end)
end)

describe("lode get, set and del", function ()
  helper.watch()

  it("get prints the value, or ends with 1", function ()
    local path = filled()
    assert.are.equal('{"f":2.5,"n":1}\n', output("get", path, "d", "a"))
    assert.are.equal('"text"\n', output("get", path, "d", "b"))
    assert.are.equal("text", output("get", path, "d", "b", "--text"))
    assert.are.equal("\0\255", output("get", path, "d", "bytes", "--text"))
    assert.are.equal("true\n", output("get", path, "s", "red"))
    assert.are.equal('{"key":"b","size":6,"value":"text","value_size":4}\n',
      output("get", path, "d", "b", "--json"))
    local r = run("get", path, "d", "nix")
    assert.are.same({ status = 1, out = "", err = "" }, r)
    ended(run("get", path, "nix", "a"), 1, '"nix"')
    assert.are.equal(1, run("get", path, "s", "blue").status)
  end)

  it("a key is a string unless --json-key is given", function ()
    local path = filled()
    assert.are.equal(1, run("get", path, "d", "1").status)
    assert.are.equal("true\n", output("get", path, "d", "1", "--json-key"))
    assert.are.equal('"tuple"\n',
      output("get", path, "d", '["x",2]', "--json-key"))
    output("set", path, "d", "--", "-1", "5")
    assert.are.equal("5\n", output("get", path, "d", "--", "-1"))
    output("set", path, "d", "-1", "6", "--json-key")
    assert.are.equal("6\n", output("get", path, "d", "-1", "--json-key"))
    assert.are.equal("5\n", output("get", path, "d", "-1"))
  end)

  it("set makes store and collection, and keeps types", function ()
    local path = helper.path()
    output("set", path, "d", "i", "3")
    output("set", path, "d", "f", "3.0")
    output("set", path, "d", "t", '{"a":[1,2.5,{"$b":"AP8="}]}')
    output("set", path, "d", "s", "[1", "--text")
    output("set", path, "members", "red")
    local store = helper.open(nil, path)
    local d = store:dict "d"
    assert.are.equal(3, d.i)
    if math.type then
      assert.are.equal("integer", math.type(d.i))
      assert.are.equal("float", math.type(d.f))
    end
    assert.are.same({ a = { 1, 2.5, "\0\255" } }, d.t)
    assert.are.equal("[1", d.s)
    assert.is_true(store:set("members").red)
  end)

  it("set gives a life, and adds where nothing is", function ()
    local path = filled()
    output("set", path, "d", "short", "1", "--ttl", "100")
    assert.are.equal(1, run("set", path, "d", "a", "2", "--add").status)
    assert.are.equal(0, run("set", path, "d", "new", "2", "--add").status)
    ended(run("set", path, "s", "x", "5"), 2, "is a set")
    ended(run("set", path, "d", "x"), 2, "is a dict")
    ended(run("set", path, "d", "x", "1", "--ttl", "0"), 1)
    local store = helper.open(nil, path)
    local left = dict.ttl(store:dict "d", "short")
    assert.is_true(left > 50 and left <= 100)
    assert.are.equal(2, store:dict("d").new)
    assert.are.equal("table", type(store:dict("d").a))
  end)

  it("del removes, and ends with 1 when one was missing", function ()
    local path = filled()
    assert.are.equal(0, run("del", path, "d", "a", "b").status)
    assert.are.equal(1, run("del", path, "d", "nix", "bytes").status)
    assert.are.equal(0, run("del", path, "s", "red").status)
    assert.are.equal(0, run("del", path, "d", '["x",2]', "1",
      "--json-key").status)
    assert.are.equal("", output("ls", path, "d"))
    assert.are.equal("5\n", output("ls", path, "s"))
  end)
end)

describe("what this program lacks", function ()
  helper.watch()

  local function opaque ()
    local store, path = helper.open()
    store:dict("d", { value = "integer", serializer = { name = "mine",
      encode = function (v) return "<" .. v .. ">" end,
      decode = function (b) return tonumber(b:sub(2, -2)) end,
    } }).a = 5
    store:dict("k", { key_serializer = { name = "turned",
      encode = string.reverse, decode = string.reverse } }).abc = 1
    store:set("h", { hash = string.reverse }).short = true
    store:dict("p", { expire = lode.policy.at(function () return nil end,
      "secret") }).a = 1
    store:close()
    return path
  end

  it("a serializer: its bytes are shown, and written as they are",
    function ()
      local path = opaque()
      local r = ended(run("get", path, "d", "a"), 0, "serializer", "mine")
      assert.are.equal('"<5>"\n', r.out)
      ended(run("set", path, "d", "b", '"<6>"'), 0)
      ended(run("set", path, "d", "b", "7"), 1, "mine")
      r = ended(run("ls", path, "k"), 0, "key_serializer", "turned")
      assert.are.equal("cba\n", r.out)
      assert.are.equal("1\n", run("get", path, "k", "cba").out)
      local store = helper.open(nil, path)
      assert.are.equal(6, store:dict("d", { serializer = { name = "mine",
        encode = tostring,
        decode = function (b) return tonumber(b:sub(2, -2)) end } }).b)
    end)

  it("a hash function: keys shorter than that work", function ()
    local path = opaque()
    assert.are.equal("true\n", output("get", path, "h", "short"))
    ended(run("get", path, "h", ("x"):rep(600)), 1, "hash function")
  end)

  it("a policy: entries are there, and it is named", function ()
    local path = opaque()
    local r = ended(run("get", path, "p", "a"), 0, "policy", "secret")
    assert.are.equal("1\n", r.out)
  end)
end)

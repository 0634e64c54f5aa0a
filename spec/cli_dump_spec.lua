-- lode dump and lode load: a store comes back as it was.

local cli = require "support.cli"
local exact = require "support.exact"
local helper = require "support.helper"
local json = require "lode.cli.json"
local lode = require "lode"
local stores = require "lode.cli.stores"

local dict, set, policy = lode.dict, lode.set, lode.policy
local run, run_on, output = cli.run, cli.run_on, cli.output

local huge = math.huge
local most = math.maxinteger or 2^53
local least = math.mininteger or -2^53

local values = {
  1, 1.0, -0.0, 0, 2^53, huge, -huge, 0 / 0, 1e300, 5e-324, 0.1, "", "a",
  "\0\255", "\239\191\189é\n\t\"\\", "$b", true, false, {}, { 1, 2, 3 },
  { 1, nil, 3 }, { a = { b = { c = { 1.0, 1 } } } }, { ["$b"] = 1 },
  { [1] = 1, x = 2 }, { [true] = false, [1.5] = 2 }, { ["\255"] = { 0 / 0 } },
  ("x"):rep(100000), most, least, -1,
}

local keys = {
  true, false, 1.5, -1e300, huge, -huge, "", "str", "\255\0", "é", most, least,
  {}, { "2026", 11, 20 }, { 1, 2.5, true, "\0\1" }, ("k"):rep(5000),
  ("k"):rep(5001), { ("y"):rep(600), 3 },
}

local function turned (options)
  local all = { serializer = { name = "mine",
    encode = function (v) return "<" .. tostring(v) .. ">\255" end,
    decode = function (b) return tonumber(b:sub(2, -3)) end,
  }, key_serializer = { name = "turned",
    encode = string.reverse, decode = string.reverse } }
  for k, v in pairs(options) do all[k] = v end
  return all
end

-- Everything that a store may hold.
local function fill (store)
  local d = store:dict "all"
  for i, v in ipairs(values) do d[i] = v end
  for i, k in ipairs(keys) do d[k] = i end
  dict.set(d, "ends", 1, 1000.123)
  local t = store:dict("timed", { ttl = 500.5, key = "string",
    value = "integer", times = true })
  t.a = 1
  dict.set(t, "never", 2, huge)
  dict.set(t, "own", 3, 77.777)
  local s = store:set "members"
  set.add_many(s, { 1, "x", true, { 1, 2 }, 2.5 })
  set.add(s, "ends", 5000)
  store:dict("known policy", { expire = policy.any(policy.idle(300),
    policy.age(900)) }).a = { 1 }
  local u = store:dict("policy", { expire = policy.at(function (e)
    return e.value.ends
  end, "secret") })
  u.a, u.b = { ends = os.time() + 5000.25 }, {}
  local m = store:dict("mine", turned { value = "integer" })
  m.abc, m.xyz = 1, 2
  dict.set(m, "t", 3, 600)
  local w = store:dict("json", { serializer = "json", max_entries = 50,
    evict = "lru" })
  w.a, w.b, w.c = { 1, 2 }, "text", 1.0
  store:set("hashed", { hash = string.reverse }).short = true
  store:set("capped", { on_expire = function () end, max_bytes = 10000,
    evict = function () return 1 end }).x = true
  local r = store:dict("plain", { raw = true })
  r["k\0"], r.x = "v\255", ""
  store:dict "empty"
end

-- What it knows of an entry, without the policy being asked.
local function expires (c, key)
  return c.kind ~= "raw" and c:call("info", key).expires or false
end

-- Asserts that two stores hold the same; the number of entries.
local function compare (one, other)
  local a = helper.owned(stores.reading(one))
  local b = helper.owned(stores.reading(other))
  assert.are.same(stores.list(a), stores.list(b))
  local count = 0
  for _, entry in ipairs(stores.list(a)) do
    local name = entry.name
    local from, to = stores.collection(a, name), stores.collection(b, name)
    assert.are.same(from.options, to.options)
    assert.are.equal(from.fn.len(from.handle), to.fn.len(to.handle))
    for key, value in from:each() do
      local what = name .. "[" .. exact.show(key) .. "]"
      if not from.policy then
        exact.check(expires(from, key), expires(to, key), what .. " ends")
      end
      exact.check(value, to:get(key), what)
      count = count + 1
    end
  end
  a:close()
  b:close()
  return count
end

-- A dump of so many small entries.
local function lines (count, ending)
  local out = { '{"lode":1,"version":"0.2.0"}\n{"dict":"d"}\n' }
  for i = 1, count do out[i + 1] = ('{"k":%d,"v":%d}\n'):format(i, i) end
  return table.concat(out) .. (ending or '{"end":{"entries":1}}\n')
end

local function count_of (path)
  local store = helper.owned(stores.reading(path))
  local n = store:stats().entries
  assert.is_true(store:check().ok)
  store:close()
  return n
end

describe("a dump that is loaded", function ()
  helper.watch()

  it("gives the same store: each type, option and end", function ()
    local store, path = helper.open()
    fill(store)
    store:close()
    local copy = helper.path()
    local r = run("dump", path)
    assert.are.equal(0, r.status, r.err)
    local loaded = run_on(cli.file(r.out), "load", copy)
    assert.are.equal(0, loaded.status, loaded.err)
    local count = compare(path, copy)
    assert.are.equal(#values + #keys + 23, count)
    assert.is_truthy(loaded.err:find(count .. " entries loaded", 1, true))
  end)

  it("is right for a program that knows what lode didn't", function ()
    local store, path = helper.open()
    fill(store)
    store:close()
    local copy = helper.path()
    run_on(cli.file(run("dump", path).out), "load", copy)
    store = helper.open(nil, copy)
    local m = store:dict("mine", turned {})
    assert.are.equal(1, m.abc)
    assert.are.equal(3, m.t)
    local asked = {}
    local u = store:dict("policy", { expire = policy.at(function (e)
      asked[e.key] = true
      return e.value.ends
    end, "secret") })
    assert.are.equal(2, #u)
    u.c = { ends = 1e10 }
    assert.is_true(asked.c)
  end)

  it("is each entry as a line, and has a first and a last one", function ()
    local store, path = helper.open()
    store:dict("d", { ttl = 60 })[{ "a", 1 }] = { x = "\255" }
    store:close()
    local text = output("dump", path):gsub('"t":[%d.]+', '"t":1')
    assert.are.equal(('{"lode":1,"version":"%s"}\n'):format(lode.version)
      .. '{"dict":"d","options":{"ttl":60}}\n'
      .. '{"k":["a",1],"v":{"x":{"$b":"/w=="}},"t":1}\n'
      .. '{"end":{"entries":1}}\n', (text:gsub("60%.0", "60")))
  end)

  it("has the collections that were asked for", function ()
    local store, path = helper.open()
    store:dict("a").x, store:dict("b").x = 1, 2
    store:close()
    local text = output("dump", path, "b")
    assert.is_truthy(text:find('{"dict":"b"}', 1, true))
    assert.is_nil(text:find('{"dict":"a"}', 1, true))
    assert.are.equal(1, run("dump", path, "nix").status)
  end)

  it("tells where a hash function is wanting", function ()
    local store, path = helper.open()
    local long = ("x"):rep(600)
    local h = store:dict("h", { hash = string.reverse })
    h.a, h[long] = 1, 2
    store:close()
    local r = run("dump", path)
    assert.are.equal(0, r.status, r.err)
    assert.is_truthy(r.out:find('{"k":"' .. long .. '","v":2}', 1, true))
    assert.is_truthy(r.err:find("h: whether 1 entries", 1, true), r.err)
    r = run_on(cli.file(r.out), "load", helper.path())
    assert.are.equal(1, r.status)
    assert.is_truthy(r.err:find("hash function of its own", 1, true), r.err)
  end)

  it("tells what waits for a policy that is unknown", function ()
    local store, path = helper.open { maintenance = "off",
      clock = function () return os.time() - 100 end }
    local p = store:dict("p", { expire = policy.at(function (e)
      return e.value
    end, "secret") })
    p.past, p.still = os.time() - 50, os.time() + 500
    store:close()
    local r = run("dump", path)
    assert.are.equal(0, r.status, r.err)
    assert.is_nil(r.out:find("past", 1, true))
    assert.is_truthy(r.out:find("still", 1, true))
    assert.is_truthy(r.err:find("p: 1 entries are not in the dump", 1, true))
  end)

  it("leaves out what has ended, and says so", function ()
    local path = helper.path()
    local r = run_on(cli.file(lines(0, '{"k":1,"v":1,"t":1000.5}\n'
      .. '{"k":2,"v":2}\n{"end":{"entries":2}}\n')), "load", path)
    assert.are.equal(0, r.status, r.err)
    assert.is_truthy(r.err:find("1 entries loaded, 1 left out", 1, true))
    assert.are.equal("2\n", output("ls", path, "d", "--json"))
  end)

  it("may have more collections than a store has by default", function ()
    local store, path = helper.open { collections = 1000 }
    store:transaction(function ()
      for i = 1, 300 do store:dict("d" .. i)[i] = i end
    end)
    store:close()
    local copy = helper.path()
    assert.are.equal(0, run_on(cli.file(output("dump", path)), "load",
      copy).status)
    assert.are.equal(300, compare(path, copy))
  end)

  it("adds to what is there, and replaces equal keys", function ()
    local store, path = helper.open()
    local d = store:dict "d"
    d[1], d.own = "old", true
    store:close()
    assert.are.equal(0, run_on(cli.file(lines(3)), "load", path).status)
    store = helper.open(nil, path)
    assert.are.equal(4, #store:dict "d")
    assert.are.equal(1, store:dict("d")[1])
  end)

  it("is refused where the options of a collection differ", function ()
    local store, path = helper.open()
    store:dict("d", { key = "string" })
    store:close()
    local r = run_on(cli.file(
      '{"lode":1}\n{"dict":"d","options":{"key":"integer"}}\n'),
      "load", path)
    assert.are.equal(1, r.status)
    assert.is_truthy(r.err:find("line 2: INCOMPATIBLE", 1, true), r.err)
  end)
end)

describe("lode load", function ()
  helper.watch()

  it("that meets a wrong line keeps what came before", function ()
    for _, wrong in ipairs { "{", '{"x":1}', '{"k":1}', '{"k":{"$f":"nan"},'
      .. '"v":1}', '{"k":1,"v":2,"t":"x"}', "5" } do
      local path = helper.path()
      local r = run_on(cli.file(lines(25, wrong .. "\n")), "load", path,
        "--batch", "10")
      assert.are.equal(1, r.status, wrong)
      assert.is_truthy(r.err:find("line 28", 1, true), r.err)
      assert.is_truthy(r.err:find("20 entries loaded", 1, true), r.err)
      assert.are.equal(20, count_of(path))
    end
  end)

  it("--atomic keeps nothing then", function ()
    local path = helper.path()
    local r = run_on(cli.file(lines(25, "{\n")), "load", path, "--atomic",
      "--batch", "10")
    assert.are.equal(1, r.status)
    assert.is_truthy(r.err:find("nothing is loaded", 1, true), r.err)
    assert.are.equal(0, count_of(path))
    assert.are.equal(0, run_on(cli.file(lines(25)), "load", path,
      "--atomic", "--batch", "10").status)
    assert.are.equal(25, count_of(path))
  end)

  it("notices a dump that was cut off", function ()
    local path = helper.path()
    local r = run_on(cli.file(lines(5, "")), "load", path)
    assert.are.equal(1, r.status)
    assert.is_truthy(r.err:find("cut off", 1, true), r.err)
    assert.are.equal(5, count_of(path))
  end)

  it("refuses what is no dump, and one of a newer form", function ()
    local path = helper.path()
    local r = run_on(cli.file "a,b,c\n", "load", path)
    assert.are.equal(1, r.status)
    r = run_on(cli.file '{"a":1}\n', "load", path)
    assert.is_truthy(r.err:find("no dump of lode", 1, true), r.err)
    r = run_on(cli.file '{"lode":2}\n', "load", path)
    assert.is_truthy(r.err:find("form 2", 1, true), r.err)
  end)

  it("that Ctrl-C ends leaves a whole store, and says how far it came",
    function ()
      local path, fifo = helper.path(), helper.path "fifo"
      local err = helper.path "err"
      helper.shell("mkfifo " .. fifo)
      local pipe = assert(io.popen(("exec 2>%s; echo $$; %s <%s"):format(err,
        cli.command("load", path, "--batch", "100"), fifo)))
      local pid = pipe:read "*l"
      local out = assert(io.open(fifo, "w"))
      out:write(lines(1050, ""))
      out:flush()
      for _ = 1, 500 do -- until it has come to the end of that
        local ok, store = pcall(lode.open, path, { readonly = true })
        local n = ok and store:stats().entries
        if ok then store:close() end
        if n and n >= 1000 then break end
        os.execute "sleep 0.01"
      end
      os.execute("kill -INT " .. pid)
      out:close() -- where the system goes on with a read after a signal
      pipe:read "*a"
      pipe:close()
      local text = cli.content(err)
      assert.is_truthy(text:find("1,000 entries loaded; the store is whole",
        1, true), text)
      assert.is_truthy(text:find("load: interrupted", 1, true), text)
      assert.are.equal(1000, count_of(path))
    end)

  it("that Ctrl-C ends in the middle of writing ends with 130", function ()
    local path, text = helper.path(), cli.file(lines(60000))
    local pipe = assert(io.popen(("( %s ) <%s 2>/dev/null & echo $!; "
      .. "wait $!; echo $?"):format(cli.command("load", path, "--batch",
      "500"), text)))
    local pid = pipe:read "*l"
    for _ = 1, 500 do
      local ok, store = pcall(lode.open, path, { readonly = true })
      local n = ok and store:stats().entries
      if ok then store:close() end
      if n and n > 0 then break end
      os.execute "sleep 0.01"
    end
    os.execute("kill -INT " .. pid)
    assert.are.equal("130", pipe:read "*l")
    pipe:close()
    local count = count_of(path)
    assert.are.equal(0, count % 500)
    assert.is_true(count >= 500 and count < 60000)
  end)
end)

describe("other forms", function ()
  helper.watch()

  local plain = "VERSION=3\nformat=bytevalue\ndatabase=plain\ntype=btree\n"
    .. "HEADER=END\n 6b00\n 76ff\n 78\n \nDATA=END\n"

  it("--raw is the text of mdb_dump", function ()
    local store, path = helper.open()
    local r = store:dict("plain", { raw = true })
    r["k\0"], r.x = "v\255", ""
    store:dict("d").x = "text"
    store:dict("no").x = 5
    store:close()
    assert.are.equal(plain, output("dump", path, "plain", "--raw"))
    assert.is_truthy(output("dump", path, "d", "--raw"):find(
      "\n 78\n 74657874\n", 1, true))
    assert.are.equal(1, run("dump", path, "no", "--raw").status)
  end)

  it("--raw is read into plain databases, or a dict that is there",
    function ()
      local path = helper.path()
      local r = run_on(cli.file(plain), "load", path, "--raw")
      assert.are.equal(0, r.status, r.err)
      assert.are.equal(plain, output("dump", path, "plain", "--raw"))
      local printed = "VERSION=3\nformat=print\ntype=btree\nHEADER=END\n"
        .. " a b\n c\\5c5c\\00\\\\\nDATA=END\n"
      assert.are.equal(1, run_on(cli.file(printed), "load", path,
        "--raw").status)
      output("set", path, "d", "x", "1")
      assert.are.equal(0, run_on(cli.file(printed), "load", path, "d",
        "--raw").status)
      assert.are.equal("c\\5c\0\\", output("get", path, "d", "a b",
        "--text"))
      for _, wrong in ipairs { "VERSION=3\n", "HEADER=END\n 6b\n",
        plain:gsub("76ff", "76f"), "no\n" } do
        assert.are.equal(1, run_on(cli.file(wrong), "load", path, "e",
          "--raw").status, wrong)
      end
    end)

  it("--raw goes from and to the tools of LMDB", function ()
    local _, there = helper.shell "command -v mdb_load"
    if not there then return pending "mdb_load isn't here" end
    local dir = helper.path()
    local text = cli.file(plain)
    local said, ok = helper.shell(("mkdir %s && mdb_load -f %s %s && "
      .. "mdb_dump -s plain %s"):format(dir, text, dir, dir))
    assert.is_true(ok, said)
    local path = helper.path()
    assert.are.equal(0, run_on(cli.file(said), "load", path, "--raw").status)
    assert.are.equal(plain, output("dump", path, "plain", "--raw"))
    assert.are.equal('{"lode":1,"version":"' .. lode.version .. '"}\n'
      .. '{"raw":"plain"}\n{"k":"k\\u0000","v":{"$b":"dv8="}}\n'
      .. '{"k":"x","v":""}\n{"end":{"entries":2}}\n', output("dump", dir))
  end)

  it("--flat is key, tab, value, seconds", function ()
    local path = helper.path()
    local text = "a\tx\\ty\\x00\\\\n\nb\t3\nc d\ttrue\t500\n\n"
    local r = run_on(cli.file(text), "load", path, "d", "--flat")
    assert.are.equal(0, r.status, r.err)
    run_on(cli.file(text), "load", path, "e", "--flat", "--types")
    local store = helper.owned(stores.reading(path))
    local d, e = store:dict "d", store:dict "e"
    assert.are.equal("x\ty\0\\n", d.a)
    assert.are.equal("3", d.b)
    assert.are.equal(3, e.b)
    assert.are.equal(true, e["c d"])
    assert.is_true(dict.ttl(d, "c d") > 400)
    store:close()
    assert.are.equal("a\tx\\ty\\x00\\\\n\nb\t3\nc d\ttrue\t",
      (output("dump", path, "e", "--flat"):gsub("%d+%.%d+\n$", "")))
    for _, wrong in ipairs { "no tab\n", "a\tb\tsoon\n" } do
      assert.are.equal(1, run_on(cli.file(wrong), "load", path, "d",
        "--flat").status)
    end
    output("set", path, "t", "k", '{"a":1}')
    r = run("dump", path, "t", "--flat")
    assert.are.equal(1, r.status)
    assert.is_truthy(r.err:find("a table", 1, true))
  end)

  it("--flat keeps the life that a dict gives", function ()
    local store, path = helper.open()
    store:dict("d", { ttl = 100 })
    store:close()
    run_on(cli.file "a\t1\n", "load", path, "d", "--flat")
    local entry = json.decode(output("get", path, "d", "a", "--json"))
    assert.is_true(entry.expires > os.time() + 50)
  end)
end)

-- `lode report`: its figures, its page as text, and the runs that it takes
-- over. How it looks in a browser: spec/pages/report_spec.lua.

local cli = require "support.cli"
local helper = require "support.helper"
local json = require "lode.cli.json"
local lode = require "lode"

local dict, set = lode.dict, lode.set
local content, output, run = cli.content, cli.output, cli.run

local function figures (path)
  return json.decode(output("report", path, "--json"))
end

-- A report that was written to a file: its text.
local function page (path, to)
  assert.are.equal("", output("report", path, "-o", to))
  return content(to)
end

-- The history in a page.
local function history (html)
  return json.decode(html:match 'id="history">(.-)</script>')
end

local function has (text, part)
  assert.is_truthy(text:find(part, 1, true), ("%q isn't there"):format(part))
end

local function lacks (text, part)
  assert.is_nil(text:find(part, 1, true), ("%q is there"):format(part))
end

local function one_entry ()
  local store, path = helper.open()
  store:dict("d").a = 1
  store:close()
  return path
end

describe("the figures of lode report", function ()
  helper.watch()

  it("are those of each collection, the largest first", function ()
    local store, path = helper.open()
    local small, large = store:dict "small", store:dict("large",
      { times = true })
    small.a = "12345"
    for i = 1, 500 do large[i] = ("x"):rep(100) end
    set.add_many(store:set "tags", { "a", "b", "c" })
    local raw = store:dict("plain", { raw = true })
    raw.k = "four"
    local stats = { large = dict.stats(large), small = dict.stats(small) }
    store:close()
    local found = figures(path)
    local names = {}
    for i, one in ipairs(found.collections) do
      names[i], names[one.name] = one.name, one
    end
    assert.are.same({ "large", "plain", "small", "tags" }, { names[1],
      names[2], names[3], names[4] })
    assert.are.equal(505, found.entries)
    assert.are.equal(500, names.large.entries)
    assert.are.equal(stats.large.size, names.large.size)
    assert.are.equal(100, names.large.largest_value)
    assert.are.equal(50000, names.large.value_bytes)
    assert.is_true(names.large.options.times)
    assert.are.equal(5, names.small.value_bytes)
    assert.are.same({ "raw", 1, 4 }, { names.plain.kind, names.plain.entries,
      names.plain.value_bytes })
    assert.are.same({ "set", 3, 0 }, { names.tags.kind, names.tags.entries,
      names.tags.value_bytes })
  end)

  it("count what is left to live", function ()
    local store, path = helper.open()
    local d, s = store:dict "d", store:set "s"
    local day = 86400
    for i, ttl in ipairs { 40, 600, 700, 3 * 3600, 2 * day, 20 * day,
      200 * day, 400 * day } do dict.set(d, i, i, ttl) end
    d.a, d.b = 1, 2
    set.add(s, "x", 600)
    dict.set(d, "gone", 1, 0.001)
    helper.shell "sleep 0.01"
    store:close()
    local found = figures(path)
    assert.are.same({ 1, 3, 1, 1, 1, 1, 1 }, found.lives.counts)
    assert.are.equal(2, found.lives.none)
    assert.are.equal(11, found.entries)
    assert.are.equal(1, found.expired)
  end)

  it("count ages, where times are kept", function ()
    local now = os.time()
    local clock = now
    local store, path = helper.open { clock = function () return clock end }
    local d = store:dict("d", { times = true })
    for i, age in ipairs { 20, 600, 3 * 3600, 90000, 90000, 20 * 86400,
      200 * 86400, 400 * 86400 } do
      clock = now - age
      d[i] = true
    end
    store:dict("e").untimed = 1
    store:close()
    local ages = figures(path).ages
    assert.are.same({ 1, 1, 1, 2, 1, 1, 1 }, ages.counts)
    assert.are.equal(1, ages.none)
  end)

  it("count values by the bytes that are stored", function ()
    local store, path = helper.open()
    local d = store:dict "d"
    local bytes = { 16, 17, 64, 65, 1024, 1025, 70000, 2000000 }
    for i, size in ipairs(bytes) do d[i] = ("x"):rep(size) end
    store:set("s").member = true
    store:close()
    local found = figures(path)
    assert.are.same({ 1, 2, 1, 1, 1, 0, 0, 1, 1 }, found.values.counts)
    assert.are.equal(2000000, found.collections[1].largest_value)
  end)

  it("split the file into parts that are all of it", function ()
    local store, path = helper.open()
    local d = store:dict("d", { ttl = 1000 })
    for i = 1, 300 do d[i] = ("x"):rep(i) end
    for i = 1, 20 do d["large" .. i] = ("y"):rep(50000) end
    for i = 11, 20 do d["large" .. i] = nil end
    local stats = dict.stats(d)
    store:close()
    local found = figures(path)
    local space, pages = found.space, stats.branch_pages + stats.leaf_pages
      + stats.overflow_pages
    assert.are.equal(stats.size * stats.overflow_pages / pages,
      space.overflow)
    assert.is_true(space.overflow >= 500000)
    assert.are.equal(stats.size - space.overflow, space.live)
    assert.are.equal(found.stats.free_size, space.free)
    assert.is_true(space.free > 0 and space.other > 0)
    assert.are.equal(found.stats.file_size, space.live + space.overflow
      + space.other + space.free + space.unused)
  end)

  it("need neither the serializers nor the policy", function ()
    local store, path = helper.open()
    local mine = { name = "mine", encode = function () return "four" end,
      decode = function () return 4 end }
    local d = store:dict("d", { serializer = mine, expire = function ()
      return os.time() + 600
    end, key_serializer = { name = "keys", encode = string.upper,
      decode = string.lower } })
    d.a, d.b = { 1 }, 2
    local h = store:dict("h", { hash = string.reverse })
    h.a, h[("k"):rep(2000)] = 1, 2
    store:close()
    local found = figures(path)
    assert.are.equal(4, found.entries)
    assert.are.equal(2, found.lives.counts[2])
    assert.are.equal(1, found.lives.none)
    assert.are.same({ 1, 1, 1 }, { found.lives.unknown, found.ages.unknown,
      found.values.unknown })
    assert.are.equal(8, found.collections[1].name == "d"
      and found.collections[1].value_bytes
      or found.collections[2].value_bytes)
    has(output("report", path), "Of 1 entry it is unknown")
  end)

  it("are there of an empty store, and of one in a file", function ()
    local store, path = helper.open()
    store:close()
    local text = output("report", path, "--json")
    has(text, '"collections":[]')
    assert.are.equal(0, json.decode(text).entries)
    has(output("report", path), "There are none yet.")
    path = helper.path "file"
    store = lode.open(path, { single_file = true })
    store:dict("d").a = 1
    store:close()
    assert.are.equal(1, figures(path).entries)
  end)
end)

describe("the page of lode report", function ()
  helper.watch()

  it("shows the figures", function ()
    local store, path = helper.open()
    local d = store:dict("users", { times = true, ttl = 7200 })
    store:transaction(function ()
      for i = 1, 1234 do d[i] = ("x"):rep(100) end
    end)
    local stats = store:stats()
    store:close()
    local html = output("report", path)
    assert.is_truthy(html:find "^<!doctype html>")
    has(html, "<title>" .. path:match "[^/]+$" .. " · lode report</title>")
    has(html, "<dt>Entries</dt><dd>1,234</dd>")
    has(html, ("<dt>Commits</dt><dd>%d</dd>"):format(stats.version))
    has(html, "<bdi>users</bdi><small>dict · times ttl=7200 · values up to "
      .. "100&nbsp;B</small>")
    assert.is_truthy(html:find(
      "under 1 day</th><td>.-</td><td>1,234</td><td>100 %%</td>"))
  end)

  it("stands alone, and runs nothing", function ()
    local path = one_entry()
    local html = output("report", path)
    lacks(html, "http:")
    lacks(html, "https:")
    lacks(html, "@import")
    lacks(html, "url(")
    has(html, [["default-src 'none'; style-src 'unsafe-inline'; img-src ]]
      .. [[data:"]])
    for attributes in html:gmatch "<script([^>]*)>" do
      has(attributes, 'type="application/json"')
    end
    for _, tag in ipairs { "img", "iframe", "object", "embed" } do
      lacks(html, "<" .. tag)
    end
  end)

  it("is safe from names, and tells no key and no value", function ()
    local store, path = helper.open({}, helper.path "<b>&'\"")
    local names = { "<script>alert(1)</script>", "\"><img src=x onerror=a()>",
      "</script><b>", "\1\255\27[31m", "it's & more", "{tiles}", "%d%s",
      "\226\128\174live" }
    for _, name in ipairs(names) do
      store:dict(name)["secret-key"] = "secret-value"
    end
    store:close()
    local to = helper.path "page"
    page(path, to)
    local html = page(path, to) -- with the history of the first
    lacks(html, "secret")
    lacks(html, "<script>")
    lacks(html, "<img")
    lacks(html, "<b>&")
    has(html, "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>")
    has(html, "<bdi>&quot;&gt;&lt;img src=x onerror=a()&gt;</bdi>")
    has(html, "<bdi>\\x01\\xff\\x1b[31m</bdi>")
    has(html, "<bdi>it&#39;s &amp; more</bdi>")
    has(html, "<bdi>{tiles}</bdi>")
    assert.are.equal(1, select(2, html:gsub("<script", "")))
    assert.are.equal(1, select(2, html:gsub("</script", "")))
    assert.is_nil(html:gsub("\n", ""):find "%c")
    assert.is_truthy(require("lode.text").is_utf8(html))
    assert.are.equal(2, #history(html).runs)
  end)

  it("sums up collections past a hundred", function ()
    local store, path = helper.open { collections = 200 }
    for i = 1, 107 do store:dict("c" .. i).a = i end
    store:close()
    local html = output("report", path)
    has(html, '<th scope="row">7 smaller ones</th><td>7</td>')
    assert.are.equal(100, select(2, html:gsub("<bdi>c%d+</bdi>", "")))
  end)

  it("says what asks for attention", function ()
    local store, path = helper.open { maintenance = "off" }
    local d = store:dict "d"
    store:transaction(function ()
      for i = 1, 400 do dict.set(d, i, ("x"):rep(5000), 0.001) end
    end)
    local e = store:dict("e", { on_expire = function () end })
    dict.set(e, "a", 1, 0.001)
    store:close()
    local html = output("report", path)
    has(html, "400 expired entries are not removed yet")
    has(html, "1 entry whose time has come waits")
    output("sweep", path)
    html = output("report", path)
    has(html, "MiB of the file are free")
    lacks(html, "not removed yet:")
  end)
end)

describe("the runs of lode report", function ()
  helper.watch()

  it("go from one page to the next, and into no store", function ()
    local store, path = helper.open()
    local d, to = store:dict "d", helper.path "page"
    for i = 1, 3 do
      d[i] = i
      local version, data = store:version(), content(path .. "/data.mdb")
      page(path, to)
      assert.are.equal(version, store:version())
      assert.is_true(data == content(path .. "/data.mdb"))
    end
    local html = content(to)
    local runs = history(html).runs
    assert.are.equal(3, #runs)
    for i, run_of in ipairs(runs) do
      assert.are.equal(i, run_of.entries)
      assert.is_true(run_of.file >= run_of.used and run_of.used > 0)
      assert.is_true(math.abs(run_of.time - os.time()) < 60)
    end
    has(html, 'aria-label="Entries: from 1 to 3 in 3 runs"')
    has(html, "+2 in 3 runs")
    assert.are.equal("", helper.shell("ls " .. to .. ".new 2>/dev/null"))
  end)

  it("are at most sixty", function ()
    local path, to = one_entry(), helper.path "page"
    local html = page(path, to)
    local kept = history(html)
    for i = 1, 60 do
      kept.runs[i] = { time = 1000 + i, version = i, entries = i, used = i,
        file = i }
    end
    local file = assert(io.open(to, "wb"))
    file:write((html:gsub('(id="history">).-(</script>)',
      function (a, b) return a .. json.encode(kept) .. b end)))
    file:close()
    local runs = history(page(path, to)).runs
    assert.are.equal(60, #runs)
    assert.are.equal(1002, runs[1].time)
    assert.are.equal(1, runs[60].entries)
    assert.is_true(#content(to) < 65536)
  end)

  it("of another store are left out", function ()
    local a, b, to = one_entry(), one_entry(), helper.path "page"
    page(a, to)
    local r = run("report", b, "-o", to)
    assert.are.equal(0, r.status)
    has(r.err, a)
    assert.are.equal(1, #history(content(to)).runs)
  end)

  it("that are damaged are left out", function ()
    local path, to = one_entry(), helper.path "page"
    local html = page(path, to)
    for _, bad in ipairs { "", "{", "[]", '{"runs":1}', "null",
      '{"path":1,"runs":[1,{"time":"x"},{"time":-1}]}',
      '{"runs":[{"time":{"$f":"nan"},"version":1,"entries":1,"used":1,'
      .. '"file":1}]}' } do
      local file = assert(io.open(to, "wb"))
      file:write((html:gsub('(id="history">).-(</script>)',
        function (a, b) return a .. bad .. b end)))
      file:close()
      assert.are.equal(1, #history(page(path, to)).runs, bad)
    end
  end)
end)

describe("the place of lode report", function ()
  helper.watch()

  it("is standard output unless it is given", function ()
    local path = one_entry()
    local to = helper.path "page"
    has(output("report", path), "<!doctype html>")
    has(output("report", path, "-o", "-"), "<!doctype html>")
    assert.are.equal("", output("report", path, "--output=" .. to))
    has(content(to), "<!doctype html>")
  end)

  it("is left alone when it is no report", function ()
    local path = one_entry()
    local data = path .. "/data.mdb"
    for _, to in ipairs { cli.file "my notes", data, helper.shell(
      "mktemp -d"):gsub("\n", ""), "/dev/null" } do
      local r = run("report", path, "-o", to)
      assert.are.equal(1, r.status, to)
      has(r.err, "is no report of lode")
    end
    assert.are.equal(1, figures(path).entries)
    local empty = cli.file ""
    page(path, empty)
    has(content(empty), "<!doctype html>")
  end)

  it("that can't be written ends it with 1", function ()
    local path = one_entry()
    local r = run("report", path, "-o", helper.path "none" .. "/page.html")
    assert.are.equal(1, r.status)
    has(r.err, "can't write")
  end)

  it("called wrongly ends with 2", function ()
    local path = one_entry()
    local r = run("report", path, "--json", "-o", "x")
    assert.are.equal(2, r.status)
    has(r.err, "either --json or --output")
    r = run("report", path, "-o")
    assert.are.equal(2, r.status)
    has(r.err, "--output takes a value")
    assert.are.equal(2, run("report").status)
    assert.are.equal(2, run("report", path, "-x").status)
  end)

  it("has a progress bar, on a terminal", function ()
    local store, path = helper.open()
    store:transaction(function ()
      local d = store:dict "d"
      for i = 1, 3000 do d[i] = i end
    end)
    store:close()
    local to = helper.path "page"
    local text = cli.on_terminal("sleep 0.1", "report", path, "-o", to)
    if not text then return pending "script isn't here" end
    has(text, "report  [")
    has(text, "100%")
    assert.are.equal("", run("report", path, "-o", to).err)
  end)
end)

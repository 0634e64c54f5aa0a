-- The page of `lode report` in headless Chromium: that it fits a phone, loads
-- nothing, shows the store's figures, and is safe from names. Pictures of it
-- are left in build/pages, for somebody to look at.

local browser = require "support.browser"
local cli = require "support.cli"
local helper = require "support.helper"
local lode = require "lode"
local page = require "lode.cli.page"
local terminal = require "lode.cli.terminal"

local dict, set = lode.dict, lode.set

local pictures = "build/pages/report-"

-- A store with some of everything, as old as it says.
local function town (path, days)
  local clock = os.time() - days * 86400
  local store = helper.open({ clock = function () return clock end }, path)
  local users = store:dict("users", { times = true })
  local sessions = store:dict("sessions", { expire = lode.policy.idle(28800) })
  local events = store:dict("events", { ttl = 90 * 86400 })
  local pages = store:dict("pages", { times = true, max_entries = 5000,
    evict = "lru" })
  local tags = store:set "tags"
  store:transaction(function ()
    for i = 1, 400 do
      clock = os.time() - days * 86400 - i * i
      users[("user-%d-%d"):format(days, i)] = { name = "Ada " .. i,
        about = ("x"):rep(i) }
      events[{ days, i }] = { kind = "login", at = i }
      sessions[days .. "-" .. i] = { user = i, data = ("d"):rep(60) }
      if i % 8 == 0 then pages[days .. "/" .. i] = ("lorem "):rep(i * 9) end
      tags["tag" .. i * days % 90] = true
    end
  end)
  store:dict("settings").theme = "dark"
  store:close()
end

local function report (path, to)
  cli.output("report", path, "-o", to)
  return "file://" .. to
end

-- Whether something is too wide for the window.
local function too_wide (b)
  return b:run [[
    const all = Array.from(document.querySelectorAll("body *"));
    const wide = all.filter(e =>
      e.getBoundingClientRect().right > innerWidth + .5);
    return document.documentElement.scrollWidth > innerWidth || wide.length
      ? wide.map(e => e.outerHTML.slice(0, 80)).join("\n") || "the page"
      : false]]
end

-- All pairs of text and ground on the page that are too alike, by WCAG 2.
local contrast = [[
  const parse = c => (c.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v =>
    v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce(
    (sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length == 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const bad = new Set();
  for (const e of document.querySelectorAll("body *")) {
    if (!Array.from(e.childNodes).some(n => n.nodeType == 3 &&
        n.data.trim())) continue;
    const a = light(parse(getComputedStyle(e).color));
    const b = light(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.add(e.tagName + "." + e.className + " " +
      ratio.toFixed(2));
  }
  return Array.from(bad).join("\n")]]

local suite = browser.found() and describe or function (name)
  describe(name, function ()
    pending "chromium or chromedriver isn't here"
  end)
end

suite("the page of lode report in a browser", function ()
  helper.watch()

  local b
  before_each(function () b = browser.open { width = 1280, height = 900 } end)
  after_each(function () b:close() end)

  it("fits a phone and a desk, by day and by night", function ()
    local path, to = helper.path "town", helper.path "page" .. ".html"
    for _, days in ipairs { 40, 9, 2, 0 } do
      town(path, days)
      report(path, to)
      helper.shell "sleep 1" -- or the runs would be of one moment
    end
    b:go("file://" .. to)
    b:run "document.querySelector('details').open = true"
    for _, scheme in ipairs { "light", "dark" } do
      b:media("prefers-color-scheme", scheme)
      assert.are.equal("", b:run(contrast), scheme)
      for name, width in pairs { desk = 1280, tablet = 768, phone = 375,
        narrow = 360 } do
        b:size(width, 900)
        assert.are.equal(width, b:run "return innerWidth")
        assert.is_false(too_wide(b), name)
        b:screenshot(pictures .. name .. "-" .. scheme .. ".png")
      end
    end
    assert.are.equal(3, b:count "svg.line path.dots")
    assert.are.equal(4, b:count "#runs tr")
  end)

  it("asks nobody for anything", function ()
    local path, to = helper.path "town", helper.path "page" .. ".html"
    town(path, 0)
    local url = report(path, to)
    b:go(url)
    assert.are.same({ url }, { b:requests()[1] })
    for _, asked in ipairs(b:requests()) do
      assert.is_truthy(asked:find "^data:", asked)
    end
    assert.are.equal(0, b:run
      "return performance.getEntriesByType('resource').length")
    assert.are.same({}, b:log())
  end)

  it("shows the figures of the store", function ()
    local path, to = helper.path "town", helper.path "page" .. ".html"
    town(path, 1)
    b:go(report(path, to))
    local store = lode.open(path, { readonly = true })
    helper.owned(store)
    local stats = store:stats()
    local tiles, names = b:texts ".tiles dd", {}
    assert.are.equal(terminal.bytes(stats.file_size), tiles[5])
    assert.are.equal(terminal.grouped(stats.version), tiles[6])
    local shown = {}
    for i, name in ipairs(b:texts "#collections bdi") do
      names[i] = name
      shown[name] = b:texts(("#collections tr:nth-child(%d) td"):format(i))
    end
    assert.are.equal(6, #names)
    local entries = 0
    for name, kind in store:collections() do
      local c = store[kind](store, name, name == "sessions"
        and { expire = lode.policy.idle(28800) } or nil)
      local of = kind == "set" and set.stats(c) or dict.stats(c)
      entries = entries + of.entries
      assert.are.equal(terminal.grouped(of.entries),
        shown[name][1]:match "^[%d,]+", name)
      assert.are.equal(terminal.bytes(of.size),
        shown[name][2]:match "^[%d.]+ %a+", name)
    end
    assert.are.equal(terminal.grouped(entries), tiles[1]:match "^[%d,]+")
    local sum = 0
    for _, count in ipairs(b:texts "#lives td:nth-child(3)") do
      sum = sum + tonumber((count:gsub(",", "")))
    end
    assert.are.equal(entries, sum)
    -- as wide as their figures say
    local widths = b:run [[
      return Array.from(document.querySelectorAll("#collections rect.live"),
        e => e.getBoundingClientRect().width)]]
    for i = 2, #widths do assert.is_true(widths[i] <= widths[i - 1]) end
    assert.is_true(widths[1] > 100)
  end)

  it("says in words what it draws, part by part", function ()
    local path, to = helper.path "town", helper.path "page" .. ".html"
    town(path, 1)
    report(path, to)
    b:go(report(path, to))
    assert.are.equal("", b:run [[
      return Array.from(document.querySelectorAll("svg")).filter(e =>
        e.getAttribute("aria-hidden") != "true" &&
        !e.getAttribute("aria-label")).length || ""]])
    assert.are.equal(b:count "table", b:count "table > caption")
    assert.are.equal(0, b:run [[
      return Array.from(document.querySelectorAll("thead th, tbody th"))
        .filter(e => !e.scope).length]])
    assert.are.equal("en", b:run "return document.documentElement.lang")
    assert.are.equal(1, b:count "h1")
    assert.are.equal(b:count "section", b:count "section > h2")
    assert.is_truthy(b:run "return document.title":find("lode report", 1,
      true))
  end)

  it("takes no name for markup", function ()
    local store, path = helper.open {}
    local names = { "<script>document.title = 'mine'</script>",
      "<img src=x onerror=\"document.title = 'mine'\">",
      "</style></script></table><h1>mine</h1>", "\1\255\27[31m",
      "\226\128\174live", ("long"):rep(50), "&lt;b&gt;" }
    for _, name in ipairs(names) do
      store:dict(name)["<script>document.title = 'mine'</script>"] = "<b>"
    end
    store:close()
    local to = helper.path "page" .. ".html"
    report(path, to)
    b:go(report(path, to))
    b:size(360, 800)
    assert.is_falsy(b:run("return document.title"):find "mine")
    assert.are.equal(1, b:count "h1")
    assert.are.equal(0, b:count "img")
    assert.are.equal(1, b:count "script")
    local shown = {}
    for _, name in ipairs(b:texts "#collections bdi") do
      shown[name] = true
    end
    for _, name in ipairs(names) do
      name = name:gsub("\1\255\27", "\\x01\\xff\\x1b")
      assert.is_true(shown[name], name)
    end
    assert.is_false(too_wide(b))
    assert.are.same({}, b:log())
    b:screenshot(pictures .. "names.png")
  end)

  it("has room for large figures on a phone", function ()
    local many, size = 12345678901, 2^42
    local counts = {}
    for i = 1, 7 do counts[i] = many end
    local function scale (limits)
      return { limits = limits, counts = counts, none = many, unknown = 0 }
    end
    local found = { path = "/var/lib/" .. ("directory"):rep(20) .. "/data",
      time = os.time(), entries = 8 * many, expired = many, waiting = 7,
      collections = { { name = "events", kind = "dict", entries = 8 * many,
        expired = many, size = size, largest_value = size,
        value_bytes = size, options = { ttl = 1e9 } } },
      lives = scale {}, ages = scale {}, values = scale { 1, 2, 4, 8, 16, 32 },
      space = { live = size, overflow = size, other = size, free = size,
        unused = size },
      stats = { file_size = 5 * size, used_size = size, free_size = size,
        version = many, max_size = size } }
    local runs = {}
    for i = 1, 60 do
      runs[i] = { time = os.time() + i * 86400, version = i, used = size,
        entries = many * i, file = size * i }
    end
    local to = helper.path "page" .. ".html"
    local file = assert(io.open(to, "w"))
    file:write(page.of(found, "{}", runs))
    file:close()
    b:go("file://" .. to)
    b:run "document.querySelector('details').open = true"
    b:size(360, 800)
    b:screenshot(pictures .. "large.png")
    assert.is_false(too_wide(b))
  end)
end)

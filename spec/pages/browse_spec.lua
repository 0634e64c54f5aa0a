-- The page of examples/openresty at /browse, in a real nginx, by clicks in a
-- headless Chromium. What it did is looked for in the store by lode itself,
-- in this process. Pictures of it go to build/pages, to be looked at.

local browser = require "support.browser"
local dict = require "lode".dict
local helper = require "support.helper"
local nginx = require "resty.nginx"
local set = require "lode".set

local there = nginx.is_there() and browser.found()

-- An `it` that is skipped where there is no nginx, or no browser.
local function it_in_browser (name, fn)
  if there then it(name, fn)
  else pending(name .. ": no nginx with its Lua module, or no Chromium") end
end

local pictures = "build/pages/"

describe("the page to browse a store", function ()
  helper.watch()

  local server, b

  setup(function ()
    if not there then return end
    b = browser.open()
    os.execute("mkdir -p " .. pictures)
  end)

  teardown(function ()
    if b then b:close() end
  end)

  after_each(function ()
    if server then
      local errors, urls, one = b:log(), b:requests(), server
      server = nil
      one:stop()
      assert.are.same({}, errors) -- nor any script that was stopped
      for _, url in ipairs(urls) do
        assert.are.equal(1, (url:find(one.address, 1, true)
          or url:find "^data:" or url:find "^about:"), url)
      end
      assert.are.equal("", one:complaints())
    end
  end)

  -- Starts the example, and gives its store as this process sees it.
  local function start (edit)
    server = nginx.example(nil, edit)
    server.address = ("http://localhost:%d/"):format(server.port)
    return (helper.open({}, server.prefix .. "/data"))
  end

  -- {================================================================
  -- What a visitor does and sees
  -- =================================================================

  local function keys () return b:texts "#rows td:first-child" end

  -- Waits until the page says this; what went wrong is said there, too.
  local function says (text)
    local ok = pcall(b.wait, b, function ()
      return b:text "#status" == text
    end)
    assert.is_true(ok, ("%q, not %q"):format(b:text "#status", text))
  end

  local function visit (collection, text)
    b:go "about:blank" -- as another # alone is the same page
    b:go(server.address .. "browse"
      .. (collection and "#collection=%22" .. collection .. "%22" or ""))
    if text then says(text) end
  end

  local function search (fields)
    for _, name in ipairs { "prefix", "from", "to" } do
      b:type(("#search [name=%s]"):format(name), fields[name] or "")
    end
    b:click "#search .main"
    says(fields.says)
  end

  -- Clicks the entry that is shown as this.
  local function open (key)
    local at
    for i, shown in ipairs(keys()) do at = shown == key and i or at end
    assert(at, key .. " isn't there")
    b:click(("#rows tr:nth-child(%d) button"):format(at))
    b:wait "#editor[open]"
  end

  local function save (value)
    b:type("#value", value)
    b:click "#save"
  end

  local function twice (button)
    b:click(button)
    b:click(button)
  end

  -- What the editor says against it, once it does.
  local function problem ()
    b:wait "#problem:not([hidden])"
    return b:text "#problem"
  end

  local function fill (d, n)
    local i = 0
    dict.put_many(d, function ()
      i = i + 1
      if i <= n then return ("user:%03d"):format(i), { logins = i } end
    end)
  end

  -- }================================================================

  it_in_browser("lists collections with their kinds and counts", function ()
    local store = start()
    fill(store:dict "users", 130)
    set.add(store:set "staff", "ada")
    store:dict "<b>"
    visit(nil, "Nothing here.")
    assert.are.same({ "<b>\ndict 0", "locks\ndict 0", "pages\ndict 1",
      "staff\nset 1", "users\ndict 130", "votes\ndict 0" }, b:texts "nav a")
    b:click "nav li:nth-child(5) a"
    says "50 entries on this page"
    assert.are.equal("users", b:text "h2")
    assert.are.equal("users\ndict 130", b:text "[aria-current]")
    assert.are.equal(server.prefix .. "/data", b:text "#path")
    b:screenshot(pictures .. "browse.png")
  end)

  it_in_browser("pages forward and back, from either end", function ()
    fill(start():dict "users", 130)
    local function see (first, last, count)
      b:wait(function ()
        local seen = keys()
        return #seen == count and seen[1] == first and seen[count] == last
      end)
    end
    visit("users", "50 entries on this page")
    see('"user:001"', '"user:050"', 50)
    assert.is_false(b:run "return previous.disabled === false")
    b:click "#next"
    see('"user:051"', '"user:100"', 50)
    b:click "#next"
    see('"user:101"', '"user:130"', 30)
    assert.is_true(b:run "return next.disabled")
    b:click "#previous"
    see('"user:051"', '"user:100"', 50)
    b:click "#previous"
    see('"user:001"', '"user:050"', 50)
    assert.is_true(b:run "return previous.disabled")
    b:run "history.back()"
    see('"user:051"', '"user:100"', 50)
    b:click "#search [name=reverse]"
    b:click "#search .main"
    see('"user:130"', '"user:081"', 50)
    b:click "#next"
    see('"user:080"', '"user:031"', 50)
    b:click "#previous"
    see('"user:130"', '"user:081"', 50)
  end)

  it_in_browser("searches by prefix and by range, also tuples", function ()
    local store = start()
    fill(store:dict "users", 130)
    local log = store:dict "log"
    for month = 10, 12 do log[{ "2026", month, 1 }] = month end
    log[11], log["11"], log[2.5], log[true] = 1, 2, 3, 4
    visit("users", "50 entries on this page")
    search { prefix = "user:01", says = "10 entries" }
    assert.are.equal('"user:010"', keys()[1])
    search { from = "user:005", to = '"user:007"', says = "3 entries" }
    assert.are.same({ '"user:005"', '"user:006"', '"user:007"' }, keys())
    search { prefix = "user:", from = "user:129", says = "2 entries" }
    b:run "location.reload()" -- the search is in the address
    says "2 entries"
    assert.are.equal("user:129", b:value "#search [name=from]")
    search { prefix = "nobody", says = "Nothing here." }
    b:click "#all"
    says "50 entries on this page"
    search { prefix = "user:0", says = "50 entries on this page" }
    b:click "#next" -- from the cursor on, what was searched for
    says "49 entries on this page"
    b:click "#previous"
    says "50 entries on this page"

    visit("log", "7 entries")
    assert.are.same({ "true", "2.5", "11", '"11"', '["2026",10,1]',
      '["2026",11,1]', '["2026",12,1]' }, keys())
    search { prefix = '["2026",11]', says = "1 entry" }
    search { from = "3", to = '"2"', says = "2 entries" }
    assert.are.same({ "11", '"11"' }, keys())
    search { from = '["2026",11]', says = "2 entries" }
    search { prefix = ".", says = "Nothing here." } -- a text, no number
    b:type("#search [name=prefix]", "")
    b:type("#search [name=from]", "[1,")
    b:click "#search .main"
    b:wait "#status.wrong"
    assert.is_truthy(b:text "#status":find "^not JSON at byte 4")
    assert.are.equal(0, #keys())
  end)

  it_in_browser("writes what was typed, and keeps types and ends", function ()
    local store = start()
    local d = store:dict "users"
    local old = { name = "ada", n = 3, f = 2.5, s = "3", b = true,
      bytes = "\0\255", list = { 1, "2" }, empty = {}, odd = { [7] = 1 },
      zero = -0.0, text = "one\ntwo, \"quoted\": {x}" }
    dict.set(d, "ada", old, 900)
    visit("users", "1 entry")
    open '"ada"'
    local text = b:value "#value"
    assert.is_truthy(text:find('\n  "n": 3,\n', 1, true), text)
    save((text:gsub('"name": "ada"', '"name": "Ada L."')))
    says "Saved."
    old.name = "Ada L."
    assert.are.same(old, d.ada)
    assert.are.equal(-math.huge, 1 / d.ada.zero)
    local left = dict.ttl(d, "ada")
    assert.is_true(left > 600 and left <= 900)

    for typed, value in pairs {
      ["17"] = 17, ["-0.125"] = -0.125, ['"17"'] = "17", ["false"] = false,
      ['{"$b":"AP8="}'] = "\0\255", ['"\\u0000é"'] = "\0é",
      ['{"$f":"inf"}'] = math.huge, ['{"$m":[[1,"a"],["b",{}]]}'] =
        { "a", b = {} }, ["[[], 1.5]"] = { {}, 1.5 },
    } do
      open '"ada"'
      save(typed)
      says "Saved."
      assert.are.same(value, d.ada)
      says "Saved."
      b:click "#refresh"
      says "1 entry"
    end

    for typed, why in pairs {
      ["ada"] = "not JSON at byte 1: a value expected",
      ["[1, null]"] = "null in a list has no value in Lua",
      [""] = "a value is missing",
      ["9007199254740993"] = "not exact in nginx's Lua",
    } do
      local before = d.ada
      open '"ada"'
      save(typed)
      assert.is_truthy(problem():find(why, 1, true), problem())
      assert.are.same(before, d.ada)
      b:click "#close"
    end
  end)

  it_in_browser("gives an entry an end, takes it, and sees it go", function ()
    local store = start()
    local d = store:dict "users"
    d.ada, d.bob, d.cleo = 1, 2, 3
    visit("users", "3 entries")
    open '"ada"'
    assert.are.equal("It has no end.", b:text "#ends")
    b:type("#ttl", "3500")
    b:click "#set-end"
    says "The end is set."
    assert.is_true(dict.ttl(d, "ada") > 3000)
    assert.is_truthy(b:text "#rows tr td:last-child":find "^58 min %d+ s$")
    open '"ada"'
    assert.is_truthy(b:text "#ends":find "^It ends in 58 min %d+ s, at ")
    b:click "#no-end"
    says "It has no end any more."
    assert.is_nil(dict.ttl(d, "ada"))
    assert.are.equal(1, d.ada)

    open '"bob"'
    b:type("#ttl", "2.5")
    b:click "#set-end"
    says "The end is set."
    assert.are.equal(3, #keys())
    b:wait(function () return #keys() == 2 end) -- nobody has clicked
    assert.is_nil(d.bob)

    open '"cleo"'
    b:click "#expire"
    assert.are.equal(3, d.cleo) -- asks first
    b:click "#expire"
    says "It has ended."
    b:wait(function () return #keys() == 1 end)
    assert.is_nil(d.cleo)
    assert.are.equal(3, (dict.get_stale(d, "cleo")))
  end)

  it_in_browser("adds and deletes", function ()
    local store = start()
    local d = store:dict("users", { ttl = 900 })
    visit("users", "Nothing here.")
    local function add (key, value, life)
      b:click "#add"
      b:wait "#editor[open]"
      b:type("#key", key)
      b:type("#value", value)
      b:type("#life", life or "")
      b:click "#save"
    end
    add("ada", '{"plan":"pro"}')
    says "Added."
    assert.are.equal("pro", d.ada.plan)
    assert.is_true(dict.ttl(d, "ada") > 600)
    add('["2026",11]', "1", "60")
    says "Added."
    b:wait(function () return #keys() == 2 end)
    assert.are.equal(1, d[{ "2026", 11 }])
    assert.is_true(dict.ttl(d, { "2026", 11 }) <= 60)
    add("7", '"seven"')
    b:wait(function () return #keys() == 3 end)
    assert.are.equal("seven", d[7])
    assert.is_nil(d["7"])
    add("ada", "2")
    assert.are.equal("nothing was done: there is one already", problem())
    assert.are.equal("pro", d.ada.plan)
    b:type("#key", "[[1]]")
    b:click "#save"
    b:wait(function () return b:text "#problem":find "BAD_KEY" end)
    b:click "#close"
    open '"ada"'
    b:click "#delete"
    assert.are.equal("pro", d.ada.plan)
    b:click "#delete"
    says "Deleted."
    b:wait(function () return #keys() == 2 end)
    assert.is_nil(d.ada)
  end)

  it_in_browser("refuses what was done to an older state", function ()
    local store = start()
    local d = store:dict "users"
    d.ada = { logins = 1 }
    visit("users", "1 entry")
    open '"ada"'
    d.ada = { logins = 2 } -- somebody else
    local changed =
      "nothing was done: somebody has changed this entry meanwhile"
    save '{"logins":100}'
    assert.are.equal(changed, problem())
    assert.are.equal(2, d.ada.logins)
    assert.are.equal('{"logins":100}', b:value "#value") -- nothing is lost
    b:screenshot(pictures .. "browse-refused.png")
    twice "#delete"
    b:type("#ttl", "5")
    b:click "#set-end"
    assert.are.equal(changed, problem())
    assert.are.same({ 2, nil }, { d.ada.logins, dict.ttl(d, "ada") })
    b:click "#reload"
    b:wait(function () return b:value "#value" == '{"logins":2}' end)
    assert.is_false(b:run "return !problem.hidden")
    save '{"logins":3}'
    says "Saved."
    assert.are.equal(3, d.ada.logins)

    open '"ada"'
    d.ada = nil
    save "4"
    assert.are.equal("nothing was done: this entry is gone meanwhile",
      problem())
    assert.is_nil(d.ada)
    b:click "#close"
  end)

  it_in_browser("does the same with sets", function ()
    local store = start()
    local s = store:set "staff"
    set.add_many(s, { "ada", 42, { "a", 1 } })
    visit("staff", "3 members")
    assert.are.same({ "42", '"ada"', '["a",1]' }, keys())
    b:click "#add"
    b:wait "#editor[open]"
    assert.is_true(b:run "return value.offsetParent === null")
    b:type("#key", "bob")
    b:type("#life", "60")
    b:click "#save"
    says "Added."
    assert.is_true(set.ttl(s, "bob") <= 60)
    b:wait(function () return #keys() == 4 end)
    open "42"
    twice "#delete"
    says "Deleted."
    b:wait(function () return #keys() == 3 end)
    assert.is_nil(s[42])
    open '"bob"'
    b:click "#no-end"
    says "It has no end any more."
    assert.is_nil(set.ttl(s, "bob"))
    open '["a",1]'
    set.remove(s, { "a", 1 })
    b:type("#ttl", "60")
    b:click "#set-end"
    assert.is_truthy(problem():find "gone")
    b:click "#close"
    search { prefix = "b", says = "1 member" }
  end)

  it_in_browser("shows hostile entries, and nothing of them runs", function ()
    local store = start()
    local evil = "<img src=x onerror='window.pwned=1'>"
    local script = "</script><script>window.pwned=1</script>"
    local d = store:dict(script .. evil)
    local entries = {
      [evil] = script, [script] = { [evil] = { script } },
      ["\0"] = "a\0b", ["\255\254<b>"] = "\237\160\128", ["\226\128\168"] = 1,
      ["{{script}}"] = "</textarea>" .. evil, ["__proto__"] = {
        constructor = 1, ["__proto__"] = 2 },
      ["javascript:window.pwned=1"] = "'\"`${window.pwned=1}",
      ["\226\128\174 rtl"] = "]]>\127\27[31m\243\160\129\129\194\160",
    }
    dict.put_many(d, entries)
    visit(nil, "9 entries") -- the first in order
    assert.are.equal(script .. evil, b:text "h2")
    local seen = {}
    for _, key in ipairs(keys()) do seen[key] = true end
    assert.is_true(seen['"' .. script .. '"'])
    assert.is_true(seen['"\\u0000"'])
    assert.is_true(seen['{"$b":"//48Yj4="}'])
    assert.is_true(seen['"\\u2028"'] and seen['"\\u202e rtl"'])
    for i = 1, 9 do
      b:click(("#rows tr:nth-child(%d) button"):format(i))
      b:wait "#editor[open]"
      b:click "#save" -- what is shown is what is there
      says "Saved."
      b:click "#refresh"
      says "9 entries"
    end
    assert.are.same(entries, dict.totable(d))
    assert.are.equal(0, b:count "main img, dialog img, nav img")
    assert.is_true(b:run "return window.pwned === undefined")
    b:screenshot(pictures .. "browse-hostile.png")
  end)

  it_in_browser("answers nobody but its own page", function ()
    local store = start()
    local d = store:dict "users"
    d.ada = 1
    local url = server.address .. "browse/api"
    local own = ("-H 'Origin: http://localhost:%d'"):format(server.port)
    local typed = " -H 'Content-Type: application/json'"
    local function post (options)
      return (helper.shell(([[curl -s -w ' %%{http_code}' ]]
        .. [[-d '{"op":"add","collection":"\"users\"","key":"eve",]]
        .. [["value":"1"}' %s %s]]):format(options, url)))
    end
    local other = "this comes from another site\n 403"
    assert.are.equal(other, post(typed))
    assert.are.equal(other, post("-H 'Origin: http://evil.example'" .. typed))
    assert.are.equal(other, post("-H 'Origin: null'" .. typed))
    assert.are.equal(other, post(
      ("-H 'Origin: http://localhost:%d'"):format(server.port + 1) .. typed))
    assert.are.equal(other, post(own)) -- as a form
    assert.are.equal(other, post(own .. " -H 'Content-Type: text/plain'"))
    assert.are.equal("open this page at localhost\n 403", post(typed
      .. " -H 'Host: evil.example' -H 'Origin: http://evil.example'"))
    assert.are.equal("POST only\n 405", post(own .. typed .. " -X GET"))
    assert.is_nil(d.eve)
    assert.are.equal('{"done":true} 200', post(own .. typed))
    assert.are.equal(1, d.eve)
    local head = helper.shell("curl -s -D - -o /dev/null " .. server.address
      .. "browse")
    assert.is_truthy(head:find("default-src 'none'; script-src 'nonce-", 1,
      true))
    assert.is_truthy(head:find("frame-ancestors 'none'", 1, true))
    assert.is_nil(head:find("Access-Control", 1, true))
    local again = helper.shell("curl -s -D - -o /dev/null " .. server.address
      .. "browse")
    local nonce = "nonce%-[^']+"
    assert.are_not.equal(head:match(nonce), again:match(nonce))
    assert.is_nil(helper.shell("curl -s " .. server.address .. "browse")
      :find("{{", 1, true))
  end)

  it_in_browser("goes on over a reload of nginx", function ()
    local store = start()
    local d = store:dict "users"
    d.ada, d.bob = 1, 2
    visit("users", "2 entries")
    open '"ada"'
    assert.is_true(server:reload())
    save "10"
    says "Saved."
    assert.are.equal(10, d.ada)
    open '"bob"'
    for _, pid in ipairs(server:workers()) do
      require "luv".kill(pid, "sigkill")
    end
    b:wait(function () return server:get "/ping" end)
    save "20"
    says "Saved."
    assert.are.equal(20, d.bob)
  end)

  it_in_browser("is no reader that keeps entries alive", function ()
    local store = start()
    local d = store:dict("sessions", { times = true })
    d.ada = 1
    local before = dict.info(d, "ada")
    visit("sessions", "1 entry")
    open '"ada"'
    b:click "#close"
    server:stop() -- which writes what reads it has noted
    assert.are.same(before, dict.info(d, "ada"))
    store:maintain()
    assert.are.same(before, dict.info(d, "ada"))
  end)

  it_in_browser("leaves large values and rounded numbers alone", function ()
    local store = start()
    local d = store:dict "users"
    d.large, d.huge = ("x"):rep(5000), ("y"):rep(70000)
    d.number, d.after = { 2^53 }, 1
    d[2^53] = "rounded key"
    visit("users", "5 entries")
    assert.are.same({ "9007199254740992", '"after"', '"huge"', '"large"',
      '"number"' }, keys())
    local values = b:texts "#rows td:nth-child(2)"
    assert.is_truthy(values[1]:find "not exact")
    assert.are.equal("(68.4 KiB)", values[3])
    assert.are.equal("(4.9 KiB)", values[4])
    open '"number"'
    assert.is_truthy(problem():find "not exactly")
    assert.is_true(b:run "return value.readOnly && save.hidden")
    b:click "#close"
    open '"large"'
    save('"' .. ("z"):rep(50) .. '"')
    says "Saved."
    assert.are.equal(("z"):rep(50), d.large)
    open '"huge"'
    assert.are.equal("The value is too large for this page.", problem())
    assert.is_true(b:run "return value.offsetParent === null && save.hidden")
    twice "#delete"
    says "Deleted."
    assert.is_nil(d.huge)
    b:click "#rows tr:first-child button"
    b:wait "#status.wrong"
    assert.is_truthy(b:text "#status":find "not exact")
  end)

  it_in_browser("serves a store of lode.open, whatever is in it", function ()
    local store = start(function (text)
      return (text:gsub('shared = require%("resty.lode"%)%.open(%b())',
        'own = require("lode").open(%1, { durability = "os" })')
        :gsub("ngx.shared.locks = shared.locks", "")
        :gsub("shared:store%(%)", "own")
        :gsub('require%("votes"%)%.show%(%)', 'ngx.print "pong"'))
    end)
    store:dict("plain", { raw = true }).ada = "bytes"
    local backwards = { name = "backwards", encode = string.reverse,
      decode = string.reverse }
    store:dict("sealed", { serializer = backwards }).ada = "secret"
    local bytes = function (v) return v end
    dict.put_many(store:dict("damaged", { serializer = { name = "msgpack",
      encode = bytes, decode = bytes } }), { ada = "\193", bob = "\163abc" })
    store:dict("judged", { expire = function () end }).ada = 1
    visit("plain", "1 entry")
    open '"ada"'
    assert.is_true(b:run "return time.offsetParent === null")
    save '"other"'
    says "Saved."
    assert.are.equal("other", store:dict("plain", { raw = true }).ada)
    open '"ada"'
    save "1"
    assert.is_truthy(problem():find "BAD_VALUE")
    b:click "#close"
    visit("sealed", "1 entry")
    assert.is_truthy(b:text "#note":find(
      'its values are the bytes of the serializer "backwards"', 1, true))
    open '"ada"'
    save '"rehto"'
    says "Saved."
    assert.are.equal("other",
      store:dict("sealed", { serializer = backwards }).ada)
    visit("damaged", "2 entries")
    local values = b:texts "#rows td:nth-child(2)"
    assert.is_truthy(values[1]:find "CORRUPT")
    assert.are.equal('"abc"', values[2])
    visit("judged", "1 entry")
    assert.is_truthy(b:text "#note":find "policy")
    store:drop "judged"
    b:click "#refresh"
    b:wait "#status.wrong"
    assert.are.equal("there is no such collection any more",
      b:text "#status")
  end)

  it_in_browser("fits a phone, in light and dark, and needs no mouse",
    function ()
      local store = start()
      fill(store:dict "users", 5)
      local d = store:dict "sessions"
      dict.set(d, ("key "):rep(50), ("value "):rep(99), 9000)
      dict.set(d, "ada", { user = "user:001", tags = { "a", "b" } }, 900)
      b:size(360, 740)
      local function fits ()
        assert.are.equal(360,
          b:run "return document.documentElement.scrollWidth")
        return b:run [[
          const small = e => e.offsetParent && e.type !== "checkbox"
            && !e.closest("td") && e.getBoundingClientRect().height < 40;
          const out = e => e.getBoundingClientRect().right > 360
            && !e.closest("nav");
          return Array.from(document.querySelectorAll("button, input"))
            .filter(e => small(e) || out(e)).map(e => e.outerHTML).join()]]
      end
      visit("sessions", "2 entries")
      assert.are.equal("", fits())
      assert.is_true(b:run [[
        const place = document.querySelector("[aria-current]")
          .getBoundingClientRect();
        return place.left >= 0 && place.right <= 360]])
      b:screenshot(pictures .. "browse-phone.png")
      b:run "document.querySelector('#rows button').focus()"
      b:press "Enter"
      b:wait "#editor[open]"
      assert.are.equal("", fits())
      b:screenshot(pictures .. "browse-phone-editor.png")
      b:press "Escape"
      b:wait "#editor:not([open])"
      assert.are.equal('"ada"',
        b:run "return document.activeElement.innerText")
      b:media("prefers-color-scheme", "dark")
      b:screenshot(pictures .. "browse-phone-dark.png")
      b:size(1280, 800)
      b:screenshot(pictures .. "browse-dark.png")
      open '"ada"'
      b:screenshot(pictures .. "browse-dark-editor.png")
      b:media("prefers-color-scheme", "light")
      b:click "#close"
    end)
end)

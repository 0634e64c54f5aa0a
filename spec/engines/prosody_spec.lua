-- lode in Prosody, which has Lua 5.4, as its storage: the example's driver
-- gives what Prosody's own gives, and users keep what they have over
-- restarts and kills, while prosodyctl writes beside the server.

local engine = require "engines.engine"
local exercise = require "engines.exercise"
local helper = require "support.helper"
local lode = require "lode"
local program = require "support.program"
local uv = require "luv"

local dict = lode.dict
local it_in_prosody = engine.it_with("prosody", "prosodyctl")
local full = os.getenv "LODE_FULL" == "1"

local frame = [[
pidfile = "${home}/pid"
data_path = "${home}/data"
plugin_paths = { "${root}/examples/prosody", "${root}/spec/engines/prosody" }
run_as_root = true
log = "${home}/log"
interfaces = { "127.0.0.1" }
c2s_ports = { ${port} }
c2s_direct_tls_ports = { }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
modules_enabled = { "roster", "saslauth", "private", "offline", "mam",
  "disco", ${modules} }
modules_disabled = { "s2s" }
authentication = "internal_hashed"
default_storage = "lode"
${more}
VirtualHost "localhost"
]]

describe("lode in Prosody", function ()
  helper.watch()

  local home, port, servers, connections, daemon
  before_each(function ()
    home, port = helper.path "home", program.free_port()
    servers, connections = {}, {}
    assert(select(2,
      helper.shell(("mkdir -p %s/data %s/certs"):format(home, home))))
  end)
  after_each(function ()
    for _, c in ipairs(connections) do c:close() end
    for _, server in ipairs(servers) do program.stop(server, "sigkill") end
    if daemon then uv.kill(daemon, "sigkill") end
    daemon = nil
  end)

  local function options ()
    return { env = engine.environment("lua5.4", { HOME = home }) }
  end

  local function configure (modules, more)
    engine.write(home .. "/prosody.cfg.lua", (frame:gsub("%${(%w+)}", {
      home = home, root = engine.root, port = port,
      modules = modules or "", more = more or "" })))
  end

  local function log () return engine.read(home .. "/log") end

  -- Whether somebody listens on the port.
  local function is_up ()
    local c = program.connect(port)
    c:close()
    return not c.closed
  end

  local function start ()
    local server = assert(program.start("prosody",
      { "-F", "--config", home .. "/prosody.cfg.lua" }, options()))
    servers[#servers + 1] = server
    local up = program.wait(function () return server.code or is_up() end, 30)
    assert(up and not server.code, server.output .. log())
    return server
  end

  local function stop (server, signal)
    program.stop(server, signal)
    if signal ~= "sigkill" then assert.are.equal(0, server.code) end
  end

  local function control (...)
    local output, code = program.run("prosodyctl",
      { "--config", home .. "/prosody.cfg.lua", ... }, options())
    assert.are.equal(0, code, output)
    return output
  end

  local opening = "<stream:stream xmlns='jabber:client' version='1.0' "
    .. "xmlns:stream='http://etherx.jabber.org/streams' to='localhost'>"

  -- What base64 makes of bytes.
  local function base64 (bytes)
    local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
      .. "abcdefghijklmnopqrstuvwxyz0123456789+/"
    local bits = bytes:gsub(".", function (byte)
      local out = ""
      for i = 7, 0, -1 do out = out .. (byte:byte() >> i & 1) end
      return out
    end)
    local text = (bits .. "0000"):gsub("%d%d%d?%d?%d?%d?", function (six)
      if #six < 6 then return "" end
      local n = tonumber(six, 2)
      return alphabet:sub(n + 1, n + 1)
    end)
    return text .. ({ "", "==", "=" })[#bytes % 3 + 1]
  end

  -- Whether a user can log in; if so the connection, with iq(): a request's
  -- answer.
  local function login (user, password)
    local c = program.connect(port)
    connections[#connections + 1] = c
    c:send("<?xml version='1.0'?>" .. opening)
    c:expect "</stream:features>"
    c:send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
      .. "mechanism='PLAIN'>" .. base64("\0" .. user .. "\0" .. password)
      .. "</auth>")
    if c:expect "<(%a+) [^>]*xmpp%-sasl" ~= "success" then return false end
    c:send(opening)
    c:expect "</stream:features>"
    local n = 0
    local function iq (kind, content)
      n = n + 1
      c:send(("<iq type='%s' id='n%d'>%s</iq>"):format(kind, n, content))
      local text = ""
      repeat
        local part, ending = c:expect "^(.-)(/?>)"
        text = text .. part .. ending
      until text:find("id='n" .. n .. "'", 1, true)
        and (text:find "</iq>$" or text:find "<iq [^>]*/>$")
      return text
    end
    iq("set", "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")
    return c, iq
  end

  local roster = "<query xmlns='jabber:iq:roster'>%s</query>"
  local private = "<query xmlns='jabber:iq:private'>%s</query>"

  it_in_prosody("brings no Lua of its own", function ()
    engine.brings_no_lua "lua5.4"
  end)

  it_in_prosody("does all it does, and stores what the files store",
    function ()
      local path, report = helper.path(), home .. "/report"
      configure('"compare", "exercise"', ([[
        storage = { plain = "internal", items = "internal" }
        compare_report = %q
        compare_calls = %d
        compare_seed = %d
        exercise_path = %q
      ]]):format(report, full and 20000 or 1000, full and os.time() or 3,
        path))
      local server = start()
      program.wait(function ()
        return engine.read(report):find "\n$"
          and engine.read(path .. ".held") ~= ""
      end, 600)
      stop(server)
      local said = engine.read(report)
      assert.is_truthy(said:find "^%d+ random calls\n$", said)
      print("\n" .. said:match "^[^\n]*" .. " gave what they give on files")
      local n = tonumber(engine.read(path .. ".held"))
      assert.is_true(n and n > 50, log())
      exercise.left(path)
      assert.is_nil(log():find("\terror\t", 1, true), log())
    end)

  it_in_prosody("keeps accounts, which prosodyctl may change meanwhile",
    function ()
      configure()
      control("register", "ada", "localhost", "lovelace")
      local server = start()
      assert.is_false(login("bob", "x"))
      assert.is_false(login("ada", "wrong"))
      assert.is_truthy(login("ada", "lovelace"))
      control("register", "bob", "localhost", "x")
      assert.is_truthy(login("bob", "x"))
      local _, iq = login("bob", "x")
      iq("set", roster:format "<item jid='ada@localhost'/>")
      _, iq = login("ada", "lovelace")
      iq("set", private:format "<notes xmlns='n:n'>1</notes>")
      control("deluser", "ada@localhost")
      assert.is_false(login("ada", "lovelace"))
      stop(server, "sigkill")
      start()
      assert.is_truthy(login("bob", "x"))
      assert.is_false(login("ada", "lovelace"))
      local store = helper.open({ readonly = true }, home .. "/data/lode")
      local has = {}
      for at in dict.pairs(store:dict "keyval") do
        has[at[3] .. " " .. at[2]] = true
      end
      assert.are.same({ ["bob accounts"] = true, ["bob roster"] = true }, has)
      assert.is_nil(log():find("\terror\t", 1, true), log())
    end)

  for _, signal in ipairs { "sigterm", "sigkill" } do
    it_in_prosody("keeps what users have when it is ended by " .. signal,
      function ()
        configure()
        control("register", "ada", "localhost", "lovelace")
        control("register", "bob", "localhost", "x")
        local server = start()
        local c, iq = login("ada", "lovelace")
        iq("set", roster:format "<item jid='bob@localhost' name='Bob'/>")
        iq("set", private:format "<notes xmlns='n:n'>a &lt; b</notes>")
        for i = 1, 3 do
          c:send(("<message to='bob@localhost' type='chat'>"
            .. "<body>hello %d</body></message>"):format(i))
        end
        iq("get", private:format "<notes xmlns='n:n'/>") -- all are there
        stop(server, signal)
        start()
        c, iq = login("ada", "lovelace")
        local text = iq("get", roster:format "")
        assert.is_truthy(text:find("name='Bob'", 1, true), text)
        text = iq("get", private:format "<notes xmlns='n:n'/>")
        assert.is_truthy(text:find("a &lt; b", 1, true), text)
        c:send("<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'/></iq>")
        for i = 1, 3 do c:expect(("<body>hello %d</body>"):format(i)) end
        local bob = login("bob", "x")
        bob:send "<presence/>"
        for i = 1, 3 do bob:expect(("<body>hello %d</body>"):format(i)) end
        local store = helper.open(nil, home .. "/data/lode")
        assert.is_true(store:check().ok)
        assert.is_nil(log():find("\terror\t", 1, true), log())
      end)
  end

  it_in_prosody("goes on in a daemon", function ()
    configure()
    control("register", "ada", "localhost", "lovelace")
    program.run("prosody", { "-D", "--config", home .. "/prosody.cfg.lua" },
      options())
    assert(program.wait(function ()
      daemon = tonumber(engine.read(home .. "/pid"))
      return daemon and is_up()
    end, 30), log())
    local _, iq = login("ada", "lovelace")
    local answer = iq("set", private:format "<notes xmlns='n:n'>1</notes>")
    uv.kill(daemon, "sigterm")
    assert.is_true(program.wait(function ()
      return not program.is_alive(daemon)
    end, 20))
    daemon = nil
    assert.is_truthy(answer:find("type='result'", 1, true), answer)
  end)
end)

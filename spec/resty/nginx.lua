-- A real nginx with its Lua module, for a spec: a master and two workers on
-- loopback, in a directory of their own, on a port that was free.
--
--   local server = nginx.start { build = "test" }
--   server:run [[ return shared.dogs:get "Jim" ]]
--   server:stop()
--
-- `init` is what runs in init_by_lua; `shared` is a global there, and what
-- ngx.shared has besides is named by `zones`.

local helper = require "support.helper"
local program = require "support.program"
local uv = require "luv"

local nginx = {}

local server = {}
server.__index = server

local function read (path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

nginx.wait, nginx.sleep = program.wait, program.sleep

-- Runs a program to its end: what it printed, and its code.
function nginx.program (file, arguments, seconds)
  return program.run(file, arguments, { seconds = seconds })
end

-- Whether there is an nginx with its Lua module.
function nginx.is_there ()
  local text, code = nginx.program("nginx", { "-V" })
  nginx.modules = text:match "%-%-modules%-path=(%S+)"
  if code ~= 0 then return false end
  nginx.built_in = text:find("lua-nginx-module", 1, true) ~= nil and
    not read((nginx.modules or "") .. "/ngx_http_lua_module.so")
  return nginx.built_in or
    read((nginx.modules or "") .. "/ngx_http_lua_module.so") ~= nil
end

-- {==================================================================
-- Starting and stopping
-- ===================================================================

local frame = [[
${modules}
${user}
daemon ${daemon};
worker_processes 2;
pid ${prefix}/nginx.pid;
error_log ${prefix}/error.log notice;
worker_shutdown_timeout 2s;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${prefix}/body;
  proxy_temp_path ${prefix}/proxy;
  fastcgi_temp_path ${prefix}/fastcgi;
  uwsgi_temp_path ${prefix}/uwsgi;
  scgi_temp_path ${prefix}/scgi;
  client_body_buffer_size 1m;
  client_max_body_size 1m;
  keepalive_requests 1000000;
  lua_package_path "${path};";
  lua_package_cpath "${root}/build/${build}/?.so;;";
  ${zones}
  init_by_lua_block { root, place = "${root}", "${place}" ${init} }
  server {
    listen 127.0.0.1:${port} reuseport;
    location / { content_by_lua_block { require("app").answer() } }
  }
}
]]

local function directory (path)
  local pipe = assert(io.popen("cd '" .. path .. "' && pwd"))
  local name = pipe:read "*l"
  pipe:close()
  return name
end

local function module_lines ()
  if nginx.built_in then return "" end
  return ("load_module %s/ndk_http_module.so;\n"
    .. "load_module %s/ngx_http_lua_module.so;")
    :format(nginx.modules, nginx.modules)
end

local function configuration (options, prefix, port)
  local zones = {}
  for name, size in pairs(options.zones or {}) do
    zones[#zones + 1] = ("lua_shared_dict %s %s;"):format(name, size)
  end
  local root = directory "."
  local path = table.concat({ root .. "/lua/?.lua",
    root .. "/lua/?/init.lua", root .. "/spec/resty/?.lua",
    options.libraries or "" }, ";")
  local build = options.build or "luajit-test"
  if options.change then
    return options.change(port, module_lines(), path,
      ("%s/build/%s/?.so;;"):format(root, build))
  end
  local values = {
    modules = module_lines(),
    user = uv.getuid() == 0 and "user root;" or "",
    prefix = prefix,
    root = root,
    path = path,
    place = options.place or prefix .. "/data",
    build = build,
    zones = table.concat(zones, "\n  "),
    init = options.init or 'shared = require("resty.lode").open(place)',
    port = port,
    daemon = options.daemon and "on" or "off",
  }
  return (frame:gsub("%${(%w+)}", function (name)
    return tostring(values[name])
  end))
end

-- Starts one, and waits until it answers; options.place is where its store
-- is, if there is one already. For one with a configuration of its
-- own: options.change(port, module lines, path, cpath) gives its text, and
-- options.prefix is its directory. options.daemon: it has no parent, as nginx
-- wants it for an upgrade of its program.
function nginx.start (options)
  options = options or {}
  local prefix = options.prefix or helper.path "nginx"
  if not options.prefix then
    assert(uv.fs_mkdir(prefix, tonumber("700", 8)))
  end
  local self = setmetatable({ prefix = prefix, port = program.free_port(),
    place = options.place or prefix .. "/data",
    errors = prefix .. (options.change and "/logs" or "") .. "/error.log",
  }, server)
  local text = configuration(options, prefix, self.port)
  local file = assert(io.open(prefix .. "/nginx.conf", "w"))
  file:write(text)
  file:close()
  self.child = assert(program.start(program.path "nginx", { "-p", prefix, "-c",
    prefix .. "/nginx.conf", "-e", prefix .. "/error.log",
    options.change and "-g" or nil,
    options.change and "daemon off;" or nil }))
  self.pid, self.daemon = self.child.pid, options.daemon
  local up = nginx.wait(function ()
    self.pid = self.daemon and self:master() or self.pid
    return self:ended() or self:get "/ping" ~= nil
  end, 20)
  if not up or self:ended() then
    error("nginx did not start:\n" .. self.child.output .. self:log())
  end
  return self
end

-- Starts the example, in a copy of its directory: `prefix`, if there is one
-- already. edit(text) may give its configuration another text.
function nginx.example (prefix, edit)
  local made = prefix or helper.path "example"
  if not prefix then
    assert(select(2, helper.shell(("cp -r examples/openresty %s && "
      .. "mkdir %s/logs && cp %s/nginx.conf %s/nginx.orig"):format(made, made,
      made, made))))
  end
  return nginx.start { prefix = made, change =
    function (port, modules, path, cpath)
      local text = read(made .. "/nginx.orig")
        :gsub("#load_module[^\n]*\n", "")
        :gsub("8089", port)
        :gsub("%$prefix/%?.lua;;\";", function ()
          return ('$prefix/?.lua;%s;";\n  lua_package_cpath "%s";')
            :format(path, cpath)
        end)
      if edit then text = edit(text) end
      local user = uv.getuid() == 0 and "user root;\n" or ""
      return modules .. "\n" .. user .. text
    end }
end

-- The pid of the master that was started last; nil before there is one.
function server:master ()
  return tonumber(read(self.prefix .. "/nginx.pid"))
end

function server:ended ()
  if self.child.code ~= 0 or not self.daemon then return self.child.code end
  return not program.is_alive(self.pid)
end

-- Ends all its processes at once.
function server:kill ()
  for _, worker in ipairs(self:workers()) do uv.kill(worker, "sigkill") end
  uv.kill(self.pid, "sigkill")
  nginx.wait(function () return self:ended() end)
end

-- Ends it, gracefully unless told how.
function server:stop (signal)
  if self:ended() then return end
  uv.kill(self.pid, signal or "sigterm")
  if nginx.wait(function () return self:ended() end, 10) then return end
  self:kill()
end

-- The pids of the processes that the master has made.
function server:workers () return program.children(self.pid) end

-- Seconds of processor time that its workers have used.
function server:busy ()
  local ticks = 0
  for _, pid in ipairs(self:workers()) do
    local rest = (read(("/proc/%d/stat"):format(pid)) or ""):match "%) (.*)"
    local n = 0
    for field in (rest or ""):gmatch "%S+" do
      n = n + 1
      if n == 12 or n == 13 then ticks = ticks + tonumber(field) end
    end
  end
  return ticks / 100
end

function server:log () return read(self.errors) or "" end

-- Lines of its log that tell of an error, but for the deaths that were asked
-- for.
function server:complaints ()
  local found = {}
  for line in self:log():gmatch "[^\n]+" do
    local level = line:match "%[(%a+)%]"
    if level and level ~= "notice" and level ~= "warn" and
       not line:find("exited on signal 9", 1, true) then
      found[#found + 1] = line
    end
  end
  return table.concat(found, "\n")
end

-- Reads its configuration anew; until new workers have come.
function server:reload ()
  local before = {}
  for _, pid in ipairs(self:workers()) do before[pid] = true end
  uv.kill(self.pid, "sighup")
  return nginx.wait(function ()
    local new = 0
    for _, pid in ipairs(self:workers()) do
      if not before[pid] then new = new + 1 end
    end
    return new == 2
  end, 10)
end

-- }==================================================================

-- {==================================================================
-- Asking
-- ===================================================================

-- One request on a connection of its own. Gives body and status; nil when
-- the connection failed.
function server:request (method, path, body)
  return program.request(self.port, method, path, body)
end

function server:get (path) return (self:request("GET", path)) end

-- Runs Lua source in a worker: what it returns, as text, joined by spaces.
function server:run (source, path)
  local body, status = self:request("POST", path or "/run", source)
  if status ~= 200 then
    error(("status %s: %s\n%s"):format(status, body, self:complaints()), 2)
  end
  return body
end

-- The same in the worker of this number, 0 or 1.
function server:run_in (worker, source)
  for _ = 1, 200 do
    local body, status = self:request("POST", "/run?worker=" .. worker,
      source)
    if status == 200 then return body end
    if status ~= 409 then error(("status %s: %s"):format(status, body), 2) end
  end
  error("worker " .. worker .. " was never met", 2)
end

-- }==================================================================

return nginx

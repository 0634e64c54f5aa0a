-- The door of the page at /browse: the page itself, and what it asks for,
-- as JSON. Who may come at all is said in nginx.conf.

local entries = require "browse.entries"
local json = require "lode.cli.json"

local browse = {}

local function content (name)
  local file = assert(io.open(ngx.config.prefix() .. "browse/" .. name))
  local text = file:read "*a"
  file:close()
  return text
end

local parts = {
  style = content "page.css",
  script = content "list.js" .. content "editor.js",
}
local frame = content "page.html"

-- A number that nobody can guess, for one page.
local function random ()
  local file = assert(io.open("/dev/urandom", "rb"))
  local bytes = file:read(18)
  file:close()
  return ngx.encode_base64(bytes)
end

local function refuse (status, why)
  ngx.status = status
  ngx.say(why)
  return ngx.exit(ngx.OK)
end

-- No script runs but the page's own, nothing is loaded, and no other site
-- can have the page in a frame and lead a visitor's clicks.
local policy = "default-src 'none'; script-src 'nonce-%s'; "
  .. "style-src 'nonce-%s'; connect-src 'self'; img-src data:; "
  .. "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
  .. "require-trusted-types-for 'script'"

local function page ()
  local nonce = random()
  ngx.header["Content-Type"] = "text/html; charset=utf-8"
  ngx.header["Content-Security-Policy"] = policy:format(nonce, nonce)
  ngx.print((frame:gsub("{{(%w+)}}", function (name)
    return name == "nonce" and nonce or parts[name]
  end)))
end

-- A browser lets no other site send this type, nor say that it is ours.
local function is_own_request ()
  local origin = ngx.var.scheme .. "://" .. (ngx.var.http_host or "")
  return ngx.var.http_origin == origin
    and ngx.var.content_type == "application/json"
end

local function answer (store)
  if ngx.req.get_method() ~= "POST" then return refuse(405, "POST only") end
  if not is_own_request() then
    return refuse(403, "this comes from another site")
  end
  ngx.req.read_body()
  local readable, ask = pcall(json.decode, ngx.req.get_body_data() or "")
  local operation = readable and type(ask) == "table" and entries[ask.op]
  if not operation then return refuse(400, "not understood") end
  -- What lode has to say against it is said as it is.
  local ok, result = pcall(operation, store, ask)
  ngx.header["Content-Type"] = "application/json"
  ngx.print(json.encode(ok and result or { problem = tostring(result) }))
end

-- A site whose name its owner has pointed at this machine would be of one
-- origin with us. So we have no name but this, or an address.
local function is_own_name (host)
  return host == "localhost" or host:find "^[%d.]+$" or host:find "^%["
end

function browse.serve (store)
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.header["Cross-Origin-Resource-Policy"] = "same-origin"
  ngx.header["Referrer-Policy"] = "no-referrer"
  ngx.header["Cache-Control"] = "no-store"
  if not is_own_name(ngx.var.host) then
    return refuse(403, "open this page at localhost")
  end
  if ngx.var.uri:find "/api$" then return answer(store) end
  return page()
end

return browse

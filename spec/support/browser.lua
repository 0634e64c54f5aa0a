-- A headless Chromium for a spec, driven through chromedriver: WebDriver,
-- which is JSON over HTTP, which curl speaks.
--
--   local b = browser.open { width = 1280, height = 800 }
--   b:go "file:///tmp/page.html"
--   b:text "h1"; b:texts "td"; b:count "tr"; b:value "input"
--   b:type("input", "ada"); b:click "button"; b:wait(".done", 5)
--   b:run("return arguments[0] + 1", 41)
--   b:size(375, 800); b:screenshot "build/page.png"
--   b:log(); b:requests(); b:close()
--
-- Whatever fails raises, and nothing waits longer than `patience`. All that
-- the browser writes is in a directory of its own. chromedriver is watched
-- over by a shell that ends it when it is told to, and also when this
-- process ends without a word.

local json = require "dkjson"

local browser = {}

local page = {}
page.__index = page

local patience = 30 -- seconds, for one command

-- What WebDriver calls the reference of an element.
local reference = "element-6066-11e4-a52e-4f735466cecf"

-- ==================================================================
-- The system
-- ==================================================================

local function quoted (text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- What a shell command prints, without the last newline.
local function output (command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return (text:gsub("\n$", ""))
end

local function sleep ()
  os.execute "sleep 0.05"
end

local function read (path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read "*a"
  file:close()
  return text
end

local function write (path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

-- Asks probe() until it answers; nil after so many seconds.
local function poll (probe, seconds)
  local stop = os.time() + seconds
  repeat
    local answer = probe()
    if answer then return answer end
    sleep()
  until os.time() > stop
end

-- The path of the first of these programs that is here.
local function program (...)
  for _, name in ipairs { ... } do
    local path = output("command -v " .. name)
    if path ~= "" then return path end
  end
end

local function chromium ()
  return program("chromium", "chromium-browser", "google-chrome")
end

---Whether a browser, its driver and curl are here.
---@return boolean
function browser.found ()
  return chromium() and program "chromedriver" and program "curl"
    and true or false
end

-- ==================================================================
-- The driver
-- ==================================================================

-- $1: the directory; $2: the driver. Port 0 is any free one: what the driver
-- prints tells which. A line on standard input, or its end, ends the driver,
-- and the browser, whose pid is in a file, where the driver has left it
-- behind; then the directory goes.
local guard = [[
cd "$1" || exit 1
HOME=$1 TMPDIR=$1 XDG_CONFIG_HOME=$1 XDG_CACHE_HOME=$1 \
  "$2" --port=0 --log-path=driver.log >started 2>&1 </dev/null &
driver=$!
read -r _
for pid in $driver $(cat browser 2>/dev/null); do
  for signal in TERM KILL; do
    kill -$signal $pid 2>/dev/null || break
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      kill -0 $pid 2>/dev/null || break 2
      sleep 0.1
    done
  done
done
rm -rf "$1"
]]

local function start (self)
  write(self.directory .. "/guard", guard)
  self.pipe = assert(io.popen(("sh %s %s %s"):format(
    quoted(self.directory .. "/guard"), quoted(self.directory),
    quoted(program "chromedriver")), "w"))
  self.port = poll(function ()
    return read(self.directory .. "/started"):match "successfully on port (%d+)"
  end, patience)
  if not self.port then
    error("chromedriver doesn't start: "
      .. read(self.directory .. "/started"), 0)
  end
end

-- One command to the driver: its value, or an error that says what it said.
local function ask (self, method, path, body)
  if not self.pipe then error("the browser is closed", 0) end
  local url = ("http://127.0.0.1:%s%s"):format(self.port, path)
  local command = ("curl -sS -m %d --noproxy '*' -X %s"):format(patience,
    method)
  if body then
    write(self.directory .. "/body", json.encode(body))
    command = ("%s -H 'Content-Type: application/json' --data-binary @%s")
      :format(command, quoted(self.directory .. "/body"))
  end
  local text = output(command .. " " .. quoted(url) .. " 2>&1")
  local answer = json.decode(text)
  if type(answer) ~= "table" then
    error(("%s %s: %s"):format(method, path, text), 0)
  end
  local value = answer.value
  if type(value) == "table" and value.error then
    error(value.message, 0)
  end
  return value
end

-- A command of the session.
local function order (self, method, path, body)
  return ask(self, method, "/session/" .. self.session .. path, body)
end

-- A table as JSON's {} or [], also when it is empty.
local function object (t)
  return setmetatable(t, { __jsontype = "object" })
end

local function array (t)
  return setmetatable(t, { __jsontype = "array" })
end

-- A command of the protocol of Chromium's own tools.
local function devtools (self, command, parameters)
  return order(self, "POST", "/goog/cdp/execute",
    { cmd = command, params = object(parameters) })
end

local function capabilities (self)
  local arguments = array { "--headless=new", "--disable-gpu",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--no-proxy-server", "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe", -- there may be no name localhost
    "--user-data-dir=" .. self.directory .. "/profile" }
  if output "id -u" == "0" then
    arguments[#arguments + 1] = "--no-sandbox"
  end
  return { capabilities = { alwaysMatch = {
    browserName = "chrome",
    ["goog:chromeOptions"] = { binary = chromium(), args = arguments },
    ["goog:loggingPrefs"] = { browser = "ALL", performance = "ALL" },
    timeouts = { implicit = 0, pageLoad = 20000, script = 20000 },
  } } }
end

---Starts a browser with one empty page.
---@param options table? width, height: of the page, in CSS pixels
---@return table
function browser.open (options)
  options = options or {}
  local self = setmetatable({}, page)
  self.directory = output "mktemp -d \"${TMPDIR:-/tmp}/lode-page.XXXXXX\""
  assert(self.directory ~= "", "no scratch directory")
  local ok, problem = pcall(function ()
    start(self)
    local made = ask(self, "POST", "/session", capabilities(self))
    self.session = made.sessionId
    write(self.directory .. "/browser", ("%d\n"):format(
      made.capabilities["goog:processID"] or error "it tells no pid"))
    self:size(options.width or 1280, options.height or 800)
    self:go "about:blank"
    self:log()
    self:requests() -- those of a browser's own first page
  end)
  if not ok then
    self:close()
    error(problem, 0)
  end
  return self
end

---Ends the browser and its driver, and removes what they wrote.
function page:close ()
  if not self.pipe then return end
  if self.session then pcall(order, self, "DELETE", "") end
  pcall(self.pipe.write, self.pipe, "end\n")
  self.pipe:close()
  self.pipe = nil
end

-- ==================================================================
-- The page
-- ==================================================================

---Goes to an address, and returns when the page has loaded.
---@param url string
function page:go (url)
  order(self, "POST", "/url", { url = url })
  if self:run "return location.protocol" == "chrome-error:" then
    error("there is no page at " .. url, 0)
  end
end

---Runs JavaScript, as the body of a function; what it returns.
---@param script string `arguments` has the rest
---@return any
function page:run (script, ...)
  return order(self, "POST", "/execute/sync",
    { script = script, args = array { ... } })
end

-- The path of the first element of this selector.
local function element (self, css)
  local found = order(self, "POST", "/element",
    { using = "css selector", value = css })
  return "/element/" .. found[reference]
end

---The text of the first such element, as it is seen.
---@param css string
---@return string
function page:text (css)
  return order(self, "GET", element(self, css) .. "/text")
end

---The texts of all such elements, as they are seen.
---@param css string
---@return string[]
function page:texts (css)
  return self:run([[return Array.from(
    document.querySelectorAll(arguments[0]),
    e => (e.innerText ?? e.textContent).trim())]], css)
end

---How many such elements there are.
---@param css string
---@return integer
function page:count (css)
  return self:run("return document.querySelectorAll(arguments[0]).length",
    css)
end

---What stands in an input.
---@param css string
---@return string
function page:value (css)
  return order(self, "GET", element(self, css) .. "/property/value")
end

---Clicks an element, which has to be in sight and in front.
---@param css string
function page:click (css)
  order(self, "POST", element(self, css) .. "/click", object {})
end

---Types into an input, instead of what stood there.
---@param css string
---@param text string
function page:type (css, text)
  local path = element(self, css)
  order(self, "POST", path .. "/clear", object {})
  order(self, "POST", path .. "/value", { text = text })
end

-- What WebDriver calls the keys that write nothing.
local key_codes = { Enter = "\238\128\135", Escape = "\238\128\140",
  Tab = "\238\128\132" }

---Presses a key, for whatever has the focus.
---@param key string "Enter", "Escape", "Tab", or a character
function page:press (key)
  local code = key_codes[key] or key
  order(self, "POST", "/actions", { actions = array { {
    type = "key", id = "keyboard", actions = array {
      { type = "keyDown", value = code }, { type = "keyUp", value = code } },
  } } })
end

---Waits until there is such an element, or until a function says so.
---@param what string|fun(): any a selector, or the function
---@param seconds number? 10
---@return any answer of the function, or true
function page:wait (what, seconds)
  local probe = what
  if type(what) == "string" then
    probe = function () return self:count(what) > 0 end
  end
  return poll(probe, seconds or 10)
    or error(("%s didn't come in %g s"):format(tostring(what),
      seconds or 10), 0)
end

-- ==================================================================
-- How it looks
-- ==================================================================

---Gives the page a size in CSS pixels; one narrower than 600 is a phone's,
---where a page without a `meta viewport` is laid out too wide.
---@param width integer
---@param height integer
function page:size (width, height)
  devtools(self, "Emulation.setDeviceMetricsOverride", { width = width,
    height = height, deviceScaleFactor = 1, mobile = width < 600 })
end

---Has the page know a feature of media, as "prefers-color-scheme".
---@param name string
---@param value string
function page:media (name, value)
  devtools(self, "Emulation.setEmulatedMedia",
    { features = array { { name = name, value = value } } })
end

---Writes a picture of the whole page, as PNG.
---@param path string
function page:screenshot (path)
  local whole = devtools(self, "Page.getLayoutMetrics", {}).cssContentSize
  whole.scale = 1
  local picture = devtools(self, "Page.captureScreenshot",
    { captureBeyondViewport = true, clip = whole }).data
  local encoded = self.directory .. "/picture"
  write(encoded, picture)
  local status = output(("base64 -d %s >%s; echo $?"):format(
    quoted(encoded), quoted(path)))
  if status ~= "0" then error("can't write " .. path, 0) end
end

-- ==================================================================
-- What it did
-- ==================================================================

---The errors that the console has got since this was asked before.
---@return string[]
function page:log ()
  local errors = {}
  for _, entry in ipairs(order(self, "POST", "/se/log",
      { type = "browser" })) do
    if entry.level == "SEVERE" then errors[#errors + 1] = entry.message end
  end
  return errors
end

---The addresses that were asked for since this was asked before.
---@return string[]
function page:requests ()
  local urls = {}
  for _, entry in ipairs(order(self, "POST", "/se/log",
      { type = "performance" })) do
    local message = json.decode(entry.message).message
    if message.method == "Network.requestWillBeSent" then
      urls[#urls + 1] = message.params.request.url
    end
  end
  return urls
end

return browser

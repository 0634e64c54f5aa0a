-- Serializers: how a dict's values, or the keys of a dict or set, become
-- the bytes that are stored. Each is a plain table of a name and two
-- functions, made here or by the user; the name is kept with the collection.
--
--   local serializer = require "lode.serializer"
--   store:dict("pages", { serializer = serializer.zlib "json" })
--   store:dict("names", { key_serializer = "nfc" })
--
-- Each works on a library that is loaded when the first value comes, so
-- that a program needs only those of the serializers it uses.
--
-- What a serializer can't bring back as it was, it refuses to write
-- (BAD_VALUE or BAD_KEY); bytes that it can't read raise CORRUPT. Nothing
-- is changed on the way in silence.

local core = require "lode.core"
local form = require "lode.text"

---What `require "lode.serializer"` gives.
---@class lode.serializers
local serializer = {}

---How the values of a dict, or the keys of a collection, become bytes. What
---either function raises undoes the write, and passes through unchanged.
---```lua
---local reversed = { name = "reversed", encode = string.reverse,
---  decode = string.reverse }
---local words = store:dict("words", { serializer = reversed })
---words.live = "evil"                                     -- "live" on disk
---print(words.live)                                         --> evil
---```
---@class lode.serializer
---Kept with the collection that uses it, and compared when it is opened again.
---@field name string
---The bytes of a value. For keys: what stands first shall give smaller bytes.
---@field encode fun(value: any): string
---The value that such bytes make.
---@field decode fun(bytes: string): any


-- Loads the library `name`, which the serializer `user` works on. `rock`
-- and `package` are what LuaRocks and Debian call it.
local function library (name, user, rock, package)
  local ok, found = pcall(require, name)
  if ok then return found end
  local reason = tostring(found)
  local absent = reason:find("module '" .. name .. "' not found", 1, true)
  core.raise("BAD_ARGUMENT", ("lode.serializer.%s needs the Lua library "
    .. '"%s": install it with "luarocks install %s" or '
    .. '"apt-get install %s"%s'):format(user, name, rock, package,
    absent and "" or " (it is there, but: " .. reason .. ")"))
end

-- Calls a library on stored bytes. What it raises becomes CORRUPT: all but
-- the lack of memory, which says nothing about the bytes.
local function read_with (what, fn, ...)
  local ok, a, b, c = pcall(fn, ...)
  if ok then return a, b, c end
  if a == "not enough memory" then error(a, 0) end
  core.raise("CORRUPT", what .. ": " .. tostring(a))
end

local function need_bytes (bytes, name)
  if type(bytes) == "string" then return end
  core.raise("BAD_ARGUMENT", ("lode.serializer: %s decodes a string, "
    .. "not a %s"):format(name, type(bytes)))
end

-- ==================================================================
-- msgpack
-- ==================================================================

---MessagePack, as values are stored where there is no serializer. Alone it
---is of use only to those who want strings in that form too; it is what the
---others wrap.
---```lua
---local d = store:dict("d", { serializer = "msgpack" })
---d.k = "text"
---print(d.k)                                                --> text
---```
---@type lode.serializer
serializer.msgpack = {
  name = "msgpack",
  encode = core.pack,
  decode = core.unpack,
}

-- ==================================================================
-- json
--
-- dkjson reads the text and quotes the strings. Numbers and tables are
-- written here: dkjson writes 14 digits of a number, NaN as null and the
-- key 1 as "1". lua-cjson does the same and also reads 1 as 1.0, so a value
-- would come back as another one.
-- ==================================================================

local max_depth = 128 -- tables in tables, as for values with no serializer

-- Where the writer stands: "value.spells[3].cast".
local function path_of (writer)
  local parts = { "value" }
  for i = 1, writer.depth do
    local key = writer.keys[i]
    if type(key) ~= "string" then
      key = "[" .. tostring(key) .. "]"
    elseif key:find "^[%a_][%w_]*$" then
      key = "." .. key
    else
      key = ("[%q]"):format(key)
    end
    parts[#parts + 1] = key
  end
  return table.concat(parts)
end

local function refuse (writer, why)
  core.raise("BAD_VALUE", path_of(writer) .. ": " .. why)
end

local function put (writer, text)
  writer.size = writer.size + 1
  writer[writer.size] = text
end

local function put_string (writer, text)
  if not form.is_utf8(text) then
    refuse(writer, "a string that isn't UTF-8 can't be kept in JSON")
  end
  put(writer, writer.quote(text))
end

-- A table is a list (the keys 1 to n, whose number is given) or a map (its
-- names are given, sorted: equal tables make equal bytes).
local function shape_of (writer, value)
  local count, last, names = 0, 0, nil
  for key in next, value do
    if type(key) == "string" then
      names = names or {}
      names[#names + 1] = key
    elseif type(key) == "number" and key >= 1 and key % 1 == 0 then
      count = count + 1
      if key > last then last = key end
    else
      refuse(writer, ("the key %s can't be kept in JSON, only strings and "
        .. "the places of a list"):format(tostring(key)))
    end
  end
  if names and count > 0 then
    refuse(writer, "a table that is list and map at once can't be kept in "
      .. "JSON")
  elseif count ~= last then
    refuse(writer, "a list with gaps can't be kept in JSON")
  end
  if names then table.sort(names) end
  return count, names
end

local put_value

local function put_member (writer, key, value)
  writer.keys[writer.depth] = key
  put_value(writer, value)
end

local function put_table (writer, value)
  if writer.open[value] then
    refuse(writer, "a table that contains itself can't be kept in JSON")
  elseif writer.depth >= max_depth then
    core.raise("BAD_VALUE", ("value: nested deeper than %d tables, which "
      .. "can't be kept in JSON"):format(max_depth))
  end
  local count, names = shape_of(writer, value)
  writer.open[value] = true
  writer.depth = writer.depth + 1
  put(writer, count > 0 and "[" or "{")
  for i = 1, count do
    if i > 1 then put(writer, ",") end
    put_member(writer, i, rawget(value, i))
  end
  for i, name in ipairs(names or {}) do
    if i > 1 then put(writer, ",") end
    writer.keys[writer.depth] = name
    put_string(writer, name)
    put(writer, ":")
    put_member(writer, name, rawget(value, name))
  end
  put(writer, count > 0 and "]" or "}")
  writer.depth = writer.depth - 1
  writer.open[value] = nil
end

put_value = function (writer, value)
  local kind = type(value)
  if kind == "string" then
    put_string(writer, value)
  elseif kind == "table" then
    put_table(writer, value)
  elseif kind == "boolean" then
    put(writer, tostring(value))
  elseif kind ~= "number" then
    refuse(writer, ("a %s can't be kept in JSON"):format(kind))
  elseif value ~= value or value == math.huge or value == -math.huge then
    refuse(writer, ("the number %s can't be kept in JSON"):format(value))
  else
    put(writer, form.of_number(value))
  end
end

local function json_library ()
  return library("dkjson", "json", "dkjson", "lua-dkjson")
end

---Values as JSON text: booleans, strings in UTF-8, finite numbers (integers
---and floats apart, to the last bit), lists, and maps with string keys; all
---else raises BAD_VALUE. `null`, which others may have written, reads as nil.
---```lua
----- needs dkjson
---print(serializer.json.encode { tags = { "a", "b" }, n = 1.5 })
-----> {"n":1.5,"tags":["a","b"]}
---```
---@type lode.serializer
serializer.json = {
  name = "json",
  encode = function (value)
    local writer = { quote = json_library().quotestring, size = 0,
      depth = 0, keys = {}, open = {} }
    put_value(writer, value)
    return table.concat(writer, "", 1, writer.size)
  end,
  decode = function (bytes)
    need_bytes(bytes, "json")
    local dkjson = json_library()
    local value, rest, problem = read_with("not JSON", dkjson.decode, bytes,
      1, nil, nil, nil)
    if problem then core.raise("CORRUPT", "not JSON: " .. problem) end
    if bytes:find("%S", rest) then
      core.raise("CORRUPT", ("not JSON: more after its end, at byte %d")
        :format(rest))
    end
    return value
  end,
}

-- ==================================================================
-- Serializers that wrap another
-- ==================================================================

-- The serializer that `user` is to wrap: one, a name of one, or nil.
local function inner_of (inner, user)
  if inner == nil then return serializer.msgpack end
  if type(inner) == "string" then
    local found, why = serializer.named(inner)
    if not found then core.raise("BAD_ARGUMENT", why) end
    return found
  end
  if type(inner) ~= "table" or type(inner.name) ~= "string"
      or not inner.encode or not inner.decode then
    core.raise("BAD_ARGUMENT", ("lode.serializer.%s wraps a serializer, a "
      .. "table of name, encode and decode, or the name of one; not this %s")
      :format(user, type(inner)))
  end
  return inner
end

-- What `inner` makes of a value, which has to be a string.
local function encode_with (inner, value)
  local bytes = inner.encode(value)
  if type(bytes) ~= "string" then
    core.raise("BAD_VALUE", ("the serializer %s gave a %s, not a string")
      :format(inner.name, type(bytes)))
  end
  return bytes
end

local function zlib_library ()
  return library("zlib", "zlib", "lua-zlib", "lua-zlib")
end

-- Bytes that are inflated at a time. A byte of zlib holds 1032 at most, so
-- a bomb takes some 4 MiB past the limit before it is noticed.
local piece = 4096

local function too_large (code, limit)
  core.raise(code, ("a value of more than max_size, %d bytes, before its "
    .. "compression"):format(limit))
end

-- What the zlib stream `bytes` holds, of `limit` bytes at most.
local function inflate (bytes, limit)
  local stream = zlib_library().inflate()
  local parts, size, at, ended, used = {}, 0, 1, false, 0
  while not ended and at <= #bytes do
    local text
    text, ended, used = read_with("not a zlib stream", stream,
      bytes:sub(at, at + piece - 1))
    at = at + piece
    size = size + #text
    if size > limit then too_large("CORRUPT", limit) end
    parts[#parts + 1] = text
  end
  if not ended then
    core.raise("CORRUPT", "a zlib stream that is cut off")
  elseif used ~= #bytes then
    core.raise("CORRUPT", "a zlib stream with more after its end")
  end
  return table.concat(parts)
end

local zlib_options = { level = { 0, 9 }, max_size = { 1, 2^31 - 1 } }

local function check_zlib_options (options)
  if type(options) ~= "table" then
    core.raise("BAD_ARGUMENT", "lode.serializer.zlib: its options are a "
      .. "table, not a " .. type(options))
  end
  for name, value in pairs(options) do
    local bounds = zlib_options[name]
    if not bounds then
      core.raise("BAD_ARGUMENT", ("lode.serializer.zlib: it has no option "
        .. "%s, only level and max_size"):format(tostring(name)))
    elseif type(value) ~= "number" or value % 1 ~= 0
        or value < bounds[1] or value > bounds[2] then
      core.raise("BAD_ARGUMENT", ("lode.serializer.zlib: %s is a whole "
        .. "number from %d to %d, not %s"):format(name, bounds[1], bounds[2],
        tostring(value)))
    end
  end
end

---What `serializer.zlib` takes.
---@class lode.zlib_options
---0 (none) to 9 (smallest); default zlib's own.
---@field level integer?
---The most bytes that a value may have before compression: a larger one isn't
---written, and stored bytes that would grow past it aren't read; default 256
---MiB.
---@field max_size integer?

---Compresses what another serializer makes, as one zlib stream (RFC 1950).
---Raises BAD_ARGUMENT for wrong options; writing BAD_VALUE, and reading
---CORRUPT, past `max_size`.
---```lua
----- needs zlib
---local logs = store:dict("logs", {
---  serializer = serializer.zlib("msgpack", { level = 9 }),
---})
---logs[1] = ("all quiet\n"):rep(1000)
---print(#logs[1], dict.info(logs, 1).size < 200)            --> 10000 true
---```
---@param inner lode.serializer|string|nil default "msgpack"
---@param options lode.zlib_options?
---@return lode.serializer
function serializer.zlib (inner, options)
  inner = inner_of(inner, "zlib")
  options = options or {}
  check_zlib_options(options)
  local level, limit = options.level, options.max_size or 256 * 2^20
  return {
    name = "zlib(" .. inner.name .. ")",
    encode = function (value)
      local bytes = encode_with(inner, value)
      if #bytes > limit then too_large("BAD_VALUE", limit) end
      return (zlib_library().deflate(level)(bytes, "finish"))
    end,
    decode = function (bytes)
      need_bytes(bytes, "zlib")
      return inner.decode(inflate(bytes, limit))
    end,
  }
end

-- ==================================================================
-- encrypted
--
-- AES-256-GCM by OpenSSL. The bytes of a value:
--
--   +---------+-----------+--------------------------+----------+
--   | version | nonce     | what inner made, hidden  | tag      |
--   | 1 byte  | 12 bytes  | as many bytes as it had  | 16 bytes |
--   +---------+-----------+--------------------------+----------+
--
-- The version is 1. The nonce is new and random each time, so equal values
-- differ on disk; it is good for some 2^32 writes under one key.
-- ==================================================================

local key_size, nonce_size, tag_size = 32, 12, 16
local version = "\1"

local function openssl (part)
  return library("openssl." .. part, "encrypted", "luaossl", "lua-luaossl")
end

local function random_bytes (count)
  local rand = openssl "rand"
  if not rand.ready() then
    core.raise("IO", "the system gives OpenSSL no randomness")
  end
  return rand.bytes(count)
end

local function seal (key, text)
  local nonce = random_bytes(nonce_size)
  local cipher = openssl("cipher").new("aes-256-gcm"):encrypt(key, nonce)
  local hidden = assert(cipher:update(text)) .. assert(cipher:final())
  return version .. nonce .. hidden .. cipher:getTag(tag_size)
end

-- Nothing of the text is given before its tag is found right.
local function unseal (key, bytes)
  if bytes:sub(1, 1) ~= version then
    core.raise("CORRUPT", "not an encrypted value of version 1")
  elseif #bytes < #version + nonce_size + tag_size then
    core.raise("CORRUPT", "an encrypted value that is cut off")
  end
  local nonce = bytes:sub(#version + 1, #version + nonce_size)
  local hidden = bytes:sub(#version + nonce_size + 1, -tag_size - 1)
  local cipher = openssl("cipher").new("aes-256-gcm"):decrypt(key, nonce)
  cipher:setTag(bytes:sub(-tag_size))
  local text = cipher:update(hidden)
  local rest = text and cipher:final()
  if not rest then core.raise("CORRUPT", "wrong key or damaged value") end
  return text .. rest
end

local function check_key (key)
  if type(key) == "string" and #key == key_size then return end
  core.raise("BAD_ARGUMENT", ("lode.serializer.encrypted needs a key of %d "
    .. "bytes, not %s: make one with require(\"openssl.rand\").bytes(%d), or "
    .. "from a password with lode.serializer.key_from_password")
    :format(key_size, type(key) == "string" and #key .. " bytes"
    or "a " .. type(key), key_size))
end

---Encrypts what another serializer makes, with AES-256-GCM, under a random
---nonce each time. Reading under another key, or damaged bytes, raises
---CORRUPT and gives nothing.
---
---It hides values and shows any change to one. It does not hide the keys of
---entries, how many there are, their sizes or when they were written; and
---somebody who can write the file may put an old value back, or one entry's
---value under another key. Not for keys: each encoding differs.
---
---It has no name to be opened by, as the key is not kept: it is given each
---time the collection is opened. Raises BAD_ARGUMENT for a key of another
---size.
---```lua
----- needs openssl.rand
---local key = require("openssl.rand").bytes(32)            -- keep it safe
---local notes = store:dict("notes", {
---  serializer = serializer.encrypted(key),
---})
---notes.today = { text = "for my eyes only" }
---print(notes.today.text)                              --> for my eyes only
---```
---@param key string 32 bytes
---@param inner lode.serializer|string|nil default "msgpack"
---@return lode.serializer
function serializer.encrypted (key, inner)
  check_key(key)
  inner = inner_of(inner, "encrypted")
  return {
    name = "encrypted(" .. inner.name .. ")",
    encode = function (value) return seal(key, encode_with(inner, value)) end,
    decode = function (bytes)
      need_bytes(bytes, "encrypted")
      return inner.decode(unseal(key, bytes))
    end,
  }
end

---A key for `encrypted` from a password, by scrypt (N = 2^17, r = 8, p = 1:
---half a second and 128 MiB). The same password and salt give the same key.
---The salt is no secret, but each store should have its own, kept beside it.
---Raises BAD_ARGUMENT for an empty password or a short salt.
---```lua
----- needs openssl.kdf
---local salt = ("0123456789abcdef")                       -- better: random
---print(#serializer.key_from_password("open sesame", salt))  --> 32
---```
---@param password string
---@param salt string 16 bytes or more, random
---@return string key 32 bytes
function serializer.key_from_password (password, salt)
  if type(password) ~= "string" or password == "" then
    core.raise("BAD_ARGUMENT", "lode.serializer.key_from_password needs a "
      .. "password, a string that isn't empty")
  elseif type(salt) ~= "string" or #salt < 16 then
    core.raise("BAD_ARGUMENT", "lode.serializer.key_from_password needs a "
      .. "salt of 16 bytes or more: make one, once for a store, with "
      .. "require(\"openssl.rand\").bytes(16), and keep it")
  end
  return openssl("kdf").derive {
    type = "scrypt", outlen = key_size, pass = password, salt = salt,
    N = 131072, r = 8, p = 1, maxmem_bytes = 256 * 1024 * 1024,
  }
end

-- ==================================================================
-- nfc, nfkc
-- ==================================================================

-- Both stay what they are when they are read: the normalised string is the
-- key from then on.
local function normaliser (name, compatible)
  return {
    name = name,
    encode = function (key)
      if type(key) ~= "string" then
        core.raise("BAD_KEY", ("the key serializer %s takes strings, "
          .. "not a %s"):format(name, type(key)))
      end
      local text, why = core.normalize(key, compatible)
      if text then return text end
      if why == "absent" then
        core.raise("BAD_ARGUMENT", ("lode.serializer.%s needs the C library "
          .. 'utf8proc: install it with "apt-get install libutf8proc-dev" or '
          .. '"brew install utf8proc"'):format(name))
      end
      core.raise("BAD_KEY", ("the key serializer %s takes strings in UTF-8; "
        .. "this one isn't (%s)"):format(name, why))
    end,
    decode = function (bytes) return bytes end,
  }
end

---For keys: strings in Unicode's form NFC, so that "é" is one key however it
---was composed. The keys that are read back are in that form. Other keys, and
---strings that aren't UTF-8, raise BAD_KEY.
---```lua
----- needs utf8proc
---local cafes = store:set("cafes", { key_serializer = "nfc" })
---cafes["Cafe\204\129"] = true                 -- e and an accent
---print(cafes["Caf\195\169"])                  -- one character: the same
-----> true
---```
---@type lode.serializer
serializer.nfc = normaliser("nfc", false)

---For keys: strings in Unicode's form NFKC, where also characters that only
---look or print differently, as the ligature "ﬁ" and "fi", are one key.
---```lua
----- needs utf8proc
---print(serializer.nfkc.encode "\239\172\129sh")             --> fish
---```
---@type lode.serializer
serializer.nfkc = normaliser("nfkc", true)

-- ==================================================================
-- Serializers by name
-- ==================================================================

---The serializer of this name: "msgpack", "json", "nfc", "nfkc", "zlib" or
---"zlib(inner)". Nil and the reason when there is none: also for
---"encrypted(...)", whose key no name can hold. Options take such a name in the
---place of a serializer.
---```lua
---print(serializer.named("json") == serializer.json)        --> true
---print(serializer.named "zip" == nil)                      --> true
---```
---@param name string
---@return lode.serializer? serializer
---@return string? reason
function serializer.named (name)
  if type(name) ~= "string" then
    return nil, "a serializer's name is a string, not a " .. type(name)
  elseif name == "msgpack" or name == "json" or name == "nfc"
      or name == "nfkc" then
    return serializer[name]
  elseif name == "zlib" then
    return serializer.zlib()
  elseif name == "encrypted" or name:find "^encrypted%(" then
    return nil, ("the serializer %s needs its key: give "
      .. "lode.serializer.encrypted(key) itself as the option"):format(name)
  end
  local inner = name:match "^zlib%((.*)%)$"
  if inner then
    local found, why = serializer.named(inner)
    if not found then return nil, why end
    return serializer.zlib(found)
  end
  return nil, ("there is no serializer named %q: msgpack, json, zlib, "
    .. "zlib(json), nfc and nfkc are names; give any other as the table that "
    .. "it is"):format(name)
end

return serializer

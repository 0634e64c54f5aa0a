-- Dicts with a cache whose reads tell a hit from a miss.

local helper = require "support.helper"

local cached = {}

-- A counter, and a serializer of strings that counts in it what it decodes.
function cached.counting ()
  local counted = { n = 0 }
  return counted, {
    name = "counting",
    encode = function (v) return v end,
    decode = function (s)
      counted.n = counted.n + 1
      return s
    end,
  }
end

-- How many values fn() decodes.
function cached.decoded (counted, fn)
  local before = counted.n
  fn()
  return counted.n - before
end

-- A dict with a cache of n values, its counter, its store, and the path.
function cached.open (n, options, store_options)
  local store, path = helper.open(store_options)
  local counted, serializer = cached.counting()
  local given = { cache = n, serializer = serializer }
  for k, v in pairs(options or {}) do given[k] = v end
  return store:dict("d", given), counted, store, path
end

return cached

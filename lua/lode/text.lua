-- What the writers of JSON share: whether a string is UTF-8, and numbers.

local text = {}

local math_type = math.type -- nil where there are no integers

-- The byte sequences of UTF-8 above ASCII, none of which begins inside
-- another.
local sequences = {
  "[\194-\223][\128-\191]",
  "\224[\160-\191][\128-\191]",
  "[\225-\236\238\239][\128-\191][\128-\191]",
  "\237[\128-\159][\128-\191]",
  "\240[\144-\191][\128-\191][\128-\191]",
  "[\241-\243][\128-\191][\128-\191][\128-\191]",
  "\244[\128-\143][\128-\191][\128-\191]",
}

-- Lua 5.4's own knows that surrogates are none.
local utf8_len = utf8 and utf8.len
if utf8_len and utf8_len "\237\160\128" then utf8_len = nil end

---Whether a string is UTF-8.
---@param bytes string
---@return boolean
function text.is_utf8 (bytes)
  if not bytes:find "[\128-\255]" then return true end
  if utf8_len then return utf8_len(bytes) ~= nil end
  for _, sequence in ipairs(sequences) do
    bytes = bytes:gsub(sequence, ".")
  end
  return not bytes:find "[\128-\255]"
end

-- A float in the fewest digits that give it back.
local function of_float (number)
  for _, precision in ipairs { "%.15g", "%.16g", "%.17g" } do
    local digits = precision:format(number)
    if tonumber(digits) == number then
      return (digits:gsub(",", ".")) -- a locale may write a comma
    end
  end
end

---A finite number in JSON. Where Lua has integers, a float is marked by a
---point or an exponent; where it has none, a whole number is written so that
---another Lua reads an integer.
---@param number number
---@return string
function text.of_number (number)
  if math_type and math_type(number) == "integer" then
    return ("%d"):format(number)
  elseif number == 0 and 1 / number < 0 then
    return "-0.0"
  elseif not math_type and number % 1 == 0 and math.abs(number) <= 2^53 then
    return ("%.0f"):format(number)
  end
  local digits = of_float(number)
  if math_type and not digits:find "[.e]" then digits = digits .. ".0" end
  return digits
end

return text

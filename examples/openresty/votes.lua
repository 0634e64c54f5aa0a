-- The handlers of nginx.conf: each visitor votes once an hour, and the votes
-- are on disk.

local votes = {}

-- The methods are those of ngx.shared.DICT.
local function come (dict, address, choice)
  local first, err = dict:add("voter:" .. address, choice, 3600)
  if first then
    return dict:incr("votes:" .. choice, 1, 0)
  end
  return nil, err
end

function votes.vote ()
  local choice = ngx.var.arg_for or "nobody"
  local n, err = come(shared.votes, ngx.var.remote_addr, choice)
  if n then
    ngx.say("vote ", n, " for ", choice)
  elseif err == "exists" then
    ngx.status = ngx.HTTP_FORBIDDEN
    ngx.say("you have voted: ", (shared.votes:ttl("voter:"
      .. ngx.var.remote_addr)), " s to wait")
  else -- another writer kept the store too long, or the disk is full
    ngx.log(ngx.ERR, err)
    ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE)
  end
end

-- Tables as values, and what ngx.shared.DICT can't: one update by nobody
-- else in between, and a walk over the keys with a prefix, in order.
function votes.show ()
  local seen = shared.pages:update(ngx.var.uri, function (page)
    page = page or { views = 0, since = ngx.time() }
    page.views = page.views + 1
    return page
  end)
  if seen then
    ngx.say(seen.views, " views since ", ngx.http_time(seen.since))
  end
  for key, n in shared.votes:scan "votes:" do
    ngx.say(key:sub(#"votes:" + 1), ": ", n)
  end
end

return votes

-- Decides who sends a request: the holder of a key, or of a token that jwt_authn before this filter has verified.
-- The clients are metadata of the virtual host, the model is metadata of the route (routing/envoy/access.py).
-- Each of Envoy's threads runs it for itself.

local CHALLENGE = 'Bearer realm="fairlead"'
local INVALID = CHALLENGE .. ', error="invalid_token"'
local LONGEST = 512 -- bytes of a key; a longer one is not hashed
local MOST = 1000 -- keys whose hash is remembered

-- A client sends its key with every request, and hashing takes longer than everything else here. Only keys of clients
-- are remembered, so guesses cannot fill the memory.
local hashes, remembered = {}, 0

local function client_with(key, host)
  local hash = hashes[key]
  if hash then return host:get(hash) end
  if #key > LONGEST then return nil end
  hash = "sha256:" .. sha256(key)
  local client = host:get(hash)
  if client then
    if remembered == MOST then hashes, remembered = {}, 0 end
    hashes[key], remembered = hash, remembered + 1
  end
  return client
end

local function deny(handle, status, code, detail, challenge)
  handle:streamInfo():dynamicMetadata():set("fairlead.access", "code", code)
  local headers = { [":status"] = status }
  if challenge then headers["www-authenticate"] = challenge end
  handle:respond(headers, detail)
end

local function has(value, wanted, words)
  if type(value) == "table" then
    for _, one in ipairs(value) do
      if one == wanted then return true end
    end
    return false
  end
  if value == wanted then return true end
  if not words or type(value) ~= "string" then return false end
  for word in value:gmatch("%S+") do
    if word == wanted then return true end
  end
  return false
end

local function client_of(payload, clients)
  for _, one in ipairs(clients or {}) do
    local fits = true
    for claim, wanted in pairs(one.claims) do
      fits = fits and has(payload[claim], wanted, claim == "scope" or claim == "scp")
    end
    if fits then return one.client end
  end
end

-- The name of the client; or nil, and the arguments of deny.
local function identify(handle, headers, host)
  local key, authorization = headers:get("x-api-key"), headers:get("authorization")
  local joined = authorization and authorization:find(",", 1, true) -- as Envoy joins several lines of this header
  if headers:getNumValues("x-api-key") > 1 or (key and authorization) or joined then
    return nil, "401", "several-credentials", "the request has several credentials; send one, once", CHALLENGE
  end
  if not key then
    key = authorization and authorization:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +(%S+)$")
    local verified = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
    if verified and verified.token then
      local client = client_of(verified.token, host:get("claims"))
      if client then return client end
      return nil, "403", "unknown-token", "the token is valid, and its claims are those of no client"
    end
    if key and verified and verified.failure and key:match("^[^.]+%.[^.]*%.[^.]*$") then
      local why = verified.failure.message or "it cannot be verified"
      return nil, "401", "invalid-token", "the token is not accepted: " .. why, INVALID
    end
  end
  if not key then
    local how = "send a key in the header x-api-key, or a key or token as authorization: Bearer"
    return nil, "401", "no-credential", "the request does not say who sends it; " .. how, CHALLENGE
  end
  local client = client_with(key, host)
  if client then return client end
  return nil, "401", "unknown-key", "this key belongs to no client; it may have been replaced", INVALID
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local host = handle:virtualHost():metadata()
  local known = handle:streamInfo():dynamicMetadata()
  -- Envoy turns a filter off by the route that a request has at first, and a call of gRPC gets its own only in grpc.lua.
  local call = known:get("fairlead.grpc")
  if call and call.own then return end -- the gateway answers it, as the same question over HTTP
  local name, status, code, detail, challenge = identify(handle, headers, host)
  -- No credential reaches a model.
  headers:remove("x-api-key")
  headers:remove("authorization")
  headers:remove("x-fairlead-models")
  if not name then
    known:set("fairlead.access", "client", "unknown")
    return deny(handle, status, code, detail, challenge)
  end
  known:set("fairlead.access", "client", name)
  local client = host:get("client:" .. name)
  local model = handle:metadata():get("model")
  if client.models then
    if not model then
      headers:add("x-fairlead-models", table.concat(client.models, ","))
    elseif not has(client.models, model) then
      return deny(handle, "403", "other-model", "client " .. name .. " may not call model " .. model)
    end
  end
  local left = client.closed and tonumber(client.closed) - os.time()
  if left and left > 0 then -- it opens by itself, also while no control plane runs
    known:set("fairlead.access", "retry", string.format("%d", left))
    local opens = os.date("!%Y-%m-%dT%H:%M:%SZ", tonumber(client.closed))
    return deny(handle, "429", "over-quota", "client " .. name .. " has used its quota up; it begins anew at " .. opens)
  end
  if client.cost then
    known:set("fairlead.access", "limited", name)
    known:set("fairlead.access", "cost", client.cost)
    known:set("fairlead.access", "retry", client.retry)
    if model then known:set("fairlead.access", "model", model) end
  end
end

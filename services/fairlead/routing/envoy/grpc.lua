-- Makes a request for the path of a model of a call of gRPC, and gRPC's status of the response's HTTP status. The filter
-- before this one has changed the content type, and adds the trailers. routing/envoy/grpc.py puts the facts in front.
local LONGEST = 100 -- bytes of a message in which the names of the model and of its version are
local YES = "\0\0\0\0\2\8\1" -- the frame of a message whose first field is true

-- The text of a field of this number at this place of a message, and the place after it.
local function text_at(head, place, number)
  if head:byte(place) ~= number * 8 + 2 then return nil, place end
  local after = place + 2 + (head:byte(place + 1) or LONGEST)
  return head:sub(place + 2, after - 1), after
end

-- The model, and perhaps its version: as the metadata say, or else the message, whose first fields they are.
local function model_of(handle, headers)
  for _, key in ipairs(KEYS) do
    local name = headers:get(key)
    if name then return name end
  end
  local message = READS and handle:body()
  if not message or message:length() < 8 then return nil end
  local head = message:getBytes(0, math.min(message:length(), LONGEST))
  if head:byte(1) ~= 0 then return nil end -- compressed
  local name, place = text_at(head, 6, 1)
  return name, name and text_at(head, place, 2)
end

local function refuse(handle, status, kind, sentence)
  handle:streamInfo():dynamicMetadata():set("fairlead.grpc", "kind", kind)
  handle:respond({ [":status"] = status }, sentence)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if headers:get("content-type") ~= CONTENT_TYPE then return end
  local path = headers:get(":path")
  local method = path:sub(1, #SERVICE) == SERVICE and path:sub(#SERVICE + 1)
  if not METHODS[method] then return refuse(handle, "501", "unknown-method", "this gateway does not answer this method of gRPC") end
  local model, version = model_of(handle, headers)
  headers = handle:headers() -- the first ones are gone once a message was read
  if model and not (model .. (version or "")):match("^[a-z0-9.~-]+$") then
    return refuse(handle, "404", "not-found", "no such model or path")
  elseif model then
    local below = method == "ModelInfer" and "/infer" or "/grpc/" .. method
    headers:replace(":path", "/v2/models/" .. model .. (version and "/versions/" .. version or "") .. below)
  elseif OWN[method] then -- of the gateway itself
    headers:replace(":path", OWN[method])
    handle:streamInfo():dynamicMetadata():set("fairlead.grpc", "own", true)
  else
    local sentence = "the call does not say for which model it is; name it in the metadata " .. KEYS[1]
    return refuse(handle, "400", "no-model", sentence)
  end
  headers:remove("x-route-explain") -- its answer is JSON
  handle:clearRouteCache()
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(STATUS)
  if status then -- the gateway refuses
    headers:remove(STATUS)
    headers:replace("grpc-status", CODES[status] or UNKNOWN)
    headers:replace("content-type", CONTENT_TYPE)
  elseif (handle:streamInfo():dynamicMetadata():get("fairlead.grpc") or {}).own then
    headers:remove("grpc-status")
    headers:remove("grpc-message")
    headers:replace("content-type", CONTENT_TYPE)
    handle:body(true):setBytes(YES)
  elseif headers:get("content-type") == CONTENT_TYPE and headers:get("grpc-status") then
    headers:replace(":status", "200") -- as gRPC wants it; it was counted before
  end
end

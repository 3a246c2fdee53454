-- The port without TLS of a gateway whose entry has TLS (routing/envoy/entry.py): whether the gateway lives and is ready
-- is answered, and so are the platform's own requests. All others are sent to the port with TLS, or refused.
local OPEN = { ["/v2/health/live"] = true, ["/v2/health/ready"] = true }
local LONGEST = 512 -- bytes of a key; a longer one is not hashed

local last, last_hash -- only a key that was the platform's is remembered

local function is_own(pass, own)
  if not pass or not own or #pass > LONGEST then return false end
  local hash = pass == last and last_hash or "sha256:" .. sha256(pass)
  if hash ~= own then return false end
  last, last_hash = pass, hash
  return true
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local pass, path = headers:get(PASS_HEADER), headers:get(":path")
  headers:remove(PASS_HEADER)
  if OPEN[path:match("^[^?]*")] or is_own(pass, handle:virtualHost():metadata():get("own")) then return end
  if TLS_PORT then
    local authority = headers:get(":authority")
    local host = authority:match("^%[.*%]") or authority:match("^[^:]*")
    local location = "https://" .. host .. (TLS_PORT == 443 and "" or ":" .. TLS_PORT) .. path
    handle:respond({ [":status"] = "308", ["location"] = location }, "")
  else
    handle:streamInfo():dynamicMetadata():set("fairlead.access", "code", "needs-tls")
    handle:respond({ [":status"] = "403" }, "this port has no TLS, and answers only probes; use https and the port with TLS")
  end
end

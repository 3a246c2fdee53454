"""What `helm test` does: the version is ready, answers a golden row through the gateway, and says that it is itself."""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

from fairlead.contracts.golden import compare

GATEWAY, MODEL, VERSION = (os.environ[name] for name in ("FAIRLEAD_GATEWAY", "FAIRLEAD_MODEL", "FAIRLEAD_VERSION"))
KEY = {"x-api-key": os.environ["FAIRLEAD_KEY"]} if "FAIRLEAD_KEY" in os.environ else {}
OWN = os.environ.get("FAIRLEAD_CERTIFICATES")
DEADLINE = time.monotonic() + float(os.environ["FAIRLEAD_TIMEOUT_S"])


def main() -> None:
    """Ready, then the golden row, then who answered."""
    asked("GET", f"/v2/models/{MODEL}/versions/{VERSION}/ready")
    golden, _ = asked("GET", f"/models/{MODEL}/versions/{VERSION}/golden")
    if not golden["rows"]:
        sys.exit(f"{MODEL} {VERSION} ships no golden rows: there is nothing to ask it")
    row = golden["rows"][0]
    answer, served_by = asked("POST", f"/models/{MODEL}/versions/{VERSION}/predict", json.dumps(row["input"]).encode())
    if difference := compare(row["expected"], answer, *(golden[name] for name in ("rtol", "atol") if name in golden)):
        sys.exit(f"{MODEL} {VERSION} answers its golden row wrongly: {difference}")
    if served_by != VERSION:
        sys.exit(f"x-model-version is {served_by!r}, not {VERSION!r}")
    print(f"{MODEL} {VERSION}: ready, the golden row is answered as expected, x-model-version is {served_by}")


def asked(method: str, path: str, body: bytes | None = None) -> tuple:
    """The answer's JSON and its x-model-version; asks again until the deadline, because a route needs a moment."""
    while True:
        headers = {"content-type": "application/json", **KEY}
        request = urllib.request.Request(GATEWAY + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10, context=context()) as answer:
                return json.load(answer), answer.headers["x-model-version"]
        except urllib.error.HTTPError as error:
            why = f"{error.code} {error.read(500).decode(errors='replace')}"
        except OSError as error:
            why = str(error)
        if time.monotonic() > DEADLINE:
            sys.exit(f"{method} {GATEWAY}{path}: {why}")
        time.sleep(1)


def context() -> ssl.SSLContext | None:
    """What to believe and to show, from the Secret of the values; None without one: what the system believes."""
    if OWN is None:
        return None
    made = ssl.create_default_context(cafile=f"{OWN}/ca.crt")
    if os.path.exists(f"{OWN}/tls.crt"):
        made.load_cert_chain(f"{OWN}/tls.crt", f"{OWN}/tls.key")
    return made


main()

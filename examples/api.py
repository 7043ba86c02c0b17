"""Issues one invoice with nothing but Python's own library. PIAOMA_URL and PIAOMA_KEY say where and by which key."""

import json
import os
import time
import urllib.error
import urllib.request


def post(path: str, body: dict, key: str) -> dict:
    """Sent again with the same key it is the same invoice: so every fault of the network is simply tried again."""
    headers = {
        "Authorization": f"Bearer {os.environ['PIAOMA_KEY']}",
        "Content-Type": "application/json",
        "Idempotency-Key": key,
    }
    for tries in range(1, 6):
        request = urllib.request.Request(
            f"{os.environ['PIAOMA_URL']}/api/v1{path}", json.dumps(body).encode(), headers
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            problem = json.load(refused)
            passing = refused.code in (429, 500, 502, 503, 504) or problem["cause"] == "API-IDEMPOTENCY-RUNNING"
            if not passing or tries == 5:
                raise SystemExit(f"{problem['cause']}: {problem['title']} {problem['detail']}") from None
            time.sleep(float(refused.headers.get("Retry-After", tries)))
        except OSError:
            if tries == 5:
                raise
            time.sleep(tries)
    raise AssertionError("unreachable")


if __name__ == "__main__":
    order = {
        "buyer": {"name": "武汉某某科技有限公司", "taxpayer_id": "91110108690017781B"},
        "lines": [{"name": "餐费", "code": "3070401000000000000", "amount": "58.00"}],
    }
    print(post("/invoices", order, "order-20261124-0042")["number"])

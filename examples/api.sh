#!/bin/sh
# Issues one invoice and saves its PDF, with curl alone. PIAOMA_URL and PIAOMA_KEY say where and by which key.
set -eu
order="order-20261124-0042"  # one key for one sale: sent again, it is the same invoice

curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused \
  -H "Authorization: Bearer $PIAOMA_KEY" -H "Content-Type: application/json" -H "Idempotency-Key: $order" \
  --data '{
    "buyer": {"name": "武汉某某科技有限公司", "taxpayer_id": "91110108690017781B"},
    "lines": [{"name": "餐费", "code": "3070401000000000000", "amount": "58.00"}]
  }' "$PIAOMA_URL/api/v1/invoices" > issued.json

number=$(sed -n 's/.*"state":"issued","number":"\([0-9]*\)".*/\1/p' issued.json)
curl --silent --show-error --fail -H "Authorization: Bearer $PIAOMA_KEY" \
  "$PIAOMA_URL/api/v1/invoices/$number/files/pdf" > invoice.pdf
echo "$number"

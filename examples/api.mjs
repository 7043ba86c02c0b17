// Makes a code for one sale, and verifies a webhook, with nothing but what Node or a browser has.
import { createHmac, timingSafeEqual } from 'node:crypto';

const { PIAOMA_URL, PIAOMA_KEY } = process.env;

// Sent again with the same key it is the same code: so every fault of the network is simply tried again.
async function post(path, body, key) {
  for (let tries = 1; ; tries++) {
    let answer;
    try {
      answer = await fetch(`${PIAOMA_URL}/api/v1${path}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${PIAOMA_KEY}`, 'Content-Type': 'application/json', 'Idempotency-Key': key },
        body: JSON.stringify(body),
      });
    } catch (fault) {
      if (tries >= 5) throw fault;
    }
    if (answer?.ok) return answer.json();
    const told = answer && (await answer.json());
    const again = !answer || answer.status >= 500 || answer.status === 429 || told.cause === 'API-IDEMPOTENCY-RUNNING';
    if (!again || tries >= 5) throw new Error(`${told.cause}: ${told.title} ${told.detail}`);
    await new Promise((done) => setTimeout(done, 1000 * (Number(answer?.headers.get('retry-after')) || tries)));
  }
}

// Whether a webhook is from Piaoma: `body` as it came, before it is parsed; `secret` begins with whsec_.
export function fromPiaoma(headers, body, secret) {
  const told = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const right = createHmac('sha256', Buffer.from(secret.slice(6), 'base64')).update(told).digest();
  const fresh = Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp'])) < 300;
  return fresh && headers['webhook-signature'].split(' ').some((one) => {
    const given = Buffer.from(one.slice(3), 'base64');
    return one.startsWith('v1,') && given.length === right.length && timingSafeEqual(given, right);
  });
}

if (PIAOMA_KEY) {
  const sale = { lines: [{ name: '餐费', code: '3070401000000000000', amount: '58.00' }] };
  const code = await post('/codes', sale, 'till-7-20261124-0042');
  console.log(code.url);
}

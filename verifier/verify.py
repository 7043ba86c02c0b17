#!/usr/bin/env python3
"""Check the bundle of an electronic invoice, offline and without trusting whoever made it.

    python3 -I verify.py BUNDLE.zip --root root.pem --log-key log.pub

This file stands alone: it needs Python 3.11 and nothing else, opens no connection, writes nothing. It is meant to be
read. It does by hand, slowly and in plain sight, what five steps need:

 1. OPEN        The bundle is a zip with known names and bounded sizes. Anything else in it is refused.
 2. SIGNATURE   The XML was signed with SM2 over SM3, the Chinese national algorithms. Changing one byte of what was
                signed breaks the signature.
 3. CERTIFICATES  The key that signed belongs to a certificate, which another one signed, up to a root. You say which
                root you trust (--root). A root inside the bundle proves nothing: a forger would put in his own.
 4. LOG         The issuer keeps a list of all invoices to which he can only add. He signs its length and one hash over
                all of it: a checkpoint. The proof is a handful of hashes that lead from this invoice to that hash. You
                say which log you trust (--log-key).
 5. VIEWS       PDF and OFD must carry this very XML. What their pages show is not judged here: the XML is the invoice.

Exit code: 0 everything holds · 1 something is false · 2 nothing is false, but something is left for you to confirm.
"""

import argparse
import base64
import hashlib
import io
import json
import re
import sys
import zipfile
import zlib
from datetime import datetime, timedelta, timezone

PART_BYTES_MAX, PARTS_MAX, OFD_PARTS_MAX = 16 * 1024 * 1024, 16, 4_000


class False_(Exception):
    """Something in the bundle is false; the text says what."""


def must(condition, why):
    """Stop with a reason unless the condition holds."""
    if not condition:
        raise False_(why)


# ── SM3: the Chinese hash (GB/T 32905), as its standard describes it ──────────────────────────────────────────────


def _turn(word, by):
    by %= 32
    return (word << by | word >> (32 - by)) & 0xFFFFFFFF


def sm3(data):
    """The 32 bytes of SM3 over data."""
    state = [0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E]
    data = data + b"\x80" + bytes((55 - len(data)) % 64) + (8 * len(data)).to_bytes(8, "big")
    for start in range(0, len(data), 64):
        w = [int.from_bytes(data[start + 4 * i : start + 4 * i + 4], "big") for i in range(16)]
        for i in range(16, 68):
            x = w[i - 16] ^ w[i - 9] ^ _turn(w[i - 3], 15)
            w.append(x ^ _turn(x, 15) ^ _turn(x, 23) ^ _turn(w[i - 13], 7) ^ w[i - 6])
        a, b, c, d, e, f, g, h = state
        for i in range(64):
            s1 = _turn((_turn(a, 12) + e + _turn(0x79CC4519 if i < 16 else 0x7A879D8A, i)) & 0xFFFFFFFF, 7)
            s2 = s1 ^ _turn(a, 12)
            ff = a ^ b ^ c if i < 16 else (a & b) | (a & c) | (b & c)
            gg = e ^ f ^ g if i < 16 else (e & f) | (~e & g)
            t1 = (ff + d + s2 + (w[i] ^ w[i + 4])) & 0xFFFFFFFF
            t2 = (gg + h + s1 + w[i]) & 0xFFFFFFFF
            a, b, c, d = t1, a, _turn(b, 9), c
            e, f, g, h = t2 ^ _turn(t2, 9) ^ _turn(t2, 17), e, _turn(f, 19), g
        state = [old ^ new for old, new in zip(state, (a, b, c, d, e, f, g, h))]
    return b"".join(word.to_bytes(4, "big") for word in state)


# ── SM2: signatures on the Chinese curve y² = x³ + ax + b over the numbers below P (GB/T 32918) ───────────────────

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
USER = b"1234567812345678"  # the signer's id that everybody in this field uses


def _add(p, q):
    """The sum of two points; None is the point at infinity."""
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        if (p[1] + q[1]) % P == 0:
            return None
        slope = (3 * p[0] * p[0] + A) * pow(2 * p[1], -1, P) % P
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P) % P
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def _times(count, point):
    result = None
    while count:
        result = _add(result, point) if count & 1 else result
        point, count = _add(point, point), count >> 1
    return result


def sm2_holds(key, signature, data):
    """Whether a signature (DER) over data was made with the private half of key, a point (x, y)."""
    x, y = key
    if not (x < P and y < P and (y * y - x * x * x - A * x - B) % P == 0):
        return False
    try:
        r, s = (int.from_bytes(body, "big", signed=True) for _, body, _ in items(one(signature, 0x30)))
    except (False_, ValueError):
        return False
    if not (0 < r < N and 0 < s < N and (r + s) % N):
        return False
    known = b"".join(number.to_bytes(32, "big") for number in (A, B, *G, x, y))
    identity = sm3((8 * len(USER)).to_bytes(2, "big") + USER + known)
    digest = int.from_bytes(sm3(identity + data), "big")
    point = _add(_times(s, G), _times((r + s) % N, key))
    return point is not None and (digest + point[0]) % N == r


# ── Ed25519: the signature of the log (RFC 8032) ──────────────────────────────────────────────────────────────────

EP = 2**255 - 19
EL = 2**252 + 27742317777372353535851937790883648493
ED = -121665 * pow(121666, -1, EP) % EP


def _ed_add(p, q):
    (x1, y1), (x2, y2) = p, q
    k = ED * x1 * x2 * y1 * y2 % EP
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, -1, EP) % EP,
        (y1 * y2 + x1 * x2) * pow(1 - k, -1, EP) % EP,
    )


def _ed_times(count, point):
    result = (0, 1)
    while count:
        result = _ed_add(result, point) if count & 1 else result
        point, count = _ed_add(point, point), count >> 1
    return result


def _ed_point(data):
    """A point from its 32 bytes: y, and one bit of x."""
    number = int.from_bytes(data, "little")
    y, odd = number & (1 << 255) - 1, number >> 255
    must(y < EP, "not a point of the curve")
    square = (y * y - 1) * pow(ED * y * y + 1, -1, EP) % EP
    x = pow(square, (EP + 3) // 8, EP)
    if (x * x - square) % EP:
        x = x * pow(2, (EP - 1) // 4, EP) % EP
    must((x * x - square) % EP == 0 and not (x == 0 and odd), "not a point of the curve")
    return (EP - x if x & 1 != odd else x), y


def ed25519_holds(public, signature, data):
    """Whether 64 bytes of signature over data are of the public key (32 bytes)."""
    if len(signature) != 64 or (s := int.from_bytes(signature[32:], "little")) >= EL:
        return False
    try:
        key, r = _ed_point(public), _ed_point(signature[:32])
    except False_:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + data).digest(), "little") % EL
    base = _ed_point((4 * pow(5, -1, EP) % EP).to_bytes(32, "little"))
    return _ed_times(s, base) == _ed_add(r, _ed_times(h, key))


# ── Certificates: just as much of DER and X.509 as an SM2 chain needs ─────────────────────────────────────────────

SM2_WITH_SM3 = bytes.fromhex("2a811ccf55018375")  # 1.2.156.10197.1.501
SM2_CURVE = bytes.fromhex("2a811ccf5501822d")  # 1.2.156.10197.1.301
KEY_USAGE, BASIC_CONSTRAINTS = bytes.fromhex("551d0f"), bytes.fromhex("551d13")


def items(data):
    """The items of a DER body: (tag, body, whole item) each."""
    found, at = [], 0
    while at < len(data):
        must(at + 2 <= len(data), "broken DER")
        tag, length, head = data[at], data[at + 1], 2
        if length & 0x80:
            head = 2 + (length & 0x7F)
            must(2 < head <= 6, "broken DER")
            length = int.from_bytes(data[at + 2 : at + head], "big")
        must(at + head + length <= len(data), "broken DER")
        found.append((tag, data[at + head : at + head + length], data[at : at + head + length]))
        at += head + length
    return found


def one(data, tag):
    """The body of the single item that data is."""
    found = items(data)
    must(len(found) == 1 and found[0][0] == tag, "broken DER")
    return found[0][1]


def certificate(der):
    """What is needed of a certificate. Whatever is not as expected is refused."""
    try:
        tbs, algorithm, value = items(one(der, 0x30))
        fields = items(tbs[1])
        _version, _serial, inner, issuer, validity, subject, key = fields[:7]
        must(items(algorithm[1])[0][1] == SM2_WITH_SM3 and algorithm[2] == inner[2], "a certificate is not SM2 with SM3")
        kind, bits = items(key[1])
        must(items(kind[1])[1][1] == SM2_CURVE and bits[1][:2] == b"\0\x04" and len(bits[1]) == 66, "not an SM2 key")
        usage, authority = 0, False
        for tag, body, _ in fields[7:]:
            for _, extension, _ in items(one(body, 0x30)) if tag == 0xA3 else ():
                parts = items(extension)
                if parts[0][1] == KEY_USAGE:
                    usage = one(parts[-1][1], 0x03)[1]
                elif parts[0][1] == BASIC_CONSTRAINTS:
                    authority = any(tag == 1 and body == b"\xff" for tag, body, _ in items(one(parts[-1][1], 0x30)))
        return {
            "tbs": tbs[2], "signature": value[1][1:], "issuer": issuer[2], "subject": subject[2],
            "key": (int.from_bytes(bits[1][2:34], "big"), int.from_bytes(bits[1][34:], "big")),
            "valid": [_moment(tag, body.decode()) for tag, body, _ in items(validity[1])],
            "may_sign": bool(usage & 0x80), "may_certify": authority and bool(usage & 0x04),
        }  # fmt: skip
    except (ValueError, IndexError):
        raise False_("a certificate cannot be read") from None


def _moment(tag, text):
    text = text if tag == 0x18 else ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)


# ── The five steps ────────────────────────────────────────────────────────────────────────────────────────────────


def open_bundle(path):
    """Step 1. The parts of the zip by name, and the invoice's number."""
    parts = {}
    try:
        with zipfile.ZipFile(path) as archive:
            must(len(archive.infolist()) <= PARTS_MAX, "too many files in the bundle")
            for entry in archive.infolist():
                must(entry.filename not in parts, f"{entry.filename} is there twice")
                with archive.open(entry) as part:
                    parts[entry.filename] = part.read(PART_BYTES_MAX + 1)
                must(len(parts[entry.filename]) <= PART_BYTES_MAX, f"{entry.filename} is too large")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise False_("the zip is damaged") from None
    names = [re.fullmatch(r"(\d{20})-电子发票\.xml", name) for name in parts]
    numbers = [name[1] for name in names if name]
    must(len(numbers) == 1, "there is not just one XML in the bundle")
    known = {f"{numbers[0]}-电子发票.{kind}" for kind in ("xml", "pdf", "ofd")}
    known |= {"proof.json", "checkpoint.txt", "root.pem", "README.txt"}
    must(set(parts) <= known and "proof.json" in parts, f"not a bundle: {sorted(set(parts) - known) or 'no proof.json'}")
    return parts, numbers[0]


HEAD = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<EInvoice>'
OPEN = (
    b'<TaxBureauSignature><Reference URI="/Einvoice/Header|/Einvoice/EinvoiceData|/Einvoice/SellerAuthentication|'
    b'/Einvoice/TaxSupervisionInfo|/Einvoice/TaxBureauSignature/SignatureTime"></Reference>'
    b"<SignatureAlgorithm>1.2.156.10197.1.501</SignatureAlgorithm><SignatureFormat>DETACH</SignatureFormat>"
)
CLOSE = b"</TaxBureauSignature></EInvoice>\n"
TAIL = re.compile(
    rb"(<SignatureTime>([^<]{19})</SignatureTime>)<SignatureValue>([A-Za-z0-9+/=]{1,200})</SignatureValue>"
    rb"<KeyInfo><X509Data>((?:<X509Certificate>[A-Za-z0-9+/=]{1,8000}</X509Certificate>){1,5})</X509Data></KeyInfo>"
)


def check_signature(xml, number):
    """Step 2. What is signed is everything between the head and the signature, and the time of signing. The rest of
    the file must be letter for letter as written here, so nothing can hide beside the signed parts."""
    must(xml.startswith(HEAD) and xml.endswith(CLOSE) and xml.count(OPEN) == 1, "the XML is not in its one form")
    body, _, rest = xml[len(HEAD) : -len(CLOSE)].partition(OPEN)
    tail = TAIL.fullmatch(rest)
    must(tail, "the XML is not in its one form")
    must(f"<EIid>{number}</EIid>".encode() in body, "the XML is of another number")
    chain = [base64.b64decode(text) for text in re.findall(rb"<X509Certificate>([^<]+)<", tail[4])]
    signer = certificate(chain[0])
    must(sm2_holds(signer["key"], base64.b64decode(tail[3]), body + tail[1]), "the signature does not hold")
    try:
        moment = datetime.strptime(tail[2].decode(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone(timedelta(hours=8)))
    except ValueError:
        raise False_("the time of signing is none") from None
    return chain, moment


def check_chain(chain, root, moment):
    """Step 3. Each certificate is signed by the next, the last by the root; all were valid when the invoice was signed."""
    links = [certificate(der) for der in chain]
    must(links[0]["may_sign"], "the signer's certificate is not for signing")
    if chain[-1] != root:
        links.append(certificate(root))
    for below, above in zip(links, links[1:]):
        must(below["issuer"] == above["subject"], "the certificates do not lead to this root")
        must(above["may_certify"], "a certificate was issued by one that may not issue")
        must(sm2_holds(above["key"], below["signature"], below["tbs"]), "the signature of a certificate does not hold")
    for link in links:
        must(link["valid"][0] <= moment <= link["valid"][1], "a certificate was not valid at the time of signing")


def check_checkpoint(note, key_line):
    """Step 4, first half. The log signed its name, its length and its hash; the key's line is NAME+ID+KEY."""
    name, identity, key = key_line.strip().split("+", 2)
    raw = base64.b64decode(key)
    key_id = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    must(len(raw) == 33 and raw[0] == 1 and key_id.hex() == identity, "the key of the log cannot be read")
    text, _, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    must(len(lines) >= 3 and lines[0] == name, "the checkpoint is of another log")
    must(re.fullmatch(r"0|[1-9][0-9]{0,17}", lines[1]), "the checkpoint is damaged")
    for line in signatures.splitlines():
        if line.startswith(f"— {name} "):
            signature = base64.b64decode(line.rpartition(" ")[2])
            if signature[:4] == key_id and ed25519_holds(raw[1:], signature[4:], f"{text}\n".encode()):
                return int(lines[1]), base64.b64decode(lines[2])
    raise False_("the signature of the checkpoint does not hold")


def check_inclusion(xml, proof, size, root):
    """Step 4, second half. Hashing upwards from the invoice, with the neighbours that the proof gives, must arrive at
    the hash that the log signed (RFC 6962). The salt keeps others from guessing invoices from the public log."""
    salt = base64.b64decode(proof["salt"])
    must(len(salt) == 32, "the salt is damaged")
    commitment = hashlib.sha256(salt + hashlib.sha256(xml).digest()).digest()
    result = hashlib.sha256(b"\0" + commitment).digest()
    place, last = proof["leaf"], size - 1
    must(0 <= place <= last, "the proof is for another place")
    for text in proof["hashes"]:
        must(last > 0, "the proof is too long")
        neighbour = base64.b64decode(text)
        if place & 1 or place == last:
            result = hashlib.sha256(b"\1" + neighbour + result).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\1" + result + neighbour).digest()
        place, last = place >> 1, last >> 1
    must(last == 0 and result == root, "the invoice is not in the log under this checkpoint")


def check_pdf(pdf, xml):
    """Step 5. One of the files inside the PDF is this XML."""
    for found in re.finditer(rb"/EmbeddedFile\b.{0,1024}?stream\r?\n", pdf, re.DOTALL):
        start = found.end()
        try:
            inside = zlib.decompressobj().decompress(pdf[start:], PART_BYTES_MAX)
        except zlib.error:
            inside = pdf[start : start + len(xml)]
        if inside == xml:
            return
    raise False_("the PDF does not carry this XML")


def check_ofd(ofd, xml):
    """Step 5 for an OFD: it is a zip, and one of the files in it must be the XML byte for byte."""
    try:
        with zipfile.ZipFile(io.BytesIO(ofd)) as archive:
            for entry in archive.infolist()[:OFD_PARTS_MAX]:
                with archive.open(entry) as part:
                    if part.read(len(xml) + 1) == xml:
                        return
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise False_("the OFD is damaged") from None
    raise False_("the OFD does not carry this XML")


def verify(path, root, log_key):
    """All steps. Yields (step, verdict, explanation) as they are done; stops at the first that is false."""
    parts, number = open_bundle(path)
    yield "bundle", "holds", f"invoice {number}, {len(parts)} files"
    xml = parts[f"{number}-电子发票.xml"]
    chain, moment = check_signature(xml, number)
    yield "signature", "holds", f"SM2 over the XML, signed {moment:%Y-%m-%d %H:%M:%S} Beijing time"
    own = root or pem(parts.get("root.pem", b""))
    check_chain(chain, own, moment)
    fingerprint = hashlib.sha256(own).hexdigest()
    yield "certificates", "holds" if root else "confirm", f"up to the root {fingerprint}" + (
        "" if root else ": compare this with what the issuer publishes, or give --root"
    )
    try:
        proof = json.loads(parts["proof.json"])
        must(proof["form"] == "piaoma-proof-1" and proof["number"] == number, "the proof is of another invoice")
        must(proof["digest"] == hashlib.sha256(xml).hexdigest(), "the proof is of another XML")
        if proof["pending"]:
            yield "log", "confirm", "not in the log yet when this was downloaded: download the bundle again"
        else:
            size, tree = check_checkpoint(parts["checkpoint.txt"].decode(), log_key or proof["log_key"])
            yield "checkpoint", "holds" if log_key else "confirm", f"{size} invoices, signed by the log" + (
                "" if log_key else f" {proof['log_key']}: compare this with what is published, or give --log-key"
            )
            check_inclusion(xml, proof, size, tree)
            yield "log", "holds", f"the invoice is leaf {proof['leaf']} of {size}"
    except (KeyError, TypeError, ValueError, AttributeError):
        raise False_("the proof or the checkpoint is damaged") from None
    pdf = parts.get(f"{number}-电子发票.pdf")
    if pdf is not None:
        check_pdf(pdf, xml)
        yield "pdf", "holds", "carries this XML; what its page shows is not judged here"
    ofd = parts.get(f"{number}-电子发票.ofd")
    if ofd is not None:
        check_ofd(ofd, xml)
        yield "ofd", "holds", "carries this XML; what its page shows, and its seal, are not judged here"


def pem(data):
    """The bytes of the first certificate in a PEM file."""
    found = re.search(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END", data)
    must(found, "the root certificate cannot be read")
    return base64.b64decode(found[1])


def main():
    parser = argparse.ArgumentParser(description="Check the bundle of an electronic invoice, offline.")
    parser.add_argument("bundle", help="NUMBER-电子发票.zip")
    parser.add_argument("--root", help="the root certificate that you trust, PEM")
    parser.add_argument("--log-key", help="the key of the log that you trust: its line, or a file with it")
    asked = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8")
    verdicts = []
    try:
        root = log_key = None
        if asked.root:
            with open(asked.root, "rb") as file:
                root = pem(file.read())
        if asked.log_key and asked.log_key.count("+") < 2:
            with open(asked.log_key, encoding="utf-8") as file:
                log_key = file.read()
        for step, verdict, told in verify(asked.bundle, root, log_key or asked.log_key):
            verdicts.append(verdict)
            print(f"{step:13} {verdict:9} {told}")
    except False_ as fault:
        print(f"{'REFUSED':13} {'FALSE':9} {fault}")
        return 1
    except (ValueError, IndexError, TypeError) as error:  # garbage where a number or base64 should be
        print(f"{'REFUSED':13} {'FALSE':9} damaged: {error}")
        return 1
    except OSError as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    if "confirm" in verdicts:
        print("NOTHING IS FALSE; what says confirm is left to you.")
        return 2
    print("EVERYTHING HOLDS.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

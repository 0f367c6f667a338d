#!/usr/bin/env python3
"""Makes licenses.json: licenses and revocation lists, good and bad, by an implementation that shares nothing with
aegis-core. Signatures are by the package `cryptography`, which calls OpenSSL.

    python3 core/tests/vectors/make.py > core/tests/vectors/licenses.json

The private keys are made anew and thrown away, so that every run gives other bytes.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

EDITIONS = ["freemium", "basic", "workplace", "gamer", "ai-dev", "gamer-ai", "server"]
KINDS = ["lifetime", "annual", "trial", "free-period"]
COMPONENTS = ["system-uuid", "board-serial", "system-serial", "disk", "network-card", "installation"]
LICENSE = (b"aegis-os license-doc v1\0", "AEGIS LICENSE")
REVOCATIONS = (b"aegis-os revocations v1\0", "AEGIS REVOCATIONS")
END_OF_TIME = 253402300799


def varint(value, size=0):
    """LEB128; `size` makes it overlong."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        more = value or len(out) + 1 < size
        out.append(low | (0x80 if more else 0))
        if not more:
            return bytes(out)


def zigzag(value):
    return varint(((value << 1) ^ (value >> 63)) & 0xFFFFFFFFFFFFFFFF)


def option(value, encode):
    return b"\0" if value is None else b"\1" + encode(value)


def binding(value):
    parts = [varint(COMPONENTS.index(name)) + bytes.fromhex(digest) for name, digest in value["components"]]
    return bytes.fromhex(value["salt"]) + varint(len(parts)) + b"".join(parts)


def override(value):
    name = value["name"].encode()
    kind, content = next(iter(value["setting"].items()))
    setting = b"\0" + bytes([content]) if kind == "flag" else b"\1" + zigzag(content)
    return varint(len(name)) + name + setting


def claims_bytes(c, serial_size=0):
    return b"".join([
        varint(c["serial"], serial_size),
        bytes.fromhex(c["key"]),
        varint(EDITIONS.index(c["edition"])),
        varint(KINDS.index(c["kind"])),
        varint(c["seats"]),
        zigzag(c["issued"]),
        zigzag(c["not_before"]),
        option(c["expires"], zigzag),
        varint(c["grace_days"]),
        option(c["binding"], binding),
        varint(len(c["overrides"])),
        b"".join(override(o) for o in c["overrides"]),
    ])


def list_bytes(number, issued, serials, number_size=0):
    content = b"".join(serial.to_bytes(8, "little") for serial in serials)
    return varint(number, number_size) + zigzag(issued) + varint(len(content)) + content


class Key:
    def __init__(self, bits=2048, role="license", exponent=65537, development=True, valid=(0, END_OF_TIME)):
        self.private = rsa.generate_private_key(exponent, bits)
        public = self.private.public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
        self.bits, self.id = bits, hashlib.sha256(der).digest()[:8]
        self.json = {"id": self.id.hex(), "role": role, "development": development, "not_before": valid[0],
                     "not_after": valid[1], "rsa": der.hex()}

    def sign(self, message):
        return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())


def body(form, key, payload, version=1, key_id=None, signature=None, length=None):
    size = (len(payload) if length is None else length).to_bytes(4, "little")
    head = bytes([version]) + (key_id or key.id) + size + payload
    sign = signature or key.sign
    return head + sign(form[0] + head)


def armour(form, content):
    text = base64.b64encode(content).decode()
    lines = [text[at:at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {form[1]}-----", *lines, f"-----END {form[1]}-----", ""])


def cube_root(number):
    low, high = 0, 1 << (number.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle ** 3 < number else (low, middle)
    return low


def forged_by_cube_root(message):
    """Bleichenbacher's forgery of 2006: right digest, rubbish behind it, exponent 3."""
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
    block = b"\0\1" + b"\xff" * 8 + b"\0" + info
    wanted = int.from_bytes(block + b"\0" * (256 - len(block)), "big")
    return cube_root(wanted).to_bytes(256, "big")


def main():
    start = 1_700_000_000
    small, medium, large = Key(2048), Key(3072, development=False), Key(4096)
    cubic, other, release = Key(exponent=3), Key(), Key(role="release")
    ended, later = Key(valid=(0, start)), Key(valid=(start + 1, END_OF_TIME))
    base = {"serial": 7, "key": "03" * 16, "edition": "gamer", "kind": "annual", "seats": 2, "issued": start,
            "not_before": start, "expires": start + 31_536_000, "grace_days": 30, "binding": None, "overrides": []}
    parts = [[name, hashlib.sha256(name.encode()).hexdigest()[:16]] for name in COMPONENTS]
    good, bad, lists = [], [], []

    def accept(name, key=small, **changes):
        claims = {**base, **changes}
        text = armour(LICENSE, body(LICENSE, key, claims_bytes(claims)))
        good.append({"name": name, "key": key.id.hex(), "armour": text, "claims": claims})

    def refuse(name, error, key=small, payload=None, form=LICENSE, **changes):
        payload = claims_bytes({**base, **changes}) if payload is None else payload
        bad.append({"name": name, "error": error, "armour": armour(LICENSE, body(form, key, payload))})

    def refuse_body(name, error, content):
        bad.append({"name": name, "error": error, "armour": armour(LICENSE, content)})

    accept("annual")
    accept("lifetime", kind="lifetime", expires=None)
    accept("trial", kind="trial", grace_days=0, expires=start + 1_209_600)
    accept("free period", kind="free-period", grace_days=0, edition="basic")
    accept("3072 bits", key=medium)
    accept("4096 bits", key=large)
    accept("exponent 3", key=cubic)
    accept("around 2038", expires=2_147_483_648, issued=2_147_483_647, not_before=2_147_483_647)
    accept("until the end of 9999", expires=END_OF_TIME)
    accept("one second", expires=start + 1, grace_days=0)
    for edition in EDITIONS:
        accept(f"edition {edition}", edition=edition)
    for count in (4, 5, 6):
        accept(f"bound to {count} parts", binding={"salt": "0102030405060708", "components": parts[:count]})
    sixteen = [{"name": f"{chr(97 + n)}" * 32, "setting": {"limit": 2**63 - 1}} for n in range(16)]
    accept("overrides", overrides=[{"name": "beta_channel", "setting": {"flag": True}},
                                   {"name": "license_machines", "setting": {"limit": -1}},
                                   {"name": "wine", "setting": {"flag": False}}])
    accept("everything", key=large, serial=2**64 - 1, seats=2**32 - 1, grace_days=65535, overrides=sixteen,
           binding={"salt": "ff" * 8, "components": parts})

    refuse("no seats", "claims: NoSeats", seats=0)
    refuse("issued before 1970", "claims: TimeRange(UnixTime(-1))", issued=-1)
    refuse("after 9999", f"claims: TimeRange(UnixTime({END_OF_TIME + 1}))", expires=END_OF_TIME + 1)
    refuse("ends as it begins", "claims: Inverted", expires=start)
    refuse("begins before it was issued", "claims: Inverted", not_before=start - 1)
    refuse("lifetime with an end", "claims: Expiry(Lifetime)", kind="lifetime")
    refuse("annual without an end", "claims: Expiry(Annual)", expires=None)
    refuse("trial with grace", "claims: TrialGrace", kind="trial")
    refuse("bound to three parts", "claims: Binding", binding={"salt": "00" * 8, "components": parts[:3]})
    refuse("bound to one part twice", "claims: Binding",
           binding={"salt": "00" * 8, "components": [parts[0], *parts[:3]]})
    refuse("override twice", "claims: OverrideOrder", overrides=sixteen[:1] * 2)
    refuse("override in capitals", "claims: OverrideName",
           overrides=[{"name": "Wine", "setting": {"flag": True}}])
    refuse("limit below -1", "claims: OverrideLimit(-2)", overrides=[{"name": "a", "setting": {"limit": -2}}])
    refuse("seventeen overrides", "claims: Malformed",
           overrides=[*sixteen, {"name": "z", "setting": {"flag": True}}])
    refuse("bytes after the claims", "claims: TrailingBytes", payload=claims_bytes(base) + b"\0")
    refuse("no claims", "claims: Malformed", payload=b"")
    refuse("cut claims", "claims: Malformed", payload=claims_bytes(base)[:-1])
    refuse("overlong serial", "claims: NotCanonical", payload=claims_bytes(base, serial_size=2))
    refuse("more than fits", "armour: TooLong", payload=b"\0" * 4096)

    refuse("signed as a revocation list", f"signature: Mismatch({small.id.hex()})", form=REVOCATIONS)
    refuse("signed without a domain", f"signature: Mismatch({small.id.hex()})", form=(b"", LICENSE[1]))
    refuse("unknown key", f"signature: UnknownKey({other.id.hex()})", key=other)
    refuse("key of another role", f"signature: WrongRole({release.id.hex()})", key=release)
    refuse("after its key ended", f"signature: KeyExpired({ended.id.hex()})", key=ended)
    refuse("before its key began", f"signature: KeyExpired({later.id.hex()})", key=later)
    payload = claims_bytes(base)
    mismatch = f"signature: Mismatch({small.id.hex()})"
    refuse_body("signed by another key", mismatch, body(LICENSE, other, payload, key_id=small.id))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    for name, scheme, digest in [("PSS", pss, hashes.SHA256()), ("SHA-1", padding.PKCS1v15(), hashes.SHA1()),
                                 ("SHA-512", padding.PKCS1v15(), hashes.SHA512())]:
        content = body(LICENSE, small, payload, signature=lambda m: small.private.sign(m, scheme, digest))
        refuse_body(f"signed with {name}", mismatch, content)
    for name, signature in [("zeros", b"\0" * 256), ("ones", b"\xff" * 256), ("one", b"\0" * 255 + b"\1")]:
        refuse_body(f"signature of {name}", mismatch, body(LICENSE, small, payload, signature=lambda _: signature))
    refuse_body("forged by a cube root", f"signature: Mismatch({cubic.id.hex()})",
                body(LICENSE, cubic, payload, signature=forged_by_cube_root))
    refuse_body("signature too short", "body", body(LICENSE, small, payload, signature=lambda m: small.sign(m)[1:]))
    refuse_body("signature too long", "body",
                body(LICENSE, small, payload, signature=lambda m: small.sign(m) + b"\0"))
    refuse_body("1024 bits", "body",
                body(LICENSE, small, payload, signature=lambda m: small.sign(m)[:128]))
    refuse_body("version 0", "version: 0", body(LICENSE, small, payload, version=0))
    refuse_body("version 2", "version: 2", body(LICENSE, small, payload, version=2))
    refuse_body("length beyond the end", "body", body(LICENSE, small, payload, length=2**32 - 1))
    refuse_body("length too small", "body", body(LICENSE, small, payload, length=len(payload) - 1))
    refuse_body("one byte", "body", b"\1")

    def listed(name, error, content, number=0, serials=(), text=None):
        text = text or armour(REVOCATIONS, content)
        lists.append({"name": name, "error": error, "armour": text, "number": number, "serials": list(serials)})

    for name, number, serials in [("empty", 1, []), ("three", 7, [1, 7, 2**64 - 1]), ("many", 2**64 - 1, range(1, 400, 3))]:
        listed(name, None, body(REVOCATIONS, small, list_bytes(number, start, serials)), number, serials)
    listed("not in order", "list: Order", body(REVOCATIONS, small, list_bytes(1, start, [7, 1])))
    listed("one twice", "list: Order", body(REVOCATIONS, small, list_bytes(1, start, [7, 7])))
    listed("half a serial", "list: Malformed",
           body(REVOCATIONS, small, varint(1) + zigzag(start) + varint(7) + b"\0" * 7))
    listed("trailing byte", "list: Malformed", body(REVOCATIONS, small, list_bytes(1, start, [1]) + b"\0"))
    listed("overlong number", "list: NotCanonical", body(REVOCATIONS, small, list_bytes(1, start, [1], number_size=2)))
    listed("before 1970", "list: TimeRange(UnixTime(-1))", body(REVOCATIONS, small, list_bytes(1, -1, [1])))
    listed("signed as a license", mismatch,
           body((LICENSE[0], REVOCATIONS[1]), small, list_bytes(1, start, [1])))
    listed("a license", "armour: OtherType", None, text=good[0]["armour"])

    ring = [key.json for key in (small, medium, large, cubic, release, ended, later)]
    json.dump({"keys": ring, "good": good, "bad": bad, "lists": lists}, sys.stdout, indent=1)
    print()


main()

#!/usr/bin/env python3
"""Makes webauthn.json: answers of browsers and authenticators, good and bad, by an implementation that shares nothing with
aegis-server. Signatures are by the package `cryptography`, which calls OpenSSL.

    python3 server/tests/vectors/webauthn.py > server/tests/vectors/webauthn.json

The private keys are made anew and thrown away, so that every run gives other bytes.
"""

import base64
import hashlib
import json
import os
import struct
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

ORIGIN = "https://login.example.org:8443"
RP_ID = "login.example.org"
UP, UV, BE, BS, AT, ED = 1, 4, 8, 16, 64, 128


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | code]) + n.to_bytes(size, "big")


def cbor(value):
    """The CTAP2 canonical form; the pairs of a map are ordered by the caller."""
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def wide(number, size=None):
    return number.to_bytes(size or (number.bit_length() + 7) // 8, "big")


class Es256:
    alg = -7

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())

    def cose(self):
        point = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: wide(point.x, 32), -3: wide(point.y, 32)}

    def sign(self, message):
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


class EdDsa:
    alg = -8

    def __init__(self):
        self.key = ed25519.Ed25519PrivateKey.generate()

    def cose(self):
        raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes(*raw)}

    def sign(self, message):
        return self.key.sign(message)


class Rs256:
    alg = -257

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def cose(self):
        numbers = self.key.public_key().public_numbers()
        return {1: 3, 3: -257, -1: wide(numbers.n), -2: wide(numbers.e)}

    def sign(self, message):
        return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def client(kind, challenge, /, **changes):
    data = {"type": kind, "challenge": b64(challenge), "origin": ORIGIN, "crossOrigin": False}
    data.update(changes)
    data = {name: value for name, value in data.items() if value is not None}
    return json.dumps(data, separators=(",", ":")).encode()


def auth_data(flags, counter, attested=b"", extensions=b"", rp_id=RP_ID):
    return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + struct.pack(">I", counter) + attested + extensions


def attested(cred_id, key):
    return bytes(16) + struct.pack(">H", len(cred_id)) + cred_id + key


def attestation(data, fmt="none", statement=None):
    return cbor({"fmt": fmt, "attStmt": statement or {}, "authData": data})


def registrations():
    challenge, cred_id = os.urandom(32), os.urandom(32)
    es, data = Es256(), client("webauthn.create", challenge)
    key = cbor(es.cose())
    full = UP | UV | AT

    def one(name, expected, client_data, obj, key=key, cred_id=cred_id):
        return {"name": name, "expected": expected, "challenge": b64(challenge), "client_data": client_data.hex(),
                "object": obj.hex(), "id": cred_id.hex(), "public_key": key.hex()}

    def made(name, expected, flags=full, key=key, cred_id=cred_id, client_data=data, extensions=b"", rp_id=RP_ID,
             counter=0, tail=b"", **att):
        auth = auth_data(flags, counter, attested(cred_id, key), extensions, rp_id) + tail
        return one(name, expected, client_data, attestation(auth, **att), key, cred_id)

    for signer in (Es256(), EdDsa(), Rs256()):
        yield made(f"{type(signer).__name__}", "ok", key=cbor(signer.cose()))
        own = cbor(signer.cose())
        auth = auth_data(full, 7, attested(cred_id, own))
        signed = signer.sign(auth + hashlib.sha256(data).digest())
        statement = {"alg": signer.alg, "sig": signed}
        yield one(f"{type(signer).__name__}, self attestation", "ok", data, attestation(auth, "packed", statement), own)
        other = signer.sign(auth + hashlib.sha256(data + b" ").digest())
        yield one(f"{type(signer).__name__}, self attestation of other client data", "Signature", data,
                  attestation(auth, "packed", {"alg": signer.alg, "sig": other}), own)
        yield one(f"{type(signer).__name__}, self attestation by another algorithm", "Signature", data,
                  attestation(auth, "packed", {"alg": -36, "sig": signed}), own)
    yield made("backed up", "ok", flags=full | BE | BS)
    yield made("may be backed up", "ok", flags=full | BE)
    yield made("id of one byte", "ok", cred_id=b"\1")
    yield made("id of 1023 bytes", "ok", cred_id=os.urandom(1023))
    yield made("with extensions", "ok", flags=full | ED, extensions=cbor({"credProtect": 2}))
    yield made("client data with more members", "ok", client_data=client("webauthn.create", challenge, extraData="x"))
    yield made("client data without crossOrigin", "ok", client_data=client("webauthn.create", challenge, crossOrigin=None))
    yield made("client data with a byte order mark", "ok", client_data=b"\xef\xbb\xbf" + data)
    yield one("parts in another order", "ok", data,
              cbor({"authData": auth_data(full, 0, attested(cred_id, key)), "fmt": "none", "attStmt": {}}))

    yield made("nobody there", "NotPresent", flags=UV | AT)
    yield made("nobody verified", "NotVerified", flags=UP | AT)
    yield made("backed up although it cannot be", "BackupState", flags=full | BS)
    yield made("of another site", "RelyingParty", rp_id="example.org")
    for name, expected, changes in (
        ("of a use", "Ceremony", {"type": "webauthn.get"}),
        ("of another ceremony", "Ceremony", {"type": "payment.get"}),
        ("of another host", "Origin", {"origin": "https://login.example.org.evil.example:8443"}),
        ("of another port", "Origin", {"origin": "https://login.example.org"}),
        ("of another scheme", "Origin", {"origin": "http://login.example.org:8443"}),
        ("of a host below", "Origin", {"origin": "https://a.login.example.org:8443"}),
        ("of an embedded page", "CrossOrigin", {"crossOrigin": True}),
        ("with an outer page", "CrossOrigin", {"topOrigin": "https://evil.example"}),
        ("without a type", "ClientData", {"type": None}),
        ("without a challenge", "ClientData", {"challenge": None}),
        ("without an origin", "ClientData", {"origin": None}),
        ("whose challenge is a number", "ClientData", {"challenge": 1}),
    ):
        yield made(f"client data {name}", expected, client_data=client("webauthn.create", challenge, **changes))
    twice = data[:-1] + b',"origin":"https://evil.example"}'
    yield made("client data with two origins", "ClientData", client_data=twice)
    yield made("client data as a list", "ClientData", client_data=b'["webauthn.create"]')
    yield made("client data that is not UTF-8", "ClientData", client_data=data.replace(b"create", b"cr\xffate"))
    yield made("client data with a tail", "ClientData", client_data=data + b"{}")

    yield made("id of 1024 bytes", "Malformed", cred_id=os.urandom(1024))
    yield made("id of no byte", "Malformed", cred_id=b"")
    yield made("a tail behind the data", "Malformed", tail=b"\0")
    yield made("extensions that are not announced", "Malformed", extensions=cbor({"credProtect": 2}))
    yield made("extensions that are announced and missing", "Malformed", flags=full | ED)
    yield made("extensions that are no map", "Malformed", flags=full | ED, extensions=cbor([1]))
    yield made("an unknown format", "Malformed", fmt="fido-u2f")
    yield made("none with a statement", "Malformed", statement={"alg": -7})
    yield made("a manufacturer's statement", "Malformed", fmt="packed", statement={"alg": -7, "sig": b"1", "x5c": [b"2"]})
    yield one("without a credential", "Malformed", data, attestation(auth_data(UP | UV, 0)))
    yield one("an object with a tail", "Malformed", data, attestation(auth_data(full, 0, attested(cred_id, key))) + b"\0")
    yield one("an object with two formats", "Malformed", data,
              b"\xa3" + cbor("fmt") + cbor("none") + cbor("fmt") + cbor("none") + cbor("authData")
              + cbor(auth_data(full, 0, attested(cred_id, key))))
    cose = es.cose()
    for name, changed in (
        ("of ES384", {**cose, 3: -35}),
        ("of another curve", {**cose, -1: 2}),
        ("of another kind", {**cose, 1: 1}),
        ("with a short x", {**cose, -2: cose[-2][:31]}),
        ("with a compressed y", {**cose, -3: 1}),
        ("with one parameter more", {**cose, -4: b"private"}),
        ("without y", {k: v for k, v in cose.items() if k != -3}),
        ("in another order", {3: -7, 1: 2, -1: 1, -2: cose[-2], -3: cose[-3]}),
        ("of RSA with 1024 bits", {1: 3, 3: -257, -1: b"\xff" * 128, -2: b"\1\0\1"}),
        ("of RSA with PSS", {1: 3, 3: -37, -1: b"\xff" * 256, -2: b"\1\0\1"}),
    ):
        yield made(f"a key {name}", "Malformed", key=cbor(changed))


def assertions():
    challenge = os.urandom(32)
    data = client("webauthn.get", challenge)

    def one(name, expected, signer, flags=UP | UV, counter=5, before=4, eligible=False, client_data=data, rp_id=RP_ID,
            extensions=b"", signature=None, key=None, signed_data=None):
        auth = auth_data(flags, counter, extensions=extensions, rp_id=rp_id)
        signature = signature or signer.sign((signed_data or auth) + hashlib.sha256(client_data).digest())
        return {"name": name, "expected": expected, "challenge": b64(challenge), "client_data": client_data.hex(),
                "data": auth.hex(), "signature": signature.hex(), "public_key": (key or cbor(signer.cose())).hex(),
                "counter": before, "eligible": eligible}

    for signer in (Es256(), EdDsa(), Rs256()):
        kind = type(signer).__name__
        yield one(kind, "ok", signer)
        yield one(f"{kind}, another's key", "Signature", signer, key=cbor(type(signer)().cose()))
        yield one(f"{kind}, other data signed", "Signature", signer, signed_data=auth_data(UP | UV, 6))
        broken = bytearray(signer.sign(auth_data(UP | UV, 5) + hashlib.sha256(data).digest()))
        broken[-1] ^= 1
        yield one(f"{kind}, a changed signature", "Signature", signer, signature=bytes(broken))
        yield one(f"{kind}, a signature of one byte", "Signature", signer, signature=b"\0")
    es = Es256()
    off_curve = cbor({**es.cose(), -3: bytes(31) + b"\1"})
    yield one("a point off the curve", "Signature", es, key=off_curve)
    yield one("does not count", "ok", es, counter=0, before=0)
    yield one("counts from now on", "ok", es, counter=1, before=0)
    yield one("at the end of counting", "ok", es, counter=2**32 - 1, before=2**32 - 2)
    yield one("counted the same", "Counter", es, counter=4)
    yield one("counted back", "Counter", es, counter=3)
    yield one("counts no more", "Counter", es, counter=0)
    yield one("counted back by another's key", "Signature", es, counter=3, key=cbor(Es256().cose()))
    yield one("backed up", "ok", es, flags=UP | UV | BE | BS, eligible=True)
    yield one("not backed up yet", "ok", es, flags=UP | UV | BE, eligible=True)
    yield one("may be backed up, which it could not", "BackupState", es, flags=UP | UV | BE)
    yield one("may not be backed up, which it could", "BackupState", es, eligible=True)
    yield one("backed up although it cannot be", "BackupState", es, flags=UP | UV | BS)
    yield one("nobody there", "NotPresent", es, flags=UV)
    yield one("nobody verified", "NotVerified", es, flags=UP)
    yield one("of another site", "RelyingParty", es, rp_id="evil.example")
    yield one("with extensions", "ok", es, flags=UP | UV | ED, extensions=cbor({"x": [1, {"y": b"z"}]}))
    yield one("with extensions too deep", "Malformed", es, flags=UP | UV | ED, extensions=cbor({"x": [[[[1]]]]}))
    yield one("a credential that is announced and missing", "Malformed", es, flags=UP | UV | AT)
    yield one("of the making of a key", "Ceremony", es, client_data=client("webauthn.create", challenge))
    yield one("of another origin", "Origin", es, client_data=client("webauthn.get", challenge, origin="https://evil.example"))
    yield one("of an embedded page", "CrossOrigin", es, client_data=client("webauthn.get", challenge, crossOrigin=True))


json.dump({"origin": ORIGIN, "registrations": list(registrations()), "assertions": list(assertions())}, sys.stdout,
          indent=1)
print()

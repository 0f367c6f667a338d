#!/usr/bin/env python3
"""verify_license.py PUBLIC.pem LICENSE: verifies a license with the package `cryptography` and prints its claims as
JSON. It shares nothing with Aegis OS."""

import base64
import json
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

EDITIONS = ["freemium", "basic", "workplace", "gamer", "ai-dev", "gamer-ai", "server"]
KINDS = ["lifetime", "annual", "trial", "free-period"]
COMPONENTS = ["system-uuid", "board-serial", "system-serial", "disk", "network-card", "installation"]


class Reader:
    def __init__(self, content):
        self.content, self.at = content, 0

    def take(self, count):
        part = self.content[self.at:self.at + count]
        if len(part) != count:
            sys.exit("the claims are too short")
        self.at += count
        return part

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def option(self, read):
        return read() if self.take(1)[0] else None


def claims(reader):
    def binding():
        salt = reader.take(8).hex()
        parts = [[COMPONENTS[reader.varint()], reader.take(8).hex()] for _ in range(reader.varint())]
        return {"salt": salt, "components": parts}

    def override():
        name = reader.take(reader.varint()).decode()
        setting = {"limit": reader.zigzag()} if reader.varint() else {"flag": bool(reader.take(1)[0])}
        return {"name": name, "setting": setting}

    return {
        "serial": reader.varint(),
        "key": reader.take(16).hex(),
        "edition": EDITIONS[reader.varint()],
        "kind": KINDS[reader.varint()],
        "seats": reader.varint(),
        "issued": reader.zigzag(),
        "not_before": reader.zigzag(),
        "expires": reader.option(reader.zigzag),
        "grace_days": reader.varint(),
        "binding": reader.option(binding),
        "overrides": [override() for _ in range(reader.varint())],
    }


def main(pem, license_file):
    with open(pem, "rb") as file:
        key = serialization.load_pem_public_key(file.read())
    with open(license_file, encoding="ascii") as file:
        lines = file.read().splitlines()
    if (lines[0], lines[-1]) != ("-----BEGIN AEGIS LICENSE-----", "-----END AEGIS LICENSE-----"):
        sys.exit("this is no license")
    body = base64.b64decode("".join(lines[1:-1]), validate=True)
    split = len(body) - key.key_size // 8
    message = b"aegis-os license-doc v1\0" + body[:split]
    key.verify(body[split:], message, padding.PKCS1v15(), hashes.SHA256())
    reader = Reader(body[13:split])
    if body[0] != 1 or int.from_bytes(body[9:13], "little") != len(reader.content):
        sys.exit("the header is wrong")
    json.dump(claims(reader), sys.stdout)


main(*sys.argv[1:])

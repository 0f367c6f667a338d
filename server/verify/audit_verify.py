#!/usr/bin/env python3
"""Verifies an exported audit log of Aegis OS, independently of the server.

Written from RFC 6962 section 2.1 (Merkle tree), c2sp.org/signed-note and c2sp.org/tlog-checkpoint; it shares no code
with the server. Needs Python 3.9 and `cryptography`, for Ed25519 alone.

A log is JSON lines. `{"entry": TEXT, "leaf": BASE64, "position": N}` is an entry: TEXT is canonical JSON, and what is
hashed; "leaf" is the hash that the database stores beside it. `{"checkpoint": NOTE}` is a signed checkpoint.

Prints one line, a word and numbers, and ends with 0 when the log is good, 3 when it is not, 2 when it was called wrongly:

  good SIZE              every entry is in a signed checkpoint, and every checkpoint fits
  malformed LINE         a line of the file cannot be read
  not-signed SIZE        a checkpoint is not signed by the key; `?` when it is no checkpoint
  forked WITHIN          two signed histories differ within the first WITHIN entries
  deleted AT             an entry is missing
  inserted AT            an entry is there twice, or was never appended
  reordered AT FOUND     the entry that belongs at AT is at FOUND
  changed FIRST LAST     an entry is another; the same number twice, unless several were appended together
  uncovered AT           entries follow that no checkpoint has
  rolled-back FROM TO    the log ends before a checkpoint that was kept elsewhere
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MAX_LINE = 64 * 1024


class Finding(Exception):
    """Ends the examination."""


def decode(text, length=None):
    """Strict base64, or None."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return None
    canonical = base64.b64encode(data).decode() == text
    return data if canonical and length in (None, len(data)) else None


# --- RFC 6962, 2.1 ------------------------------------------------------------------------------------------------


def leaf_hash(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def tree_hash(stack):
    """The root, from a stack of (height, hash) of complete subtrees, the highest first."""
    if not stack:
        return hashlib.sha256(b"").digest()
    root = stack[-1][1]
    for _, left in reversed(stack[:-1]):
        root = hashlib.sha256(b"\x01" + left + root).digest()
    return root


def pushed(stack, leaf):
    """The stack with one more leaf."""
    stack = stack + [(0, leaf)]
    while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
        (height, left), (_, right) = stack[-2:]
        stack = stack[:-2] + [(height + 1, hashlib.sha256(b"\x01" + left + right).digest())]
    return stack


# --- c2sp.org/signed-note and tlog-checkpoint -----------------------------------------------------------------------


class Key:
    """A verifier key: NAME+ID+BASE64, where the first byte of the key is its algorithm, 1 for Ed25519."""

    def __init__(self, text):
        parts = text.strip().split("+", 2)
        if len(parts) != 3 or not parts[0] or any(c.isspace() for c in parts[0]):
            raise ValueError("the key is not NAME+ID+BASE64")
        self.name, identifier, encoded = parts
        key = decode(encoded, 33)
        if key is None or key[0] != 1:
            raise ValueError("the key is no Ed25519 key")
        self.id = hashlib.sha256(self.name.encode() + b"\n" + key).digest()[:4]
        if self.id.hex() != identifier:
            raise ValueError("the identifier is not that of the key")
        self.key = Ed25519PublicKey.from_public_bytes(key[1:])

    def open(self, note):
        """The text of a note that this key signed, or None."""
        text, separator, lines = note.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            return None
        text += "\n"
        if any(ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 for c in text):
            return None
        signed = False
        for line in lines[:-1].split("\n"):
            match = re.fullmatch("\u2014 ([^ ]+) ([^ ]+)", line)
            signature = decode(match[2]) if match else None
            if signature is None or len(signature) < 4:
                return None
            if match[1] == self.name and signature[:4] == self.id:
                try:
                    self.key.verify(signature[4:], text.encode())
                except InvalidSignature:
                    return None
                signed = True
        return text if signed else None


def checkpoint(text):
    """Origin, size and root of the text of a note, or None."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[0] or not re.fullmatch("0|[1-9][0-9]*", lines[1], re.ASCII):
        return None
    size, root = int(lines[1]), decode(lines[2], 32)
    return (lines[0], size, root) if root is not None and size < 1 << 64 else None


def open_checkpoints(notes, key):
    found = []
    for note in notes:
        text = key.open(note)
        parsed = checkpoint(text) if text is not None else None
        if parsed is None or parsed[0] != key.name:
            claimed = checkpoint(note)
            raise Finding(f"not-signed {claimed[1] if claimed else '?'}")
        found.append(parsed[1:])
    return sorted(found, key=lambda pair: pair[0])


# --- the log --------------------------------------------------------------------------------------------------------


def unique(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("a name is there twice")
    return dict(pairs)


def read_log(file):
    """Entries as (position, hash, stored hash), and notes."""
    entries, notes = [], []
    number = 0
    while True:
        line = file.readline(MAX_LINE)
        number += 1
        if not line:
            return entries, notes
        try:
            if not line.endswith(b"\n"):
                raise ValueError("the line has no end")
            value = json.loads(line.decode("utf-8"), object_pairs_hook=unique)
            if set(value) == {"checkpoint"} and isinstance(value["checkpoint"], str):
                notes.append(value["checkpoint"])
                continue
            position, stored = value["position"], decode(value["leaf"], 32)
            whole = isinstance(position, int) and not isinstance(position, bool) and 0 <= position < 1 << 64
            if set(value) != {"entry", "leaf", "position"} or stored is None or not whole:
                raise ValueError("not an entry")
            entries.append((position, leaf_hash(value["entry"].encode("utf-8")), stored))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Finding(f"malformed {number}") from None


def check_order(entries):
    for at, (position, _, _) in enumerate(entries):
        if position < at:
            raise Finding(f"inserted {at}")
        if position > at:
            for found, other in enumerate(entries):
                if other[0] == at:
                    raise Finding(f"reordered {at} {found}")
            raise Finding(f"deleted {at}")


def blame(entries, stack, good, size, root, largest):
    """What was done between the last size that fits, whose stack is given, and the first that does not."""
    suspects = range(good, size)
    if not suspects:
        raise Finding(f"forked {size}")
    betrayed = [at for at in suspects if entries[at][1] != entries[at][2]]
    at = betrayed[0] if betrayed else good
    single = size - good == 1
    for found, (_, leaf, _) in enumerate(entries):
        if single and tree_hash(pushed(stack, leaf)) == root:
            raise Finding(f"reordered {at} {found}")
        if not single and betrayed and leaf == entries[at][2]:
            raise Finding(f"reordered {at} {found}")
    if largest > len(entries):
        raise Finding(f"deleted {at}")
    raise Finding(f"changed {at} {at if single or betrayed else size - 1}")


def check_roots(entries, own):
    largest = max((size for size, _ in own), default=0)
    stack, good, good_stack = [], 0, []
    waiting = list(own)
    for size in range(len(entries) + 1):
        while waiting and waiting[0][0] == size:
            _, root = waiting.pop(0)
            if tree_hash(stack) != root:
                blame(entries, good_stack, good, size, root, largest)
            good, good_stack = size, stack
        if size < len(entries):
            stack = pushed(stack, entries[size][1])
    if largest > len(entries):
        raise Finding(f"deleted {len(entries)}")
    if largest < len(entries):
        raise Finding(f"uncovered {largest}")


def check_continuation(entries, earlier):
    stack, size = [], 0
    for wanted, root in earlier:
        if wanted > len(entries):
            raise Finding(f"rolled-back {wanted} {len(entries)}")
        while size < wanted:
            stack = pushed(stack, entries[size][1])
            size += 1
        if tree_hash(stack) != root:
            raise Finding(f"forked {wanted}")


def verify(file, key, earlier_notes):
    """The size of a good log; raises a Finding otherwise."""
    entries, notes = read_log(file)
    own = open_checkpoints(notes, key)
    earlier = open_checkpoints(earlier_notes, key)
    roots = {}
    for size, root in sorted(own + earlier, key=lambda pair: pair[0]):
        if roots.setdefault(size, root) != root:
            raise Finding(f"forked {size}")
    check_order(entries)
    check_roots(entries, own)
    check_continuation(entries, earlier)
    return len(entries)


def main():
    parser = argparse.ArgumentParser(description="Verifies an exported audit log.")
    parser.add_argument("--key", required=True, help="verifier key, NAME+ID+BASE64")
    parser.add_argument("--checkpoint", action="append", default=[], help="file with an earlier signed checkpoint")
    parser.add_argument("log", help="file of `aegis-server audit export`")
    arguments = parser.parse_args()
    try:
        key = Key(arguments.key)
        earlier = []
        for name in arguments.checkpoint:
            with open(name, encoding="utf-8", newline="") as file:
                earlier.append(file.read())
        log = open(arguments.log, "rb")
    except (OSError, ValueError) as error:
        parser.error(str(error))
    with log:
        try:
            print(f"good {verify(log, key, earlier)}")
            return 0
        except Finding as finding:
            print(finding)
            return 3


if __name__ == "__main__":
    sys.exit(main())

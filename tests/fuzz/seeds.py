#!/usr/bin/env python3
"""Writes the first inputs of every fuzz target into tests/fuzz/corpus, from the test vectors of aegis-core
and aegis-server and the recorded machines.

    python3 tests/fuzz/seeds.py

Run it when core/tests/vectors/licenses.json was made anew: documents that the new keys did not sign end early.
"""

import base64
import json
import pathlib
import struct
import uuid
import zlib

HERE = pathlib.Path(__file__).parent
SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LOOK_ALIKES = str.maketrans("OILU", "011V")
ID = "00112233445566778899aabbccddeeff"


def write(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("seed-" + name.replace(" ", "-"))).write_bytes(content)


def documents(target, entries):
    """Each document as text, without its armour, and without its body."""
    for entry in entries:
        text = entry["armour"].encode()
        body = base64.b64decode(b"".join(text.splitlines()[1:-1]))
        payload = body[13:13 + int.from_bytes(body[9:13], "little")]
        # What is refused for its signature differs from good ones in nothing that a mutation could build upon.
        if (entry.get("error") or "").startswith("signature:"):
            continue
        if len(text) < 4000:
            write(target, entry["name"] + ".txt", text)
        write(target, entry["name"] + ".claims", payload[:1000])
    write(target, "body", body)


def answers_of_authenticators():
    """What is read of them: objects and authenticator data of all kinds, and the client data of a few."""
    vectors = json.loads((HERE.parents[1] / "server/tests/vectors/webauthn.json").read_text())
    for entry in vectors["registrations"]:
        name = entry["name"].replace(",", "")
        if "client data" in name:
            write("webauthn", name + ".client", bytes.fromhex(entry["client_data"]))
        elif "1023" not in name and "1024" not in name:
            write("webauthn", name + ".object", bytes.fromhex(entry["object"]))
        if entry["expected"] == "ok" and "attestation" in name:
            write("webauthn", name + ".key", bytes.fromhex(entry["public_key"]))
    for entry in vectors["assertions"]:
        if "signature" not in entry["name"]:
            write("webauthn", entry["name"].replace(",", "") + ".data", bytes.fromhex(entry["data"]))


def check_symbol(symbols):
    """The last symbol of a key: Horner's rule in GF(32) with x^5 + x^2 + 1."""
    total = 0
    for symbol in symbols + [0]:
        total = total << 1 ^ (0b100101 if total & 16 else 0) ^ symbol
    return total


def key(prefix, middle):
    symbols = [SYMBOLS.index(letter) for letter in (prefix.translate(LOOK_ALIKES) + middle)]
    text = prefix + middle + SYMBOLS[check_symbol(symbols)]
    return "-".join(text[at:at + 4] for at in range(0, 16, 4))


def record(*entries):
    """A boot record of (type, first sector, sectors)."""
    table = b"".join(struct.pack("<BxxxBxxxII", 0, *entry) for entry in entries)
    return bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"


def gpt(sector, flags, flaw=b""):
    """Both copies of a table with four entries on the disk of the target, of 256 KiB."""
    last = (256 << 10) // sector - 1
    kind = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le
    used = (struct.pack("<16s16sQQQ", kind, bytes([n]) * 16, 8 * n, 8 * n + 7, n << 60) + "name".encode("utf-16le")
            for n in (1, 2))
    entries = b"".join(entry.ljust(128, b"\0") for entry in used).ljust(512, b"\0")
    around = -(-512 // sector)

    def header(own, other, at):
        fields = (b"EFI PART", 1 << 16, 92, 0, 0, own, other, 2 + around, last - around - 1, bytes([9]) * 16, at, 4, 128,
                  zlib.crc32(entries))
        made = struct.pack("<8sIIIIQQQQ16sQIII", *fields)
        return (made[:16] + struct.pack("<I", zlib.crc32(made)) + made[20:]).ljust(sector, b"\0")

    array = entries.ljust(sector * around, b"\0")
    start = record((0xee, 1, last)).ljust(sector, b"\0") + header(1, last, 2) + array
    end = array + header(last, 1, last - around)
    if flaw:
        start = start.replace(flaw, bytes(len(flaw)), 1)
    # The target takes the first half of its input for the start.
    size = max(len(start), len(end))
    return bytes([flags]) + start.ljust(size, b"\0") + end.rjust(size, b"\0")


def tables():
    for name, sector, large in (("small", 512, 0), ("large", 4096, 1)):
        write("gpt", name, gpt(sector, large))
        write("gpt", name + "-corrected", gpt(sector, large | 2))
        write("gpt", name + "-backup", gpt(sector, large, b"EFI PART"))
        write("gpt", name + "-unprotected", gpt(sector, large, b"\x55\xaa"))
    write("mbr", "primary", record((0x83, 8, 8), (7, 16, 8)))
    write("mbr", "protective", record((0xee, 1, 511), (0x83, 8, 8)))
    chain = [record((0x83, 90, 9), (0x0f, 1, 80)), record((0x83, 4, 4), (5, 1, 8)), record((0x83, 5, 4), (5, 2, 8)),
             record((0x83, 6, 4))]
    write("mbr", "chain", b"".join(chain))
    write("mbr", "circle", b"".join(chain[:3]) + record((0x83, 6, 4), (5, 1, 8)))


def images():
    """What lies beside an image: digests, ranges, block maps."""
    a, b = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "60" * 64
    forms = [f"{a}  a.iso\n{b} *./a.iso\n", f"SHA256 (a.iso) = {a}\r\nMD5 (b.iso) = {a[:32]}\n", a.upper(),
             f"\ufeff# comment\nSHA2-256(d/a.iso)= {a}\n\\{a}  a\\nb\n{a[:40]}\n",
             f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n- {a}  a.iso\n-----BEGIN PGP SIGNATURE-----\n\n{a}  b\n"]
    for number, text in enumerate(forms):
        write("sums", str(number), text.encode())
    root = HERE.parent.parent
    ranges = (root / "core/tests/vectors/ranges/image.ranges.json").read_bytes()
    write("ranges", "signed", ranges)
    write("ranges", "short", json.dumps(json.loads(ranges) | {"release": None}, separators=(",", ":")).encode())
    bmap = (root / "installer-tui/tests/flash/image.img.bmap").read_text()
    write("bmap", "tool", bmap.encode())
    small = bmap[bmap.index("<bmap "):]
    write("bmap", "small", "\n".join(line.strip() for line in small.splitlines() if "<!--" not in line).encode())
    old = small.replace("2.0", "1.3").replace("BmapFileChecksum", "BmapFileSHA1").replace("chksum", "sha1")
    write("bmap", "old", old.encode())
    example = (root / "installer-tui/answers.example.toml").read_text()
    write("answers", "example", example.encode())
    write("answers", "static", example.replace('mode = "dhcp"\n#mode', "mode").replace("\n#", "\n").encode())
    write("answers", "least", b'hostname="a"\nuser={name="a",password="long enough"}\n')


def main():
    tables()
    images()
    vectors = json.loads((HERE.parent.parent / "core/tests/vectors/licenses.json").read_text())
    documents("license", vectors["good"] + vectors["bad"])
    documents("revocations", vectors["lists"])

    for prefix in ("BSIC", "WORK", "GAME", "AIDV", "GMAI", "SERV"):
        text = key(prefix, "Q9YJVZ99WB5")
        write("license_key", prefix, text.encode())
        write("license_key", prefix + "-typed", f" {text.lower().replace('-', ' ')}\r\n".encode())

    zeros = "0" * 64
    files = {"aegis/root.img": {"size": 12288, "sha256": zeros}}
    manifest = {"format": 1, "id": ID, "edition": "server", "version": "0.1.0", "channel": "lts", "epoch": 7,
                "kernel": "6.12", "image": {"kind": "squashfs", "data_size": 8192, "size": 12288, "salt": zeros,
                                            "root_hash": zeros}, "files": files, "inputs": {"packages": "ü\u0001"}}
    write("manifest", "short", json.dumps(manifest, separators=(",", ":")).encode())
    write("manifest", "long", json.dumps(manifest, indent=2, ensure_ascii=False).encode())
    write("manifest", "image", json.dumps(manifest | {"image": manifest["image"] | {"size": 1}}).encode())
    write("manifest", "format", b'{"format":2}')

    lines = [f"BOOT_IMAGE=/vmlinuz quiet aegis.medium={ID} aegis.check=full aegis.wait=30 -- single",
             f"aegis.install={ID} aegis.slot=b aegis.fail=reboot aegis.rescue aegis.check=verity aegis.fail=menu",
             f"aegis.install={ID} aegis.medium={ID}", f"aegis.medium={ID} aegis.new=1 aegis.wait=601"]
    for number, line in enumerate(lines):
        write("cmdline", str(number), line.encode())

    usb = "/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0"
    disk = usb + "/host2/target2:0:0/2:0:0:0/block/sdb"
    nvme = "/devices/pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1/nvme0n1p2"
    for number, (action, path, more) in enumerate([
            ("add", usb, "SUBSYSTEM=usb DEVTYPE=usb_interface MODALIAS=usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00"),
            ("add", disk, "SUBSYSTEM=block MAJOR=8 MINOR=16 DEVNAME=/dev/sdb DEVTYPE=disk DISKSEQ=12"),
            ("change", disk, "SUBSYSTEM=block DEVNAME=/dev/sdb DEVTYPE=disk DISK_MEDIA_CHANGE=1 ID_SERIAL=x"),
            ("remove", disk + "/sdb1", "SUBSYSTEM=block DEVTYPE=partition PARTN=1 PARTNAME=ESP"),
            ("remove", nvme, "SUBSYSTEM=block DEVTYPE=partition DEVNAME=nvme0n1p2"),
            ("bind", "/devices/virtual/block/dm-0", "SUBSYSTEM=block DM_NAME=crypt DM_NAME=other")]):
        pairs = [f"ACTION={action}", f"DEVPATH={path}", *more.split(" "), f"SEQNUM={1000 + number}"]
        properties = "".join(pair + "\0" for pair in pairs).encode()
        header = b"libudev\0" + bytes.fromhex("feedcafe") + struct.pack("=7I", 40, 40, len(properties), 1, 2, 3, 4)
        write("uevents", f"kernel-{number}", f"{action}@{path}\0".encode() + properties)
        write("uevents", f"udev-{number}", header + properties)
        write("uevents", f"properties-{number}", properties)

    answers_of_authenticators()

    # Small ones of each kind; what is recorded in more of them is the same.
    for name in ("nvme-multipath", "card-reader", "disks-4kn", "vm-virtio", "handheld", "vm-scsi"):
        write("machine", name, (HERE.parent / "fixtures" / (name + ".machine")).read_bytes())


main()

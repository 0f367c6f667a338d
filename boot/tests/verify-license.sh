#!/bin/sh
# verify-license.sh PUBLIC.pem LICENSE: checks the signature of a license with OpenSSL and nothing of Aegis OS.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed '1d;$d' "$2" | openssl base64 -d >"$work/body"
size=$(wc -c <"$work/body")
tail -c 256 "$work/body" >"$work/signature"
{
	printf 'aegis-os license-doc v1\0'
	head -c "$((size - 256))" "$work/body"
} >"$work/message"
openssl dgst -sha256 -verify "$1" -signature "$work/signature" "$work/message"

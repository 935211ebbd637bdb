"""Drives a client of the old server: each line of standard input is a command, a JSON array of its name and arguments;
each line of standard output is its result, `ok` and a text, or `error` and a message. Bytes are hexadecimal.

Usage: client.py URL [insecure|CERTIFICATE]

The variable DATABASE_SECRET may hold the secret of a tenant's database, API_KEY a token, and JWE_PUBLIC_KEY a key that requests
are encrypted with.
"""

import asyncio
import json
import os
import sys
import types

# 4.9.1 looks into this module for types that only the making of master keys needs; it is not among its requirements.
cover_crypt = types.ModuleType("cloudproof_cover_crypt")
cover_crypt.Policy = type("Policy", (), {})
cover_crypt.Attribute = type("Attribute", (), {})
sys.modules["cloudproof_cover_crypt"] = cover_crypt

from cosmian_kms import KmsClient


def connect(url, trust=None):
    secret = {
        "database_secret": os.environ.get("DATABASE_SECRET"),
        "api_key": os.environ.get("API_KEY"),
        "jwe_public_key": os.environ.get("JWE_PUBLIC_KEY"),
    }
    secret = {name: value for name, value in secret.items() if value is not None}
    if trust is None:
        return KmsClient(url, **secret)
    if trust == "insecure":
        return KmsClient(url, insecure_mode=True, **secret)
    with open(trust) as certificate:
        # The one certificate that is taken instead of what authorities sign.
        return KmsClient(url, insecure_mode=True, allowed_tee_tls_cert=certificate.read(), **secret)


class Commands:
    """The operations under the same names for both versions. A `key` is an identifier, or a list of tags."""

    def __init__(self, client):
        self.client = client
        self.is_new = hasattr(client, "create_symmetric_key")

    async def create(self, algorithm, bits, tags):
        return await self.client.create_symmetric_key(bits, algorithm, tags=tags)

    async def get(self, key):
        # 4.9.1 takes a text only, which may be what stands for tags on the wire.
        key = key if self.is_new or isinstance(key, str) else json.dumps(key)
        found = await self.client.get_object(key)
        return found.object_type() + " " + bytes(found.key_block()).hex()

    async def encrypt(self, key, data):
        found = await self.client.encrypt(bytes.fromhex(data), key)
        parts = [found.data(), found.iv_counter_nonce(), found.authenticated_encryption_tag()]
        return " ".join([found.unique_identifier()] + [bytes(part).hex() for part in parts])

    async def decrypt(self, key, *parts):
        data, nonce, tag = map(bytes.fromhex, parts)
        return bytes(await self.client.decrypt(data, key, nonce, tag)).hex()

    async def revoke(self, key, reason):
        if self.is_new:
            return await self.client.revoke_key(reason, key)
        return await self.client.revoke_cover_crypt_key(reason, *as_two(key))

    async def destroy(self, key):
        if self.is_new:
            return await self.client.destroy_key(key)
        return await self.client.destroy_cover_crypt_key(*as_two(key))


def as_two(key):
    """4.9.1 takes an identifier or tags in two arguments."""
    return (key, None) if isinstance(key, str) else (None, key)


async def main():
    commands = Commands(connect(*sys.argv[1:]))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        try:
            print("ok", await getattr(commands, name)(*arguments), flush=True)
        except Exception as error:
            print("error", str(error).replace("\n", " "), flush=True)


asyncio.run(main())
# The threads of the compiled clients may still run, and crash when the interpreter is taken down under them.
os._exit(0)

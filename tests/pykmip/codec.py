"""PyKMIP's codec: prints what it writes for some structures, then reads those of standard input and writes them again.

A line is a name and hexadecimal digits."""

import sys

from kmip.core import enums, objects, utils
from kmip.core.attributes import CryptographicAlgorithm, CryptographicLength
from kmip.core.factories.attributes import AttributeFactory
from kmip.core.messages import contents, messages, payloads
from kmip.core.misc import KeyFormatType
from kmip.core.primitives import DateTime, Enumeration, Integer, TextString
from kmip.core.secrets import SymmetricKey

VERSION = enums.KMIPVersion.KMIP_2_0
KEY = bytes(range(32))


def attributes():
    return objects.Attributes(
        attributes=[
            Enumeration(
                enums.CryptographicAlgorithm,
                enums.CryptographicAlgorithm.AES,
                tag=enums.Tags.CRYPTOGRAPHIC_ALGORITHM,
            ),
            Integer(256, tag=enums.Tags.CRYPTOGRAPHIC_LENGTH),
            Integer(0x3C, tag=enums.Tags.CRYPTOGRAPHIC_USAGE_MASK),
            TextString("k1", tag=enums.Tags.UNIQUE_IDENTIFIER),
            DateTime(1_795_460_400, tag=enums.Tags.ACTIVATION_DATE),
        ]
    )


def key_value():
    return objects.KeyValue(key_material=objects.KeyMaterial(KEY))


def key_block():
    return objects.KeyBlock(
        key_format_type=KeyFormatType(enums.KeyFormatType.RAW),
        key_value=key_value(),
        cryptographic_algorithm=CryptographicAlgorithm(enums.CryptographicAlgorithm.AES),
        cryptographic_length=CryptographicLength(256),
        key_wrapping_data=None,
    )


def wrapping_data():
    return objects.KeyWrappingData(
        wrapping_method=enums.WrappingMethod.ENCRYPT,
        encryption_key_information=objects.EncryptionKeyInformation(
            unique_identifier="kek",
            cryptographic_parameters=objects.CryptographicParameters(
                block_cipher_mode=enums.BlockCipherMode.NIST_KEY_WRAP
            ),
        ),
        encoding_option=enums.EncodingOption.NO_ENCODING,
    )


def request():
    header = messages.RequestHeader(
        protocol_version=contents.ProtocolVersion(2, 0), batch_count=contents.BatchCount(1)
    )
    item = messages.RequestBatchItem(
        operation=contents.Operation(enums.Operation.GET),
        request_payload=payloads.GetRequestPayload(
            unique_identifier="k1", key_format_type=enums.KeyFormatType.RAW
        ),
    )
    return messages.RequestMessage(request_header=header, batch_items=[item])


def response():
    header = messages.ResponseHeader(
        protocol_version=contents.ProtocolVersion(2, 0),
        time_stamp=contents.TimeStamp(1_795_460_400),
        batch_count=contents.BatchCount(1),
    )
    item = messages.ResponseBatchItem(
        operation=contents.Operation(enums.Operation.GET),
        result_status=contents.ResultStatus(enums.ResultStatus.SUCCESS),
        response_payload=payloads.GetResponsePayload(
            object_type=enums.ObjectType.SYMMETRIC_KEY,
            unique_identifier="k1",
            secret=SymmetricKey(key_block()),
        ),
    )
    return messages.ResponseMessage(response_header=header, batch_items=[item])


CASES = {
    "attributes": (attributes, objects.Attributes),
    "key_value": (key_value, objects.KeyValue),
    "key_block": (key_block, objects.KeyBlock),
    "wrapping_data": (wrapping_data, objects.KeyWrappingData),
    "request": (request, messages.RequestMessage),
    "response": (response, messages.ResponseMessage),
}


def written(value):
    stream = utils.BytearrayStream()
    value.write(stream, kmip_version=VERSION)
    return stream.buffer.hex()


def read(kind, data):
    value = kind()
    value.read(utils.BytearrayStream(data), kmip_version=VERSION)
    return value


for name, (make, _) in CASES.items():
    print("made", name, written(make()))
for line in sys.stdin:
    name, digits = line.split()
    print("read", name, written(read(CASES[name][1], bytes.fromhex(digits))))

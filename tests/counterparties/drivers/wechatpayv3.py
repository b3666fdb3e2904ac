"""Drives PyPI `wechatpayv3`: its transfer bills, and the reading of notifications."""

import base64
import gzip
import hashlib
import json
import sys
import uuid

# This file has the name of the SDK, which must be found first.
sys.path.append(sys.path.pop(0))

from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from wechatpayv3 import SignType, WeChatPay, WeChatPayType  # noqa: E402
from wechatpayv3.utils import build_authorization  # noqa: E402

from driver import drive  # noqa: E402


def client(command):
    """A client against the given address. With `certificates` it trusts those that it downloads there,
    else the platform's public key."""
    keys = command["keys"]
    made = WeChatPay(
        wechatpay_type=WeChatPayType.MINIPROG,
        mchid=keys["mchid"],
        private_key=keys["merchant_key"],
        cert_serial_no=keys["merchant_serial"],
        appid=keys["appid"],
        apiv3_key=keys["api_v3_key"],
        notify_url=command.get("notify_url"),
        timeout=(5, 20),
        public_key=keys["platform"][keys["platform_key_id"]],
        public_key_id=keys["platform_key_id"],
    )
    core = made._core
    core._gate_way = command.get("url")
    if command.get("certificates"):
        core._public_key = core._public_key_id = None
        core._update_certificates()
    return made


def told(answer):
    """Status and body of an answer that the SDK believed."""
    status, text = answer
    text = text.decode() if isinstance(text, bytes) else text
    return {"status": status, "data": json.loads(text) if text else None}


def create(command):
    """Every named parameter of the SDK, from the bill."""
    bill = dict(command["bill"])
    bill["user_name"] = command.get("user_name")
    return told(client(command).mch_transfer_bills(**bill))


def bill(command):
    """Asked for and fetched by the SDK, unpacked and compared with its hash."""
    asking = client(command)
    answer = told(asking.fundflow_bill(command["day"], "OPERATION", "GZIP"))
    if answer["status"] != 200:
        return answer
    status, packed = asking.download_bill(answer["data"]["download_url"])
    text = gzip.decompress(packed)
    return {
        "status": status,
        "hash_fits": hashlib.sha1(text).hexdigest() == answer["data"]["hash_value"].lower(),
        "text": text.decode("utf-8-sig"),
    }


def signed(command):
    """The `Authorization` header of a request."""
    keys = command["keys"]
    return build_authorization(
        command["target"], command["method"], keys["mchid"], keys["merchant_serial"],
        client(command)._core._private_key, data=command["body"])


def make_notification(command):
    """Signed by the SDK, with the platform's key in the merchant's place; it has no sealing of its own,
    so that is done by the library with which it opens."""
    keys = dict(command["keys"], merchant_key=command["signing_key"])
    nonce, aad = uuid.uuid4().hex[:12], "mch_payment"
    sealed = AESGCM(keys["api_v3_key"].encode()).encrypt(
        nonce.encode(), json.dumps(command["plaintext"]).encode(), aad.encode())
    resource = {
        "original_type": "mch_payment",
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(sealed).decode(),
        "associated_data": aad,
        "nonce": nonce,
    }
    body = json.dumps(dict(command["event"], resource=resource), ensure_ascii=False)
    timestamp, word = str(command["timestamp"]), uuid.uuid4().hex
    signer = client(dict(command, keys=keys))
    signature = signer.sign([timestamp, word, body], SignType.RSA_SHA256)
    headers = {
        "content-type": "application/json",
        "wechatpay-timestamp": timestamp,
        "wechatpay-nonce": word,
        "wechatpay-signature": signature,
        "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
        "wechatpay-serial": command["serial"],
    }
    return {"headers": headers, "body": body}


drive({
    "create": create,
    "query": lambda c: told(client(c).mch_transfer_bills_query(out_bill_no=c["number"])),
    "query_by_theirs":
        lambda c: told(client(c).mch_transfer_bills_query(transfer_bill_no=c["number"])),
    "cancel": lambda c: told(client(c).mch_transfer_bills_cancel(c["number"])),
    "bill": bill,
    "signed": signed,
    "decrypt": lambda c: client(c).decrypt(c["text"]),
    "read_notification": lambda c: client(c).callback(c["headers"], c["body"]),
    "make_notification": make_notification,
})

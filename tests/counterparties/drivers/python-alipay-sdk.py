"""Drives PyPI `python-alipay-sdk`, which asks by GET alone, in certificate mode."""

import urllib.parse

from alipay import DCAliPay

from driver import drive


def sdk(command):
    """A client against the given gateway."""
    keys = command["keys"]
    client = DCAliPay(
        appid=keys["app_id"],
        app_private_key_string=keys["app_key"],
        app_public_key_cert_string=keys["app_cert"],
        alipay_public_key_cert_string=keys["alipay_cert"],
        alipay_root_cert_string=keys["root_cert"],
    )
    client._gateway = command.get("gateway")
    return client


def transfer(command):
    """Its own verb for a transfer, with all it does to the request."""
    biz = dict(command["biz_content"])
    payee = biz.pop("payee_info")
    # It sets these by itself.
    for name in ("product_code", "biz_scene"):
        biz.pop(name)
    return sdk(command).api_alipay_fund_trans_uni_transfer(**biz, **payee)


def numbers(command):
    """The certificate numbers as it computes them."""
    client = sdk(command)
    return {
        "app": client.app_cert_sn,
        "alipay": client.get_cert_sn(command["keys"]["alipay_cert"]),
        "root": client.alipay_root_cert_sn,
    }


def read_notification(command):
    """Verified over the decoded form without the signature; it takes `sign_type` out by itself."""
    form = dict(urllib.parse.parse_qsl(command["body"]))
    signature = form.pop("sign")
    return {"verified": sdk(command).verify(dict(form), signature), "form": form}


def make_notification(command):
    """Signed by it with Alipay's key in the app's place."""
    keys = dict(command["keys"], app_key=command["signing_key"])
    form = dict(command["form"])
    body = sdk(dict(command, keys=keys)).sign_data(form) + "&sign_type=RSA2"
    return {"headers": {"content-type": "application/x-www-form-urlencoded"}, "body": body}


drive({
    "transfer": transfer,
    "call": lambda c: sdk(c).server_api(c["method"], c["biz_content"]),
    "signed": lambda c: sdk(c).client_api(c["method"], c["biz_content"]),
    "certificate_numbers": numbers,
    "read_notification": read_notification,
    "make_notification": make_notification,
})

"""Drives PyPI `alipay-sdk-python`, Alipay's own for Python. It knows no certificate mode: the two
certificate numbers, which its caller computes, go along as parameters of their own, and the number in an answer is taken out of its way."""

import csv
import importlib
import io
import json
import re
import urllib.parse
import urllib.request
import zipfile

from alipay.aop.api import DefaultAlipayClient as client
from alipay.aop.api.AlipayClientConfig import AlipayClientConfig
from alipay.aop.api.util import SignatureUtils, WebUtils
from Crypto.PublicKey import RSA

from driver import drive

REQUESTS = {
    "alipay.fund.trans.uni.transfer": "AlipayFundTransUniTransferRequest",
    "alipay.fund.trans.common.query": "AlipayFundTransCommonQueryRequest",
    "alipay.fund.account.query": "AlipayFundAccountQueryRequest",
    "alipay.data.dataservice.bill.downloadurl.query":
        "AlipayDataDataserviceBillDownloadurlQueryRequest",
}


def connection(url, query_string, timeout):
    """The SDK fails on an address with a port; this is its function for such an address."""
    parsed = urllib.parse.urlparse(url)
    opened = WebUtils.httplib.HTTPConnection(parsed.hostname, parsed.port, timeout=timeout)
    return f"{url}?{query_string}", opened


def post(*arguments):
    """The SDK wants the signature right after what is signed, where an answer in certificate mode has
    the certificate's number. What is signed stays as it came."""
    return re.sub(rb',\s*"alipay_cert_sn"\s*:\s*"[^"]*"', b"", WebUtils.do_post(*arguments))


WebUtils.get_http_connection = connection
client.do_post = post


def bare(pem):
    """Base64 without armour."""
    return "".join(line for line in pem.splitlines() if not line.startswith("-"))


def private_key(pem):
    """The SDK reads PKCS#1 only."""
    return bare(RSA.import_key(pem).export_key(pkcs=1).decode())


def public_key(pem):
    """The key of a certificate."""
    return bare(RSA.import_key(pem).export_key().decode())


def prepared(command):
    """A client, and the request to make."""
    keys = command["keys"]
    config = AlipayClientConfig()
    config.server_url = command["gateway"]
    config.app_id = keys["app_id"]
    config.app_private_key = private_key(keys["app_key"])
    config.alipay_public_key = public_key(keys["alipay_cert"])
    name = REQUESTS[command["method"]]
    module = importlib.import_module(f"alipay.aop.api.request.{name}")
    request = getattr(module, name)()
    request.biz_content = command["biz_content"]
    request.add_other_text_param("app_cert_sn", keys["app_cert_sn"])
    request.add_other_text_param("alipay_root_cert_sn", keys["root_cert_sn"])
    return client.DefaultAlipayClient(config), request


def call(command):
    """POST, common parameters in the query, everything else in the form."""
    asking, request = prepared(command)
    return json.loads(asking.execute(request))


def signed(command):
    """The parameters of a request with their signature, as a query."""
    asking, request = prepared(command)
    return asking.sdk_execute(request)


def bill(command):
    """Asked for by the SDK; fetched, unpacked and read by Python itself, which knows zip, GBK and CSV."""
    answer = call(command)
    if answer["code"] != "10000":
        return answer
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    packed = zipfile.ZipFile(io.BytesIO(opener.open(answer["bill_download_url"], timeout=20).read()))
    rows = []
    for name in packed.namelist():
        lines = packed.read(name).decode("gbk").splitlines()
        table = csv.DictReader(line for line in lines if not line.startswith("#"))
        rows += [{k: (v or "").strip() for k, v in row.items() if k} for row in table]
    return {"code": answer["code"], "rows": rows}


def text_of(form):
    """What is signed of a notification: the SDK's own text, without the two signature fields."""
    named = {k: v for k, v in form.items() if k not in ("sign", "sign_type") and v}
    return SignatureUtils.get_sign_content(named)


def read_notification(command):
    """The form in its own charset; the SDK verifies bytes."""
    charset = "gbk" if "charset=GBK" in command["body"] else "utf-8"
    form = dict(urllib.parse.parse_qsl(command["body"], encoding=charset))
    key = public_key(command["keys"]["alipay_cert"])
    verified = SignatureUtils.verify_with_rsa(key, text_of(form).encode(charset), form["sign"])
    return {"verified": verified, "form": form}


def make_notification(command):
    """A form in the given charset, signed by the SDK."""
    charset = command["form"]["charset"]
    form = dict(command["form"], sign_type="RSA2")
    form["sign"] = SignatureUtils.sign_with_rsa2(
        private_key(command["signing_key"]), text_of(form), charset)
    body = WebUtils.url_encode(form, charset)
    kind = f"application/x-www-form-urlencoded;charset={charset}"
    return {"headers": {"content-type": kind}, "body": body}


drive({
    "bill": bill,
    "call": call,
    "signed": signed,
    "read_notification": read_notification,
    "make_notification": make_notification,
})

//! Stands in for the simulator until it is there: verifies, answers, notifies, with nothing behind it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use rails::alipay::{parameters, signed_text, value};
use rails::certificate::Certificate;
use rails::key::{PrivateKey, PublicKey};
use rails::seal::ApiKey;
use rails::wechat::{Authorization, answer_text, request_text};
use serde_json::{Value, json};

struct Place {
    merchant: PublicKey,
    platform: PrivateKey,
    platform_id: String,
    app: PublicKey,
    alipay: PrivateKey,
    alipay_sn: String,
    api: ApiKey,
    cert: String,
    door: String,
    books: Mutex<HashMap<String, Value>>,
}

pub async fn start(directory: &Path, door: &str) -> anyhow::Result<String> {
    let read = |name: &str| std::fs::read_to_string(directory.join(name));
    let cert = |name: &str| anyhow::Ok(Certificate::read(&read(name)?)?);
    let place = Arc::new(Place {
        merchant: cert("wechat/merchant_cert.pem")?.public_key()?,
        platform: PrivateKey::read(&read("wechat/platform_private_key.pem")?)?,
        platform_id: read("wechat/platform_key_id")?,
        app: cert("alipay/app_cert.pem")?.public_key()?,
        alipay: PrivateKey::read(&read("alipay/alipay_key.pem")?)?,
        alipay_sn: cert("alipay/alipay_cert.pem")?.alipay_sn(),
        api: ApiKey::read(&read("wechat/api_v3_key")?)?,
        cert: read("wechat/platform_cert.pem")?,
        door: door.to_owned(),
        books: Mutex::default(),
    });
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", socket.local_addr()?);
    let app = Router::new().fallback(any).with_state(place);
    tokio::spawn(async move { axum::serve(socket, app).await });
    Ok(url)
}

async fn any(
    State(place): State<Arc<Place>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if uri.path() == "/gateway.do" {
        return alipay(&place, &uri, &body).await;
    }
    let told = headers.get("authorization").and_then(|h| h.to_str().ok()).unwrap_or_default();
    let ok = told.parse::<Authorization>().is_ok_and(|a| {
        let target = uri.path_and_query().map_or("", |p| p.as_str());
        let text = request_text(method.as_str(), target, &a.timestamp, &a.nonce, &body);
        place.merchant.verifies(&text, &a.signature)
    });
    let (status, answer) = if ok {
        wechat(&place, &method, uri.path(), &body).await
    } else {
        (401, json!({"code": "SIGN_ERROR", "message": "x"}))
    };
    let text = answer.to_string();
    signed(&place, &text).status(status).body(Body::from(text)).unwrap()
}

fn signed(place: &Place, text: &str) -> axum::http::response::Builder {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = now.to_string();
    let signature = place.platform.sign(&answer_text(&now, "nonce", text.as_bytes())).unwrap();
    Response::builder()
        .header("Content-Type", "application/json")
        .header("Wechatpay-Timestamp", now)
        .header("Wechatpay-Nonce", "nonce")
        .header("Wechatpay-Serial", &place.platform_id)
        .header("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048")
        .header("Wechatpay-Signature", signature)
}

async fn wechat(place: &Place, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
    if path == "/v3/certificates" {
        let sealed = place.api.seal("123456789012", "certificate", place.cert.as_bytes()).unwrap();
        let serial = Certificate::read(&place.cert).unwrap().serial_hex();
        return (
            200,
            json!({"data": [{"serial_no": serial,
            "effective_time": "2020-01-01T00:00:00+08:00", "expire_time": "2036-01-01T00:00:00+08:00",
            "encrypt_certificate": {"algorithm": "AEAD_AES_256_GCM", "nonce": "123456789012",
            "associated_data": "certificate", "ciphertext": sealed}}]}),
        );
    }
    let rest = path.strip_prefix("/v3/fund-app/mch-transfer/transfer-bills").unwrap_or("-");
    let parts: Vec<&str> = rest.split('/').collect();
    if method == Method::POST && rest.is_empty() {
        let asked: Value = serde_json::from_slice(body).unwrap();
        let number = asked["out_bill_no"].as_str().unwrap().to_owned();
        let waits = asked["openid"].as_str().unwrap().contains("confirm");
        let state = if waits { "WAIT_USER_CONFIRM" } else { "SUCCESS" };
        let mut bill = json!({"out_bill_no": number, "transfer_bill_no": format!("T{number}"),
            "state": state, "openid": asked["openid"], "mch_id": "1900000001",
            "transfer_amount": asked["transfer_amount"], "create_time": "x"});
        place.books.lock().unwrap().insert(number, bill.clone());
        if waits {
            bill["package_info"] = json!("package");
        } else {
            notify_wechat(place, asked["notify_url"].as_str().unwrap(), &bill);
        }
        return (200, bill);
    }
    let number = parts.get(2).map_or("", |n| n.trim_start_matches('T'));
    let mut books = place.books.lock().unwrap();
    let Some(bill) = books.get_mut(number) else {
        return (404, json!({"code": "NOT_FOUND", "message": "x"}));
    };
    if parts.get(3) == Some(&"cancel") {
        bill["state"] = json!("CANCELLED");
    }
    (200, bill.clone())
}

fn notify_wechat(place: &Place, url: &str, bill: &Value) {
    let sealed = place.api.seal("123456789012", "", bill.to_string().as_bytes()).unwrap();
    let body = json!({"id": "n", "resource_type": "encrypt-resource", "resource": {
        "algorithm": "AEAD_AES_256_GCM", "nonce": "123456789012", "associated_data": "",
        "original_type": "mch_payment", "ciphertext": sealed}})
    .to_string();
    let headers = signed(place, &body).body(()).unwrap().headers().clone();
    let call = reqwest::Client::new().post(url).headers(headers).body(body);
    tokio::spawn(call.send());
}

async fn alipay(place: &Place, uri: &Uri, body: &[u8]) -> Response<Body> {
    let mut given = parameters(uri.query().unwrap_or_default().as_bytes());
    given.extend(parameters(body));
    let text = |name: &str| String::from_utf8_lossy(value(&given, name)).into_owned();
    let node = if place.app.verifies(&signed_text(&given, &["sign"]), &text("sign")) {
        let biz: Value = serde_json::from_str(&text("biz_content")).unwrap();
        let number = biz["out_biz_no"].as_str().unwrap_or_default().to_owned();
        let mut books = place.books.lock().unwrap();
        if text("method").ends_with("uni.transfer") {
            books.insert(number.clone(), biz.clone());
            notify_alipay(place, &number, biz["trans_amount"].as_str().unwrap());
        }
        if books.contains_key(&number) {
            json!({"code": "10000", "msg": "成功", "out_biz_no": number, "status": "SUCCESS",
                "order_id": "2019"})
        } else {
            json!({"code": "40004", "msg": "Business Failed", "sub_code": "ORDER_NOT_EXIST"})
        }
    } else {
        json!({"code": "40002", "msg": "Invalid", "sub_code": "isv.invalid-signature"})
    };
    let node = node.to_string();
    let (sign, sn) = (place.alipay.sign(node.as_bytes()).unwrap(), &place.alipay_sn);
    let key = text("method").replace('.', "_");
    let told =
        format!("{{\"{key}_response\":{node},\"alipay_cert_sn\":\"{sn}\",\"sign\":\"{sign}\"}}");
    Response::builder().header("content-type", "text/html;charset=utf-8").body(told.into()).unwrap()
}

fn notify_alipay(place: &Place, number: &str, amount: &str) {
    let biz = json!({"out_biz_no": number, "trans_amount": amount, "status": "SUCCESS"});
    let mut form = vec![
        ("app_id", "2021000000000001".to_owned()),
        ("charset", "GBK".to_owned()),
        ("msg_method", "alipay.fund.trans.order.changed".to_owned()),
        ("notify_id", "n".to_owned()),
        ("biz_content", biz.to_string()),
    ];
    let bytes: Vec<_> =
        form.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
    form.push(("sign", place.alipay.sign(&signed_text(&bytes, &[])).unwrap()));
    form.push(("sign_type", "RSA2".to_owned()));
    let body = reqwest::Url::parse_with_params("http://x/", form).unwrap();
    let body = body.query().unwrap().to_owned();
    let call = reqwest::Client::new()
        .post(format!("{}/notify/alipay", place.door))
        .header("content-type", "application/x-www-form-urlencoded;charset=GBK")
        .body(body);
    tokio::spawn(call.send());
}

//! Every reason in every family's envelope.

use cashout_proto::FieldViolation;

use super::*;

async fn told(family: Family, failure: &Failure) -> anyhow::Result<(u16, Response<()>, String)> {
    let mut response = Response::new(Body::empty());
    family.refuse(&failure.clone().into(), &mut response);
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 65_536).await?;
    let status = parts.status.as_u16();
    Ok((status, Response::from_parts(parts, ()), String::from_utf8(body.to_vec())?))
}

#[tokio::test]
async fn every_reason_has_its_envelope_in_every_family() -> anyhow::Result<()> {
    for reason in Reason::ALL {
        let row = reason.row();
        let failure = Failure::new(*reason, "what to change");

        let (status, _, body) = told(Family::Settlement, &failure).await?;
        assert_eq!(
            body,
            format!("{{\"code\":{},\"err_desc\":\"what to change\"}}", row.settlement)
        );
        let kept = row.http >= 500
            || matches!(row.settlement, 413 | 429 | 405)
            || row.wallet == "route_not_found";
        assert_eq!(status, if kept { row.http } else { 200 }, "{reason:?}");

        let (status, _, body) = told(Family::Capital, &failure).await?;
        let expected =
            format!("{{\"code\":{},\"data\":null,\"message\":\"what to change\"}}", row.capital);
        assert_eq!(body, expected);
        assert_eq!(status, if kept { row.http } else { 200 }, "{reason:?}");

        let (status, response, body) = told(Family::Wallet, &failure).await?;
        let list = row.wallet == "validation_error";
        let detail = if list { "[\"what to change\"]" } else { "\"what to change\"" };
        let expected = format!(
            "{{\"errors\":[{{\"status\":\"{}\",\"code\":\"{}\",\"detail\":{detail}}}]}}",
            row.http, row.wallet
        );
        assert_eq!((status, body), (row.http, expected));
        assert_eq!(response.headers().contains_key("retry-after"), row.retry, "{reason:?}");
        assert_eq!(response.headers().contains_key("www-authenticate"), row.http == 401);
    }
    Ok(())
}

#[tokio::test]
async fn broken_fields_are_one_error_each_with_all_their_rules() -> anyhow::Result<()> {
    let broken =
        |field: &str, rule: &str| FieldViolation { field: field.into(), rule: rule.into() };
    let failure = Failure::fields(vec![
        broken("remark", "a"),
        broken("cash_type", "b"),
        broken("remark", "c"),
        broken("", "d"),
    ]);
    let (status, _, body) = told(Family::Wallet, &failure).await?;
    let expected = concat!(
        r#"{"errors":[{"status":"422","code":"validation_error","detail":["a","c"],"#,
        r#""source":{"pointer":"/data/attributes/remark"}},"#,
        r#"{"status":"422","code":"validation_error","detail":["b"],"#,
        r#""source":{"pointer":"/data/attributes/cash_type"}},"#,
        r#"{"status":"422","code":"validation_error","detail":["d"]}]}"#
    );
    assert_eq!((status, body.as_str()), (422, expected));
    Ok(())
}

#[test]
fn paths_belong_to_families_by_whole_segments() {
    for (path, family) in [
        ("/sett", Family::Settlement),
        ("/sett/nothing", Family::Settlement),
        ("/settle", Family::Wallet),
        ("/user/capital-account/detail", Family::Capital),
        ("/user/capital-accounts", Family::Wallet),
        ("/user", Family::Wallet),
        ("/", Family::Wallet),
        ("*", Family::Wallet),
    ] {
        assert_eq!(Family::of(path), family, "{path}");
    }
}

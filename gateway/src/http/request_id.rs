//! What a caller may say about tracing: a request id and a W3C trace context, both only when well-formed.

use cashout_common::world::World;
use http::HeaderMap;

/// The header of the request id, on requests and on every answer.
pub const HEADER: &str = "x-request-id";

/// The caller's id when it sent exactly one that is 1 to 64 of `[A-Za-z0-9._-]`, else a new one.
pub fn of(headers: &HeaderMap, world: &World) -> String {
    let plain = |id: &&str| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    only(headers, HEADER).filter(plain).map_or_else(|| new(world), str::to_owned)
}

/// A time-ordered id (UUID version 7).
pub fn new(world: &World) -> String {
    let ms = u64::try_from(world.clock.now_us() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, &world.random.bytes::<10>())
        .into_uuid()
        .to_string()
}

/// The trace context: `00-<32 hex>-<16 hex>-<2 hex>`, lower case.
pub fn trace_parent(headers: &HeaderMap) -> Option<String> {
    let text = only(headers, "traceparent")?;
    let shape = |(i, b): (usize, u8)| match i {
        2 | 35 | 52 => b == b'-',
        0 | 1 => b == b'0',
        _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
    };
    let fits = text.len() == 55 && text.bytes().enumerate().all(shape);
    fits.then(|| text.to_owned())
}

/// The value of a header that stands once.
pub fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().filter(|_| values.next().is_none())?;
    first.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, values: &[&str]) -> HeaderMap {
        let parsed = values.iter().filter_map(|v| v.parse().ok());
        parsed.map(|value| (http::HeaderName::from_static(name), value)).collect()
    }

    #[test]
    fn a_sane_id_is_kept_and_any_other_replaced() {
        let world = World::real();
        let long = "a".repeat(64);
        for sane in ["abc", "a.b_c-9", long.as_str()] {
            assert_eq!(of(&with(HEADER, &[sane]), &world), sane);
        }
        for odd in [&["a b"][..], &["a/b"], &[""], &["a", "b"], &["aé"], &[], &[&"a".repeat(65)]] {
            let id = of(&with(HEADER, odd), &world);
            assert_eq!((id.len(), id.as_bytes().get(14)), (36, Some(&b'7')), "{odd:?}");
        }
    }

    #[test]
    fn only_a_well_formed_trace_context_goes_along() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_parent(&with("traceparent", &[good])).as_deref(), Some(good));
        for bad in
            ["", "00", &good.to_uppercase(), &good.replace("00-4", "ff-4"), &format!("{good}-x")]
        {
            assert_eq!(trace_parent(&with("traceparent", &[bad])), None, "{bad}");
        }
    }
}

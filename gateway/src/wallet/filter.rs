//! Filters that lists share: persons and times.

use cashout_common::clock::SECOND_US;
use cashout_common::local::Zone;
use cashout_common::number::parse_id;
use cashout_common::text;
use cashout_proto::Failure;
use cashout_proto::account::v1::BatchGetHoldersRequest;
use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};

use crate::http::{Call, Parameters, malformed};

/// Whose rows a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum People {
    /// Everybody's.
    All,
    /// These persons'; none when the filters leave nobody.
    Only(Vec<i64>),
}

impl People {
    fn and(self, ids: Vec<i64>) -> Self {
        match self {
            Self::All => Self::Only(ids),
            Self::Only(before) => {
                Self::Only(before.into_iter().filter(|id| ids.contains(id)).collect())
            }
        }
    }
}

/// The persons that `filter[user]` and `filter[username]` leave, among those the caller may see.
pub(super) async fn people(call: &Call, sees_all: bool) -> Result<People, Failure> {
    let mut people = if sees_all { People::All } else { People::Only(vec![call.who.user_id]) };
    if let Some(text) = call.query.filled("filter[user]")? {
        let id = parse_id(text).ok_or_else(|| malformed("filter[user] must be a user id"))?;
        people = people.and(vec![id]);
    }
    if let Some(username) = text(&call.query, "filter[username]")? {
        let asked = BatchGetHoldersRequest { user_ids: Vec::new(), username };
        let found = call.upstream().batch_get_holders(&call.caller, asked).await?;
        people = people.and(found.holders.iter().map(|holder| holder.user_id).collect());
    }
    Ok(people)
}

/// A filter that must equal a text; no stored one is longer than 64 characters.
pub(super) fn text(query: &Parameters, name: &str) -> Result<Option<String>, Failure> {
    let read = |text| text::free(text, 64).map_err(|rule| malformed(&format!("{name} {rule}")));
    query.filled(name)?.map(read).transpose()
}

/// Bounds of `filter[start_time]` and `filter[end_time]`, both inclusive; 0 is open.
pub(super) fn times(call: &Call) -> Result<(i64, i64), Failure> {
    let zone = &call.app.zone;
    let read = |name: &str| {
        let Some(text) = call.query.filled(name)? else { return Ok(None) };
        let rule = || {
            let forms = "must be like 2020-04-19-00-00-00 or RFC 3339, from 1970 on";
            malformed(&format!("{name} {forms}"))
        };
        // To the services 0 is no bound, and no time is before it.
        moment(text, zone).filter(|moment| moment.last_us > 0).map(Some).ok_or_else(rule)
    };
    let from_us = read("filter[start_time]")?.map_or(0, |moment| moment.first_us.max(0));
    let until_us = read("filter[end_time]")?.map_or(0, |moment| moment.last_us);
    Ok((from_us, until_us))
}

/// The first and the last microsecond a text means: times are shown in whole seconds, so the end of
/// a range includes its whole second, and a day includes all of itself.
#[derive(Debug, PartialEq, Eq)]
struct Moment {
    first_us: i64,
    last_us: i64,
}

fn moment(text: &str, zone: &Zone) -> Option<Moment> {
    if let Some((first_us, next_us)) = zone.day_or_month(text).filter(|_| text.len() == 10) {
        return Some(Moment { first_us, last_us: next_us - 1 });
    }
    let first_us = match local(text) {
        Some(at) => zone.moment_us(at)?,
        None => instant(text)?,
    };
    let second_us = first_us.div_euclid(SECOND_US) * SECOND_US;
    Some(Moment { first_us, last_us: second_us + SECOND_US - 1 })
}

/// `2020-04-26-24-00-00`, where hour 24 is the end of the day.
fn local(text: &str) -> Option<DateTime> {
    let shape = |(i, b): (usize, u8)| match i {
        4 | 7 | 10 | 13 | 16 => b == b'-',
        _ => b.is_ascii_digit(),
    };
    if text.len() != 19 || !text.bytes().enumerate().all(shape) {
        return None;
    }
    let (date, time) = (text.get(..10)?, text.get(11..)?.replace('-', ":"));
    if time == "24:00:00" {
        let day: DateTime = format!("{date}T00:00:00").parse().ok()?;
        return day.checked_add(1.day()).ok();
    }
    // A leap second would be taken as the second before it.
    if time.ends_with(":60") {
        return None;
    }
    format!("{date}T{time}").parse().ok()
}

/// RFC 3339. In a query string an unescaped `+` arrives as a space.
fn instant(text: &str) -> Option<i64> {
    let text = text.replace(' ', "+");
    let rfc3339 = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && !text.contains('[');
    let at: Timestamp = Some(text).filter(|_| rfc3339)?.parse().ok()?;
    Some(at.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_all_documented_forms() -> Result<(), String> {
        let zone = Zone::named("Asia/Shanghai")?;
        // 2020-04-26 00:00:00+08:00
        let day = 1_587_830_400 * SECOND_US;
        for (text, first, last) in [
            ("2020-04-26", 0, 86_400 * SECOND_US - 1),
            ("2020-04-26-00-00-00", 0, SECOND_US - 1),
            ("2020-04-25-24-00-00", 0, SECOND_US - 1),
            ("2020-04-26T00:00:00+08:00", 0, SECOND_US - 1),
            ("2020-04-26T00:00:00 08:00", 0, SECOND_US - 1),
            ("2020-04-25T16:00:00Z", 0, SECOND_US - 1),
            ("2020-04-26T00:00:00.25+08:00", 250_000, SECOND_US - 1),
        ] {
            let expected = Moment { first_us: day + first, last_us: day + last };
            assert_eq!(moment(text, &zone), Some(expected), "{text}");
        }
        for bad in [
            "2020-04",
            "2020-13-01",
            "2020-04-31-00-00-00",
            "2020-04-26-24-00-01",
            "2020-04-26-23-59-60",
            "2020-04-26-25-00-00",
            "2020-04-26T00:00:00",
            "2020-04-26T00:00:00+08:00[Asia/Shanghai]",
            "now",
            "1587830400",
        ] {
            assert_eq!(moment(bad, &zone), None, "{bad}");
        }
        Ok(())
    }

    #[test]
    fn filters_on_persons_only_ever_narrow() {
        let own = People::Only(vec![7]);
        assert_eq!(own.clone().and(vec![8]), People::Only(vec![]));
        assert_eq!(own.and(vec![7, 8]), People::Only(vec![7]));
        assert_eq!(People::All.and(vec![8]), People::Only(vec![8]));
    }
}

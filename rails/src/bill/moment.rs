//! Moments as the providers write them: China time, which has been eight hours ahead of UTC all year
//! round for longer than there are bills. Must not know: any other time zone.

const DAY_S: i64 = 86_400;
const AHEAD_S: i64 = 8 * 3_600;
const SECOND_US: i64 = 1_000_000;

/// UTC microseconds of `2018-02-01 04:21:23` in China.
#[must_use]
pub fn china_us(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(' ')?;
    if date.len() != 10 || time.len() != 8 {
        return None;
    }
    let date = numbers(date, '-', [4, 2, 2])?;
    let time = numbers(time, ':', [2, 2, 2])?;
    moment(date, time)
}

/// UTC microseconds of `2018年08月01日 00:00:00` in China, as headers of bills write it.
pub(super) fn written_out_us(text: &str) -> Option<i64> {
    let plain = text.replacen('年', "-", 1).replacen('月', "-", 1).replacen('日', "", 1);
    china_us(&plain)
}

fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split(between);
    for (place, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *place = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn moment([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let real = (1970..=9999).contains(&year)
        && (1..=days).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds = days_since_1970(year, month, day) * DAY_S + hour * 3_600 + minute * 60 + second;
    real.then_some((seconds - AHEAD_S) * SECOND_US)
}

/// Days from 1970-01-01: years are counted from March, so that the leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_UNTIL_1970: i64 = 719_468;
    let from_march = (month + 9) % 12;
    let year = if month <= 2 { year - 1 } else { year };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * from_march + 2) / 5 + day - 1 - DAYS_UNTIL_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn china_time_is_read_to_the_second() {
        for (text, us) in [
            ("1970-01-01 08:00:00", 0),
            ("2018-08-10 17:53:58", 1_533_894_838_000_000),
            ("2020-03-03 23:26:40", 1_583_249_200_000_000),
            ("2020-02-29 00:00:00", 1_582_905_600_000_000),
            ("2100-03-01 00:00:00", 4_107_513_600_000_000),
        ] {
            assert_eq!(china_us(text), Some(us), "{text}");
        }
        assert_eq!(written_out_us("2020年03月03日 23:26:40"), Some(1_583_249_200_000_000));
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for wrong in [
            "",
            "2020-03-03",
            "2020-03-03T23:26:40",
            "2020-3-3 23:26:40",
            "2020-02-30 00:00:00",
            "2021-02-29 00:00:00",
            "2020-13-01 00:00:00",
            "2020-03-03 24:00:00",
            "2020-03-03 23:60:00",
            "2020-03-03 23:26:4",
            "+020-03-03 23:26:40",
            "２０20-03-03 23:26:40",
            "2020-03-03 23:26:40 ",
            "1969-12-31 00:00:00",
        ] {
            assert_eq!(china_us(wrong), None, "{wrong:?}");
        }
    }
}

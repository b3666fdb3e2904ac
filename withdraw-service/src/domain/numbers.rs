//! Numbers that people and partners see: cash_sn and trade_no. Both are unique by constraint; a job
//! that drew one that is taken is run again and draws another. Must not know: where they are stored.

use cashout_common::random::Random;

/// 18 digits: the local date (8 digits) and ten random ones, so that nobody guesses a neighbour.
#[must_use]
pub fn cash_sn(local_date: &str, random: &Random) -> String {
    format!("{local_date}{:010}", random.below(10_000_000_000))
}

/// Our number of attempt `n` of a withdrawal: at most 32 of `[0-9A-Za-z]`.
#[must_use]
pub fn trade_no(cash_sn: &str, n: i64, random: &Random) -> String {
    const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let tail: String = random
        .bytes::<4>()
        .iter()
        .filter_map(|b| LETTERS.get(usize::from(b % 32)))
        .map(|b| char::from(*b))
        .collect();
    format!("{cash_sn}T{n}{tail}")
}

/// Which attempt comes after the one with that number; the first when there was none.
#[must_use]
pub fn next_attempt(trade_no: &str) -> i64 {
    let tail = trade_no.rsplit_once('T').map(|(_, tail)| tail);
    // What follows the sign is the attempt's number in digits and four letters.
    let n = tail.and_then(|tail| tail.get(..tail.len().checked_sub(4)?)?.parse::<i64>().ok());
    n.unwrap_or(0).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_documented_shape() {
        let random = Random::seeded(1);
        let sn = cash_sn("20191122", &random);
        assert!(sn.len() == 18 && sn.starts_with("20191122"));
        assert!(sn.bytes().all(|b| b.is_ascii_digit()));
        assert_ne!(sn, cash_sn("20191122", &random));
        for n in [1, 9, 99_999_999] {
            let number = trade_no(&sn, n, &random);
            assert!(number.len() <= 32 && number.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }
}

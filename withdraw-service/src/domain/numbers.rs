//! Numbers that people and partners see: cash_sn and trade_no. Both are unique by constraint; whoever
//! makes one retries with another when it is taken. Must not know: where they are stored.

use cashout_common::random::Random;

/// How often a taken number is replaced before we give up: with ten random digits never in practice.
pub const NUMBER_TRIES: usize = 8;

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

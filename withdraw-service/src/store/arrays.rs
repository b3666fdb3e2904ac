//! How rows travel to PostgreSQL: as arrays that one statement makes rows of again.
//!
//! An array for each column would be the plain way, but making rows of it costs the server more per column than per
//! row (docs/performance.md). So all numbers of the rows travel as one array, looked up by position; words
//! and bytes, which have no fixed place in an array, have one each. Must not know: any table.

use sqlx::postgres::PgArguments;
use sqlx::{Arguments, Error};

use super::set::{Cell, Kind};

/// No number of ours; stands for a number that is missing.
const NONE: i64 = i64::MIN;

const fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Int | Kind::MaybeInt)
}

/// Whether numbers travel together: when there is something else to count rows by.
fn packed(kinds: &[Kind]) -> bool {
    kinds.iter().any(|kind| !is_number(*kind)) && kinds.iter().any(|kind| is_number(*kind))
}

/// How many parameters rows of these columns take.
pub(super) fn parameters(kinds: &[Kind]) -> usize {
    let others = kinds.iter().filter(|kind| !is_number(**kind)).count();
    if packed(kinds) { 1 + others } else { kinds.len() }
}

/// The source `d` of a statement, in parameters from `first` on.
pub(super) fn source(names: &str, kinds: &[Kind], first: usize, only: &str) -> String {
    let together = packed(kinds);
    let mut next = if together { first + 1 } else { first };
    let (mut arrays, mut shown) = (Vec::new(), Vec::new());
    let width = kinds.iter().filter(|kind| is_number(**kind)).count();
    let mut before = width;
    for kind in kinds {
        if together && is_number(*kind) {
            before -= 1;
            let number = format!("(${first}::bigint[])[t.nth * {width} - {before}]");
            shown.push(match kind {
                Kind::MaybeInt => format!("nullif({number}, {NONE})"),
                _ => number,
            });
            continue;
        }
        let array = match kind {
            Kind::Int | Kind::MaybeInt => "bigint[]",
            Kind::Text | Kind::MaybeText => "text[]",
            Kind::Bytes => "bytea[]",
        };
        shown.push(format!("t.c{next}"));
        arrays.push(format!("${next}::{array}"));
        next += 1;
    }
    let columns: Vec<String> =
        (next - arrays.len()..next).map(|n| format!("c{n}")).chain(["nth".to_owned()]).collect();
    let (shown, arrays, columns) = (shown.join(", "), arrays.join(", "), columns.join(", "));
    format!(
        "d ({names}) AS (SELECT {shown} FROM unnest({arrays}) WITH ORDINALITY AS t ({columns}){only})"
    )
}

/// Adds the parameters of rows.
pub(super) fn columns(
    to: &mut PgArguments,
    kinds: &[Kind],
    cells: &[Cell<'_>],
) -> Result<(), Error> {
    let together = packed(kinds);
    if together {
        let numbers = cells.iter().zip(kinds.iter().cycle()).filter(|(_, kind)| is_number(**kind));
        let number = |(cell, kind): (&Cell<'_>, &Kind)| match (cell.int(), kind) {
            (Some(number), _) if number != NONE => Ok(number),
            (None, Kind::MaybeInt) => Ok(NONE),
            _ => Err(Error::Encode("a number is missing".into())),
        };
        let numbers: Vec<i64> = numbers.map(number).collect::<Result<_, _>>()?;
        to.add(numbers).map_err(Error::Encode)?;
    }
    for (at, kind) in kinds.iter().enumerate().filter(|(_, kind)| !(together && is_number(**kind)))
    {
        let column = cells.iter().skip(at).step_by(kinds.len());
        match kind {
            Kind::Int => to.add(column.filter_map(|c| c.int()).collect::<Vec<i64>>()),
            Kind::MaybeInt => to.add(column.map(|c| c.int()).collect::<Vec<Option<i64>>>()),
            Kind::Text => to.add(column.filter_map(|c| c.text()).collect::<Vec<&str>>()),
            Kind::MaybeText => to.add(column.map(|c| c.text()).collect::<Vec<Option<&str>>>()),
            Kind::Bytes => to.add(column.filter_map(|c| c.bytes()).collect::<Vec<&[u8]>>()),
        }
        .map_err(Error::Encode)?;
    }
    Ok(())
}

impl<'a> Cell<'a> {
    pub(super) fn int(self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(n),
            Self::MaybeInt(n) => n,
            _ => None,
        }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::MaybeText(text) => text,
            _ => None,
        }
    }

    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_travel_as_one_array_and_the_rest_each_as_their_own() {
        let kinds = [Kind::Int, Kind::Text, Kind::MaybeInt, Kind::Bytes];
        assert_eq!(
            source("a, b, c, e", &kinds, 4, " WHERE x"),
            "d (a, b, c, e) AS (SELECT ($4::bigint[])[t.nth * 2 - 1], t.c5, \
             nullif(($4::bigint[])[t.nth * 2 - 0], -9223372036854775808), t.c6 \
             FROM unnest($5::text[], $6::bytea[]) WITH ORDINALITY AS t (c5, c6, nth) WHERE x)"
        );
        assert_eq!(parameters(&kinds), 3);
    }

    #[test]
    fn numbers_alone_travel_as_they_are() {
        assert_eq!(
            source("a, b", &[Kind::Int, Kind::MaybeInt], 1, ""),
            "d (a, b) AS (SELECT t.c1, t.c2 FROM unnest($1::bigint[], $2::bigint[]) \
             WITH ORDINALITY AS t (c1, c2, nth))"
        );
        assert_eq!(parameters(&[Kind::Int, Kind::MaybeInt]), 2);
    }
}

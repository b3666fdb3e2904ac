//! Queries over keys, histories and reviews that find nothing as long as G7, G11 and G17 hold.
//!
//! Must not know: who asks, or which status may follow which.

use super::rules::Rule;

/// G7: a key that is written down has one effect. Keys are of persons, so none is told.
pub(super) fn one_effect_each() -> Vec<Rule> {
    vec![Rule {
        guarantee: "G7",
        noun: "a",
        told: "it has more than one effect",
        sql: "SELECT 'key' FROM answer GROUP BY scope, key HAVING count(*) > 1".to_owned(),
    }]
}

/// G11, what the tables' foreign keys would say: a cash-out is what was asked for and how it stands, never one alone.
pub(super) fn is_told_whole() -> Vec<Rule> {
    let rule =
        |told, sql: &str| Rule { guarantee: "G11", noun: "withdrawal", told, sql: sql.to_owned() };
    vec![
        rule(
            "was asked for and stands nowhere",
            "SELECT CAST(w.id AS TEXT) FROM withdrawal w WHERE NOT EXISTS \
             (SELECT 1 FROM withdrawal_state s WHERE s.id = w.id)",
        ),
        rule(
            "stands somewhere and was never asked for",
            "SELECT CAST(s.id AS TEXT) FROM withdrawal_state s WHERE NOT EXISTS \
             (SELECT 1 FROM withdrawal w WHERE w.id = s.id)",
        ),
    ]
}

/// G11: the stream of changes has every number once, to the last that was given, and all of it is somebody's.
pub(super) fn no_line_is_missing() -> Vec<Rule> {
    let rule = |noun, told, sql: &str| Rule { guarantee: "G11", noun, told, sql: sql.to_owned() };
    vec![
        rule(
            "history",
            "a gap in the sequence before it",
            "SELECT CAST(h.id AS TEXT) FROM history h LEFT JOIN history p \
             ON p.id = h.id - 1 WHERE h.id > 1 AND p.id IS NULL",
        ),
        rule(
            "history",
            "no number of the sequence",
            "SELECT CAST(id AS TEXT) FROM history WHERE id < 1",
        ),
        rule(
            "history",
            "is not the last that was given",
            "SELECT CAST(h.id AS TEXT) FROM (SELECT COALESCE(max(id), 0) AS id FROM history) h \
             WHERE NOT EXISTS (SELECT 1 FROM stream_head s WHERE s.id = 1 AND s.last_sequence = h.id)",
        ),
        rule(
            "withdrawal",
            "it has a history and is gone",
            "SELECT DISTINCT CAST(h.withdrawal_id AS TEXT) FROM history h WHERE NOT EXISTS \
             (SELECT 1 FROM withdrawal w WHERE w.id = h.withdrawal_id)",
        ),
    ]
}

/// G17, as far as it is about approvals alone. Those of one withdrawal and content have different reviewers by their
/// primary key.
pub(super) fn reviewers_are_others() -> Vec<Rule> {
    let rule =
        |told, sql: &str| Rule { guarantee: "G17", noun: "withdrawal", told, sql: sql.to_owned() };
    vec![
        rule(
            "reviewed by its applicant",
            "SELECT CAST(r.withdrawal_id AS TEXT) FROM review r JOIN withdrawal w \
             ON w.id = r.withdrawal_id WHERE w.user_id = r.reviewer",
        ),
        rule(
            "reviewed, and it is not there",
            "SELECT CAST(r.withdrawal_id AS TEXT) FROM review r WHERE NOT EXISTS \
             (SELECT 1 FROM withdrawal w WHERE w.id = r.withdrawal_id)",
        ),
    ]
}

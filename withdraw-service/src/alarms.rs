//! The names of all alarms: lines of the log with a field `alarm`, which want a person.
//!
//! Each is counted from the start, at nought: whoever watches a number sees it rise the first time too. Must not
//! know: when one is sounded.

/// All of them, as docs/operations.md explains them.
pub const ALARMS: [&str; 14] = [
    "answer_differs",
    "attempt_changed",
    "certificate_refused",
    "changed_notification",
    "channel_paused",
    "float_short",
    "foreign_attempt",
    "foreign_notification",
    "notification_contradiction",
    "notification_mismatch",
    "notification_says_paid",
    "notification_unknown_number",
    "number_taken",
    "strange_notification",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use anyhow::Context;

    use super::*;

    fn sources(directory: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                sources(&path, into)?;
            } else if path != Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/alarms.rs")) {
                into.push(path);
            }
        }
        Ok(())
    }

    #[test]
    fn every_alarm_that_is_sounded_is_named_here_and_explained_to_operators() -> anyhow::Result<()>
    {
        let home = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = Vec::new();
        sources(&home.join("src"), &mut paths)?;
        let texts: Result<Vec<_>, _> = paths.iter().map(std::fs::read_to_string).collect();
        let text = texts?.concat();
        let all = BTreeSet::from(ALARMS);
        for name in &all {
            assert!(text.contains(&format!("\"{name}\"")), "{name} is never sounded");
        }
        for sounded in text.split("alarm = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(all.contains(sounded), "{sounded} is not named");
        }
        let told = std::fs::read_to_string(home.join("../docs/operations.md"))?;
        let told = told.split_once("Log lines with a field `alarm`").context("the list")?.1;
        let told = told.split_once("\n\n").context("its end")?.0;
        for name in &all {
            assert!(told.contains(&format!("`{name}`")), "{name} is not explained");
        }
        Ok(())
    }
}

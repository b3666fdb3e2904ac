//! Rules of the source, each with its reason, checked on the source itself: the design's dependency
//! directions, sizes, and what must never stand in the code.

mod layers;
mod source;

use std::collections::BTreeSet;

use source::{Source, files, root, sources};

/// A file over this is two files.
const FILE_LINES: usize = 400;
/// A function over this does more than one thing.
const FUNCTION_LINES: usize = 70;
/// A table of cases is one thing, however many cases it has; over this it is two tables.
const TEST_LINES: usize = 100;

/// Collects what is wrong in all files, so that one run tells everything.
fn all(rule: impl Fn(&Source) -> Vec<String>) -> anyhow::Result<()> {
    let wrong: Vec<String> = sources()?.iter().flatten_with(rule);
    anyhow::ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

trait FlattenWith<'a> {
    fn flatten_with(self, rule: impl Fn(&Source) -> Vec<String>) -> Vec<String>;
}

impl<'a, I: Iterator<Item = &'a Source>> FlattenWith<'a> for I {
    fn flatten_with(self, rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
        self.flat_map(|source| {
            let path = &source.path;
            rule(source).into_iter().map(|what| format!("{path}: {what}")).collect::<Vec<_>>()
        })
        .collect()
    }
}

#[test]
fn every_file_opens_with_what_it_owns() -> anyhow::Result<()> {
    all(|file| {
        let opens = file.text.starts_with("//!");
        if opens { vec![] } else { vec!["does not open with //!".to_owned()] }
    })
}

#[test]
fn no_file_is_longer_than_a_person_reads_in_one_go() -> anyhow::Result<()> {
    all(|file| {
        let lines = file.text.lines().count();
        if lines <= FILE_LINES { vec![] } else { vec![format!("{lines} lines of {FILE_LINES}")] }
    })
}

#[test]
fn no_function_is_longer_than_a_screen() -> anyhow::Result<()> {
    all(|file| {
        let product = file.product().lines().count();
        let limit = |at: usize| if at < product { FUNCTION_LINES } else { TEST_LINES };
        let long = file.functions().into_iter().filter(|f| f.lines > limit(f.at));
        long.map(|f| format!("fn {} has {} lines of {}", f.name, f.lines, limit(f.at))).collect()
    })
}

/// What must not stand in any code of ours, and why.
const BANNED: &[(&str, &str)] = &[
    ("todo!", "what is not done is not merged"),
    ("unimplemented!", "what is not done is not merged"),
    ("dbg!", "logs go through tracing, with facts as fields"),
    ("#[ignore", "a test that does not run proves nothing"),
];

/// What must not stand in code that serves requests, and why.
const BANNED_IN_PRODUCT: &[(&str, &str)] = &[
    (".unwrap()", "a request must not be able to bring a handler down"),
    (".expect(", "a request must not be able to bring a handler down"),
    ("panic!(", "a request must not be able to bring a handler down"),
    ("SystemTime::now(", "time comes from the clock that tests can set"),
    ("rand::rng()", "randomness comes from the source that tests can seed"),
    ("std::env::var(", "settings come from the table of settings"),
];

/// Where one of [`BANNED_IN_PRODUCT`] is at home.
const AT_HOME: &[(&str, &str)] =
    &[("common/src/clock.rs", "SystemTime::now("), ("proto/build.rs", "std::env::var(")];

#[test]
fn nothing_unfinished_and_nothing_that_can_bring_a_handler_down() -> anyhow::Result<()> {
    all(|file| {
        let everywhere = BANNED.iter().filter(|(what, _)| file.code.contains(what));
        let product = if file.path.starts_with("testing/") { "" } else { file.product() };
        let here = |what: &str| AT_HOME.iter().any(|(p, w)| *p == file.path && *w == what);
        let in_product =
            BANNED_IN_PRODUCT.iter().filter(|(what, _)| product.contains(what) && !here(what));
        everywhere.chain(in_product).map(|(what, why)| format!("`{what}`: {why}")).collect()
    })
}

#[test]
fn money_is_never_a_binary_fraction() -> anyhow::Result<()> {
    all(|file| {
        let found = ["f32", "f64"].into_iter().filter(|word| file.has_word(word));
        found.map(|word| format!("{word}: a binary fraction cannot hold a cent")).collect()
    })
}

#[test]
fn sql_stands_in_the_store_and_nowhere_else() -> anyhow::Result<()> {
    // Common offers the engines to stores, testing makes databases.
    let at_home = |path: &str| {
        path.contains("/store/")
            || path.ends_with("/store.rs")
            || path.starts_with("common/")
            || path.starts_with("testing/")
            || path.split('/').any(|part| part == "tests")
    };
    all(|file| {
        if at_home(&file.path) {
            return vec![];
        }
        let verbs = ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "\"WITH "];
        let product = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        let calls = ["sqlx::query", "query_as(", "query_scalar(", "raw_sql("];
        let found = verbs.into_iter().chain(calls).filter(|what| product.contains(what));
        found.map(|what| format!("{what}…: SQL outside the store")).collect()
    })
}

#[test]
fn migrations_of_both_engines_have_the_same_numbers_and_names() -> anyhow::Result<()> {
    let all = files("sql")?;
    let of = |engine: &str| -> Vec<String> {
        let part = format!("/migrations/{engine}/");
        all.iter().filter(|p| p.contains(&part)).map(|p| p.replace(&part, "/")).collect()
    };
    assert!(!of("sqlite").is_empty(), "no migrations were found");
    assert_eq!(of("sqlite"), of("postgres"));
    Ok(())
}

/// The contract is read by people who do not have the code.
#[test]
fn every_proto_field_says_what_it_means() -> anyhow::Result<()> {
    let (mut fields, mut wrong) = (0, Vec::new());
    for path in files("proto")? {
        let text = std::fs::read_to_string(root().join(&path))?;
        let mut before = "";
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            // `string key = 1;` and not the enum's `KEY = 1;` nor `syntax = "proto3";`.
            if line.starts_with(' ') && words.len() >= 4 && words[words.len() - 2] == "=" {
                fields += 1;
                if !before.trim_start().starts_with("//") {
                    wrong.push(format!("{path}: {}", line.trim()));
                }
            }
            before = line;
        }
    }
    assert!(fields > 300, "only {fields} fields were found");
    anyhow::ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

/// The words of a line that alarms could be: `float_short`, in quotes of that kind.
fn names(line: &str, quote: char) -> impl Iterator<Item = &str> {
    let named = |word: &&str| {
        word.contains('_') && word.chars().all(|c| c == '_' || c.is_ascii_lowercase())
    };
    line.split(quote).skip(1).step_by(2).filter(named)
}

/// Who is woken at night looks there.
#[test]
fn operators_are_told_every_alarm_and_no_other() -> anyhow::Result<()> {
    let mut sounded = BTreeSet::new();
    for file in sources()? {
        let product = file.product().lines().count();
        let functions = file.functions();
        let inside = |at: usize| {
            let alarms = functions.iter().filter(|f| f.name == "alarm");
            alarms.into_iter().any(|f| (f.at..f.at + f.lines).contains(&at))
        };
        for (at, line) in file.text.lines().enumerate().take(product) {
            if source::words(line).any(|word| word == "alarm") || inside(at) {
                sounded.extend(names(line, '"').map(str::to_owned));
            }
        }
    }
    let guide = std::fs::read_to_string(root().join("docs/operations.md"))?;
    let (_, list) = guide.split_once("a field `alarm`").unwrap_or_default();
    let (list, _) = list.split_once("\n\n").unwrap_or_default();
    let told: BTreeSet<String> = names(list, '`').map(str::to_owned).collect();
    assert!(told.len() > 9, "the list was not found");
    assert_eq!(sounded, told, "left: in the code; right: in docs/operations.md");
    Ok(())
}

#[test]
fn the_repository_speaks_of_the_project_alone() -> anyhow::Result<()> {
    // Spelled in two parts so that this file does not find itself.
    let strange = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("issues", " show")];
    let mut wrong = Vec::new();
    for ending in ["rs", "md", "toml", "proto", "sql"] {
        for path in files(ending)? {
            let text = std::fs::read_to_string(root().join(&path))?;
            let found = strange.iter().filter(|s| text.contains(**s));
            wrong.extend(found.map(|s| format!("{path}: {s}")));
        }
    }
    anyhow::ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

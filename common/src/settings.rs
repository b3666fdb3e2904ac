//! Settings: defaults in code, then a TOML file, then the environment, then flags. Every mistake is
//! reported at once with the setting's name; secrets are never printed.
//!
//! A service declares a table of [`Setting`]s; flags, file keys, help and the README's table all come
//! from it. Must not know: what a setting is for.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, ArgMatches, Command};

/// One setting. The environment name is its name; the flag is `--lower-case`, the file key
/// `lower_case`, both without a leading `CASHOUT_`.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The name, e.g. `GATEWAY_LISTEN`.
    pub name: &'static str,
    /// What applies when nothing is set; empty means none. `{data}` stands for the data directory.
    pub default: &'static str,
    /// Never printed.
    pub secret: bool,
    /// What it does, its unit and its rule, in one line.
    pub doc: &'static str,
}

impl Setting {
    /// A plain setting.
    #[must_use]
    pub const fn new(name: &'static str, default: &'static str, doc: &'static str) -> Self {
        Self { name, default, secret: false, doc }
    }

    /// A setting that is never printed.
    #[must_use]
    pub const fn secret(name: &'static str, doc: &'static str) -> Self {
        Self { name, default: "", secret: true, doc }
    }

    /// `--gateway-listen` without the dashes in front.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key().replace('_', "-")
    }

    /// The key in a TOML file.
    #[must_use]
    pub fn key(&self) -> String {
        self.name.strip_prefix("CASHOUT_").unwrap_or(self.name).to_ascii_lowercase()
    }
}

/// Settings of every process.
pub const SHARED: &[Setting] = &[
    Setting::new(
        "CASHOUT_DATA_DIR",
        "./data",
        "Directory of the SQLite files and the development key.",
    ),
    Setting::new(
        "CASHOUT_CONFIG",
        "",
        "TOML file with settings; keys are the flags with `_` for `-`.",
    ),
    Setting::new(
        "CASHOUT_TIME_ZONE",
        "Asia/Shanghai",
        "IANA time zone of local times, days and the daily limit.",
    ),
    Setting::new(
        "CASHOUT_LOG",
        "info",
        "Log level or filter, e.g. `debug` or `warn,cashout=info`.",
    ),
    Setting::new("CASHOUT_LOG_FORMAT", "text", "`text` or `json`."),
    Setting::new(
        "CASHOUT_METRICS_LISTEN",
        "",
        "Address of `/metrics` for Prometheus, for operators alone; without it there is none.",
    ),
];

/// All mistakes of a configuration, one per line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Mistakes(pub Vec<String>);

/// Settings with their values in place, read one by one; mistakes are collected until [`Values::finish`].
#[derive(Debug)]
pub struct Values {
    table: Vec<Setting>,
    set: HashMap<&'static str, String>,
    supposed: HashMap<&'static str, String>,
    mistakes: Vec<String>,
}

/// Adds a flag for every setting to a command.
#[must_use]
pub fn with_flags(mut command: Command, table: &[Setting]) -> Command {
    for setting in table {
        let default = if setting.default.is_empty() {
            String::new()
        } else {
            format!(" [default: {}]", setting.default)
        };
        let help = format!("{} [env: {}]{default}", setting.doc, setting.name);
        command = command.arg(
            Arg::new(setting.name).long(setting.flag()).value_name("VALUE").global(true).help(help),
        );
    }
    command
}

impl Values {
    /// Collects the values of `table` from parsed flags, the process's environment and the file that
    /// `CASHOUT_CONFIG` names.
    #[must_use]
    pub fn collect(table: &[Setting], flags: &ArgMatches) -> Self {
        let environment = |name: &str| std::env::var_os(name);
        Self::layered(table, |name| flags.get_one::<String>(name).cloned(), environment)
    }

    /// Defaults with some values set, for tests and for embedding.
    #[must_use]
    pub fn given(table: &[Setting], set: &[(&'static str, &str)]) -> Self {
        let find = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Self::layered(table, find, |_| None)
    }

    fn layered(
        table: &[Setting],
        flag: impl Fn(&str) -> Option<String>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let (set, supposed) = (HashMap::new(), HashMap::new());
        let mut values = Self { table: table.to_vec(), set, supposed, mistakes: Vec::new() };
        for setting in table {
            let from_environment =
                environment(setting.name).and_then(|value| match value.into_string() {
                    Ok(text) => Some(text),
                    Err(_) => {
                        values.mistakes.push(format!("{}: must be UTF-8", setting.name));
                        None
                    }
                });
            if let Some(value) = flag(setting.name).or(from_environment) {
                values.set.insert(setting.name, value);
            }
        }
        if let Some(path) = values.set.get("CASHOUT_CONFIG").cloned().filter(|p| !p.is_empty()) {
            values.read_file(Path::new(&path));
        }
        values
    }

    fn read_file(&mut self, path: &Path) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return self.mistake(
                    "CASHOUT_CONFIG",
                    &format!("cannot read {}: {error}", path.display()),
                );
            }
        };
        let file: toml::Table = match text.parse() {
            Ok(file) => file,
            Err(error) => {
                return self.mistake("CASHOUT_CONFIG", &format!("not TOML: {}", error.message()));
            }
        };
        for (key, value) in file {
            let Some(setting) = self.table.iter().find(|s| s.key() == key).copied() else {
                self.mistakes.push(format!("{key}: no such setting (in {})", path.display()));
                continue;
            };
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(on) => on.to_string(),
                // A fraction must be quoted: TOML's is binary and may not be what was written.
                _ => {
                    self.mistakes.push(format!(
                        "{}: must be a string, an integer or true/false",
                        setting.name
                    ));
                    continue;
                }
            };
            self.set.entry(setting.name).or_insert(text);
        }
    }

    /// Reads a setting with `parse`, which tells the rule when it is broken. After a mistake the
    /// default stands in, so that reading can go on and find the other mistakes.
    pub fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name);
        match parse(&text) {
            Ok(value) => Some(value),
            Err(rule) => {
                self.mistake(name, &rule);
                None
            }
        }
    }

    /// Reads a setting by its type's own parser.
    pub fn parse<T: std::str::FromStr>(&mut self, name: &'static str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        self.read(name, |text| text.parse().map_err(|e: T::Err| e.to_string()))
    }

    /// The text of a setting, or its default. `{data}` in a default becomes the data directory.
    #[must_use]
    pub fn text(&self, name: &'static str) -> String {
        if let Some(value) = self.set.get(name).or_else(|| self.supposed.get(name)) {
            return value.clone();
        }
        let default = self.table.iter().find(|s| s.name == name).map_or("", |s| s.default);
        if default.contains("{data}") {
            return default.replace("{data}", self.text("CASHOUT_DATA_DIR").trim_end_matches('/'));
        }
        default.to_owned()
    }

    /// Whether a setting was set by anybody, or supposed.
    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        let value = self.set.get(name).or_else(|| self.supposed.get(name));
        value.is_some_and(|v| !v.is_empty())
    }

    /// A default that only the program can know: stronger than the table's, weaker than what anybody
    /// set. A setting that is not in the table is left alone.
    pub fn suppose(&mut self, name: &str, value: impl Into<String>) {
        if let Some(setting) = self.table.iter().find(|s| s.name == name) {
            self.supposed.insert(setting.name, value.into());
        }
    }

    /// Whether there is such a setting.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.table.iter().any(|s| s.name == name)
    }

    /// Notes a mistake that is not in one value alone.
    pub fn mistake(&mut self, name: &str, rule: &str) {
        let secret = self.table.iter().any(|s| s.name == name && s.secret)
            // An address may hold a password.
            || self.set.get(name).is_some_and(|value| value.contains('@'));
        let got = self
            .set
            .get(name)
            .filter(|_| !secret)
            .map(|v| format!(" (got {v:?})"))
            .unwrap_or_default();
        let told = format!("{name}: {rule}{got}");
        // Two services may read the same setting.
        if !self.mistakes.contains(&told) {
            self.mistakes.push(told);
        }
    }

    /// The configuration made of values that were read, or every mistake. Call it last: `None` stands
    /// for a value that was a mistake.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn finish<T>(self, made: Option<T>) -> Result<T, Mistakes> {
        match made {
            Some(value) if self.mistakes.is_empty() => Ok(value),
            _ => Err(Mistakes(self.mistakes)),
        }
    }
}

/// Reads `90s`, `10m`, `1h`, `7d`.
///
/// # Errors
/// The rule, when it is broken.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    let rule = || "must be a whole number and a unit: 500ms, 90s, 10m, 1h or 7d".to_owned();
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(rule)?;
    let (digits, unit) = text.split_at(split);
    let amount: u64 = digits.parse().map_err(|_| rule())?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(rule()),
    };
    amount.checked_mul(ms).map(std::time::Duration::from_millis).ok_or_else(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Setting] = &[
        Setting::new("CASHOUT_DATA_DIR", "./data", ""),
        Setting::new("CASHOUT_CONFIG", "", ""),
        Setting::new("A_PORT", "80", ""),
        Setting::new("A_FILE", "sqlite://{data}/a.db", ""),
        Setting::secret("A_SECRET", ""),
    ];

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "a_port = 1\ndata_dir = \"/x/\"\n")?;
        let path = path.display().to_string();
        let read = |flag: Option<&'static str>, env: Option<&'static str>| {
            let values = Values::layered(
                TABLE,
                |name| {
                    if name == "CASHOUT_CONFIG" {
                        Some(path.clone())
                    } else {
                        flag.filter(|_| name == "A_PORT").map(str::to_owned)
                    }
                },
                |name| env.filter(|_| name == "A_PORT").map(OsString::from),
            );
            (values.text("A_PORT"), values.text("A_FILE"))
        };
        assert_eq!(read(Some("3"), Some("2")).0, "3");
        assert_eq!(read(None, Some("2")).0, "2");
        assert_eq!(read(None, None), ("1".to_owned(), "sqlite:///x/a.db".to_owned()));
        assert_eq!(Values::given(TABLE, &[]).text("A_PORT"), "80");
        Ok(())
    }

    #[test]
    fn what_is_supposed_wins_over_defaults_alone() {
        let mut values = Values::given(TABLE, &[("A_SECRET", "set")]);
        for (name, value) in [("A_PORT", "81"), ("A_SECRET", "supposed"), ("NOT_THERE", "x")] {
            values.suppose(name, value);
        }
        assert_eq!((values.text("A_PORT"), values.text("A_SECRET")), ("81".into(), "set".into()));
        assert!(values.is_set("A_PORT") && !values.is_set("NOT_THERE"));
        assert!(values.knows("A_FILE") && !values.knows("NOT_THERE"));
    }

    #[test]
    fn every_mistake_is_told_at_once_and_secrets_are_not() {
        let mut values = Values::given(TABLE, &[("A_PORT", "many"), ("A_SECRET", "hush")]);
        let port: Option<u16> = values.parse("A_PORT");
        let secret: Option<u16> = values.parse("A_SECRET");
        let told = values.finish(port.zip(secret)).err().map(|m| m.to_string()).unwrap_or_default();
        assert!(
            told.contains("A_PORT") && told.contains("many") && told.contains("A_SECRET"),
            "{told}"
        );
        assert!(!told.contains("hush"), "{told}");
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("90s").ok(), Some(std::time::Duration::from_secs(90)));
        for bad in
            ["", "90", "s", "1.5h", "-1s", "1y", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}

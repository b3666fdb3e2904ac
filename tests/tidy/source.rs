//! Reading the workspace's own source: its files, their code without comments and text, their
//! functions. Must not know: any rule.

use std::path::{Path, PathBuf};

/// One Rust file of the workspace.
pub struct Source {
    /// From the root of the workspace, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// With comments, texts and characters blanked out, line by line the same.
    pub code: String,
}

/// One function and where it stands.
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line it begins in, from 0.
    pub at: usize,
    /// From `fn` to the closing brace.
    pub lines: usize,
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of ours, in order of path.
pub fn sources() -> anyhow::Result<Vec<Source>> {
    files("rs")?
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(root().join(&path))?;
            let code = blanked(&text);
            Ok(Source { path, text, code })
        })
        .collect()
}

/// Every file of ours with that ending, from the root, in order. Build output, version control and
/// the SDKs that tests install are not ours.
pub fn files(ending: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(root().join(&directory))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = directory.join(&name);
            if entry.file_type()?.is_dir() {
                if !["target", "data", ".git", ".sdk"].contains(&name.as_str()) {
                    waiting.push(path);
                }
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

impl Source {
    /// The code before the file's tests, which follow other rules.
    pub fn product(&self) -> &str {
        if self.path.split('/').any(|part| part == "tests") || self.path.ends_with("_tests.rs") {
            return "";
        }
        self.code.split("#[cfg(test)]").next().unwrap_or_default()
    }

    /// Whether `word` stands in the code as a word of its own.
    pub fn has_word(&self, word: &str) -> bool {
        words(&self.code).any(|w| w == word)
    }

    /// Every function with a body.
    pub fn functions(&self) -> Vec<Function> {
        let lines: Vec<&str> = self.code.lines().collect();
        let starts = lines.iter().enumerate().filter_map(|(at, line)| {
            let mut words = words(line).skip_while(|w| *w != "fn");
            words.next()?;
            Some((at, words.next()?.to_owned()))
        });
        starts.map(|(at, name)| Function { name, at, lines: length(&lines[at..]) }).collect()
    }
}

/// Identifiers and keywords of a piece of code.
pub fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty())
}

/// Lines until the function that starts in the first one is over.
fn length(lines: &[&str]) -> usize {
    let mut depth = 0_i32;
    for (count, line) in lines.iter().enumerate() {
        for c in line.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                // A declaration without a body.
                ';' if depth == 0 && !line.contains('[') => return count + 1,
                _ => continue,
            }
            if c == '}' && depth <= 0 {
                return count + 1;
            }
        }
    }
    lines.len()
}

/// Code with everything blanked out that is not code.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = not_code(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
            continue;
        }
        for c in &chars[at..end.min(chars.len())] {
            code.push(if *c == '\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    code
}

/// Where the comment, text or character that begins `at` ends; `at` itself when none begins.
fn not_code(chars: &[char], at: usize) -> usize {
    let is = |at: usize, c: char| chars.get(at) == Some(&c);
    let find = |from: usize, what: &str| {
        let what: Vec<char> = what.chars().collect();
        let found = (from..chars.len()).find(|i| chars[*i..].starts_with(&what));
        found.map_or(chars.len(), |i| i + what.len())
    };
    match chars[at] {
        '/' if is(at + 1, '/') => find(at, "\n").saturating_sub(1).max(at + 2),
        '/' if is(at + 1, '*') => find(at + 2, "*/"),
        'r' if (is(at + 1, '"') || is(at + 1, '#')) && !(at > 0 && is_name(chars[at - 1])) => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if !is(at + 1 + hashes, '"') {
                return at;
            }
            find(at + 2 + hashes, &format!("\"{}", "#".repeat(hashes)))
        }
        '"' => quoted(chars, at, '"'),
        // A lifetime has no closing quote two or three characters on.
        '\'' if is(at + 1, '\\') || is(at + 2, '\'') => quoted(chars, at, '\''),
        _ => at,
    }
}

fn quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn comments_texts_and_characters_are_not_code() {
    for (text, code) in [
        ("a // f64\nb", "a       \nb"),
        ("x(\"f64 \\\" {\", 'y')", "x(          ,    )"),
        ("r#\"{\"# ;", "       ;"),
        ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ("'\\'' {", "     {"),
    ] {
        assert_eq!(blanked(text).trim_end(), code.trim_end(), "{text}");
    }
}

#[test]
fn a_function_is_as_long_as_its_lines() {
    let text = "fn one() { 1 }\nasync fn two(\n  a: u8,\n) -> u8 {\n  if a { 1 } else { 2 }\n}\ntrait T {\n fn no_body(&self);\n}\n";
    let source = Source { path: String::new(), text: String::new(), code: blanked(text) };
    let lengths: Vec<(String, usize)> =
        source.functions().into_iter().map(|f| (f.name, f.lines)).collect();
    let expected = [("one", 1), ("two", 5), ("no_body", 1)];
    assert_eq!(lengths, expected.map(|(name, lines)| (name.to_owned(), lines)));
}

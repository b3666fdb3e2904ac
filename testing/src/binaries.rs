//! Finding PostgreSQL's server binaries. Must not know: what is done with them.

use std::path::{Path, PathBuf};

/// The directory with `initdb` and `postgres`: the first on the PATH, else the newest installed by a
/// distribution's package.
pub fn newest() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|dir| complete(dir));
    on_path.or_else(|| in_packages(Path::new("/usr/lib/postgresql")))
}

/// `<root>/<major version>/bin`, newest version first.
fn in_packages(root: &Path) -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(root)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            complete(&bin).then_some((version, bin))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn complete(dir: &Path) -> bool {
    dir.is_absolute() && dir.join("initdb").exists() && dir.join("postgres").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_complete_package_is_taken() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        for (version, files) in
            [("9", &["initdb", "postgres"][..]), ("15", &["initdb", "postgres"]), ("16", &["psql"])]
        {
            let bin = root.path().join(version).join("bin");
            std::fs::create_dir_all(&bin)?;
            for file in files {
                std::fs::write(bin.join(file), "")?;
            }
        }
        assert_eq!(in_packages(root.path()), Some(root.path().join("15/bin")));
        assert_eq!(in_packages(&root.path().join("nowhere")), None);
        Ok(())
    }
}

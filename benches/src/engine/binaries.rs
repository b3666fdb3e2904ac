//! Finding PostgreSQL's server binaries. Must not know: what is done with them.

use std::path::{Path, PathBuf};

/// The directory with `initdb` and `postgres`: the first on the PATH, else the newest installed by a
/// distribution's package.
pub fn newest() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|directory| complete(directory));
    on_path.or_else(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
        let versions = versions.filter_map(|version| {
            let number: u32 = version.file_name().to_str()?.parse().ok()?;
            let directory = version.path().join("bin");
            complete(&directory).then_some((number, directory))
        });
        versions.max().map(|(_, directory)| directory)
    })
}

fn complete(directory: &Path) -> bool {
    let has = |name: &str| directory.join(name).exists();
    directory.is_absolute() && has("initdb") && has("postgres")
}

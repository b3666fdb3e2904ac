//! The README's table of settings is the table of the code.

use std::path::Path;

const BEGIN: &str = "<!-- settings: begin, written by the test settings_table -->\n";
const END: &str = "<!-- settings: end -->";

#[test]
fn the_readme_lists_every_setting_as_it_is() -> anyhow::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path)?;
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(|| anyhow::anyhow!("no {BEGIN}"))?;
    let (listed, after) = rest.split_once(END).ok_or_else(|| anyhow::anyhow!("no {END}"))?;
    let table = cashout::settings::markdown();
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))?;
        return Ok(());
    }
    anyhow::ensure!(listed == table, "run this test with UPDATE_README=1; it should say:\n{table}");
    Ok(())
}

#[test]
fn no_two_settings_share_a_flag_and_a_shared_one_is_the_same_everywhere() {
    let mut flags: Vec<String> = cashout::settings::table().iter().map(|s| s.flag()).collect();
    let count = flags.len();
    flags.sort();
    flags.dedup();
    assert_eq!(flags.len(), count);
    for (who, settings) in cashout::settings::sections() {
        for setting in settings {
            let known = cashout::settings::table().into_iter().find(|s| s.name == setting.name);
            let same =
                known.is_some_and(|k| k.default == setting.default && k.secret == setting.secret);
            assert!(same, "{who} declares {} otherwise than others", setting.name);
        }
    }
}

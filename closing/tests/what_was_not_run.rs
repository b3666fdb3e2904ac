//! The last lines of `cargo test --workspace`: what this machine could not run, loudly.

use std::io::Write;

#[test]
fn what_was_not_run_is_said_and_under_ci_it_is_a_failure() -> anyhow::Result<()> {
    let Some(missing) = cashout_testing::not_run() else { return Ok(()) };
    let rule = "!".repeat(missing.len());
    // Written past the harness, which swallows what tests print.
    writeln!(std::io::stderr(), "\n{rule}\n{missing}\n{rule}")?;
    anyhow::ensure!(!cashout_testing::under_ci(), "CI is set: {missing}");
    Ok(())
}

//! `cashout token`: prints a token signed with the development key, and nothing else.

use std::path::PathBuf;

use cashout_common::number::parse_id;
use cashout_common::settings::{Values, duration};
use cashout_common::world::World;
use clap::{Arg, ArgAction, ArgMatches, Command};
use gateway::DevelopmentToken;

/// What the command takes besides the settings.
pub fn arguments() -> Command {
    let many = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("NAME").action(ArgAction::Append).help(help)
    };
    Command::new("token")
        .about("Print a token signed with the development key, and nothing else")
        .arg(
            Arg::new("user")
                .long("user")
                .value_name("ID")
                .required(true)
                .value_parser(|text: &str| {
                    parse_id(text).ok_or("must be a number from 1 to 2^53-1")
                })
                .help("Whose token it is"),
        )
        .arg(many("role", "`user`, `teacher` or `admin`; may be repeated [default: user]"))
        .arg(many("permission", "e.g. `cash.review`; may be repeated"))
        .arg(
            Arg::new("ttl")
                .long("ttl")
                .value_name("TIME")
                .default_value("1h")
                .value_parser(|text: &str| duration(text))
                .help("How long it is valid"),
        )
}

/// A token for the person that the arguments name.
pub fn token(values: Values, matches: &ArgMatches) -> anyhow::Result<String> {
    let signer = Signer::read(&values)?;
    values.finish(Some(()))?;
    let user =
        *matches.get_one::<i64>("user").ok_or_else(|| anyhow::anyhow!("--user is missing"))?;
    let ttl = *matches
        .get_one::<std::time::Duration>("ttl")
        .ok_or_else(|| anyhow::anyhow!("--ttl is missing"))?;
    let mut roles = crate::many(matches, "role");
    if roles.is_empty() {
        roles.push("user".to_owned());
    }
    signer.sign(user, &roles, &crate::many(matches, "permission"), ttl)
}

/// Signs with the development key, for a gateway with the same settings.
#[derive(Debug)]
pub struct Signer {
    data: PathBuf,
    issuer: String,
    audience: String,
}

impl Signer {
    /// Reads what a token must say.
    ///
    /// # Errors
    /// When the settings name another key: a gateway with them refuses the development key.
    pub fn read(values: &Values) -> anyhow::Result<Self> {
        for name in ["JWT_SECRET", "JWT_SECRET_FILE", "JWKS_FILE", "JWKS_URL"] {
            if values.is_set(name) {
                anyhow::bail!("{name} is set, so a token of the development key would be refused");
            }
        }
        Ok(Self {
            data: PathBuf::from(values.text("CASHOUT_DATA_DIR")),
            issuer: values.text("JWT_ISSUER"),
            audience: values.text("JWT_AUDIENCE"),
        })
    }

    /// A token. The key is made when it is not there.
    pub fn sign(
        &self,
        user_id: i64,
        roles: &[String],
        permissions: &[String],
        ttl: std::time::Duration,
    ) -> anyhow::Result<String> {
        let world = World::real();
        let key = gateway::development_key(&self.data, &world.random)?;
        let (issuer, audience) = (self.issuer.as_str(), self.audience.as_str());
        let now_us = world.clock.now_us();
        let token = DevelopmentToken { issuer, audience, user_id, roles, permissions, now_us, ttl };
        token.signed(&key)
    }
}

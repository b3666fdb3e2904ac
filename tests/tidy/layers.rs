//! The dependency directions of the design: which package may use which, and which part of a service
//! may use which.

use crate::source::{Source, root, sources, words};

/// A package, our packages it may use in its product, and the libraries it must not.
struct Package {
    directory: &'static str,
    ours: &'static [&'static str],
    banned: &'static [(&'static str, &'static str)],
}

const NO_SERVER: &[(&str, &str)] = &[("axum", "gRPC services speak no HTTP of their own")];
const NO_DATABASE: &[(&str, &str)] = &[("sqlx", "the gateway owns nothing")];

const PACKAGES: &[Package] = &[
    Package { directory: "proto", ours: &[], banned: &[("sqlx", "contract only")] },
    Package { directory: "common", ours: &["cashout-proto"], banned: NO_SERVER },
    Package { directory: "testing", ours: &[], banned: NO_SERVER },
    Package { directory: "closing", ours: &[], banned: &[] },
    Package {
        directory: "rails",
        ours: &[],
        banned: &[("sqlx", "pure"), ("tokio", "pure"), ("reqwest", "pure")],
    },
    // A witness of its own: it knows nothing of the services it watches.
    Package {
        directory: "sandbox",
        ours: &["rails", "cashout-common"],
        banned: &[("tonic", "providers speak HTTP")],
    },
    Package {
        directory: "benches",
        // It verifies the ledger that it has driven, as the root package does.
        ours: &["account-service", "cashout-proto", "cashout-common"],
        banned: NO_SERVER,
    },
    Package {
        directory: "account-service",
        ours: &["cashout-proto", "cashout-common"],
        banned: NO_SERVER,
    },
    Package {
        directory: "withdraw-service",
        ours: &["cashout-proto", "cashout-common", "rails"],
        banned: NO_SERVER,
    },
    Package {
        directory: "gateway",
        ours: &["cashout-proto", "cashout-common"],
        banned: NO_DATABASE,
    },
    Package {
        directory: "",
        ours: &[
            "account-service",
            "withdraw-service",
            "gateway",
            "sandbox",
            "cashout-common",
            "cashout-proto",
        ],
        banned: &[("sqlx", "the root package composes and owns no data")],
    },
];

const OURS: &[&str] = &[
    "account-service",
    "withdraw-service",
    "gateway",
    "cashout-common",
    "cashout-proto",
    "cashout-testing",
    "rails",
    "sandbox",
    "cashout",
];

/// Names in one section of a manifest: the keys, without `.workspace`.
fn section(manifest: &str, name: &str) -> Vec<String> {
    let mut inside = false;
    let mut keys = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == format!("[{name}]");
        } else if inside && let Some((key, _)) = line.split_once('=') {
            keys.push(key.trim().trim_end_matches(".workspace").to_owned());
        }
    }
    keys
}

#[test]
fn packages_use_only_what_the_design_lets_them() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for package in PACKAGES {
        let path = root().join(package.directory).join("Cargo.toml");
        let manifest = std::fs::read_to_string(&path)?;
        for used in section(&manifest, "dependencies") {
            if OURS.contains(&used.as_str()) && !package.ours.contains(&used.as_str()) {
                wrong.push(format!("{} must not use {used}", path.display()));
            }
            if let Some((_, why)) = package.banned.iter().find(|(name, _)| *name == used) {
                wrong.push(format!("{} must not use {used}: {why}", path.display()));
            }
        }
        for used in section(&manifest, "dev-dependencies") {
            let service = used == "account-service" || used == "withdraw-service";
            if service && !package.directory.is_empty() {
                wrong.push(format!("{}: even tests of a service use no other", path.display()));
            }
        }
    }
    anyhow::ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

/// A part of a service, the parts of the same crate it must not use, and the libraries it must not.
/// `main → lib → grpc | worker → service → store, ports → domain`.
const PARTS: &[(&str, &[&str], &[&str])] = &[
    (
        "domain",
        &["grpc", "worker", "service", "store", "ports", "providers", "ledger", "poster"],
        // Pure: the same on both engines, under simulation and in property tests.
        &["tonic", "prost", "sqlx", "tokio", "serde", "cashout_proto"],
    ),
    ("ports", &["grpc", "worker", "service", "store"], &["sqlx", "prost"]),
    ("store", &["grpc", "worker", "service", "providers"], &["tonic"]),
    ("service", &["grpc", "worker"], &[]),
    ("providers", &["grpc", "worker", "service"], &["tonic"]),
    ("worker", &["grpc"], &["sqlx"]),
];

#[test]
fn parts_of_a_service_look_inwards_only() -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for file in sources()? {
        for (part, parts, libraries) in PARTS {
            if !belongs(&file, part) {
                continue;
            }
            let product = file.product();
            for other in *parts {
                if product.contains(&format!("crate::{other}")) {
                    wrong.push(format!("{}: {part} must not know {other}", file.path));
                }
            }
            let uses = product.lines().filter(|l| l.contains("::"));
            let used: Vec<&str> = uses.flat_map(words).collect();
            for library in *libraries {
                if used.contains(library) {
                    wrong.push(format!("{}: {part} must not know {library}", file.path));
                }
            }
        }
    }
    anyhow::ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

/// Whether a file is that part of one of the two services that own data.
fn belongs(file: &Source, part: &str) -> bool {
    ["account-service", "withdraw-service"].iter().any(|service| {
        file.path == format!("{service}/src/{part}.rs")
            || file.path.starts_with(&format!("{service}/src/{part}/"))
    })
}

#[test]
fn services_do_not_know_each_other() -> anyhow::Result<()> {
    let names = ["account_service", "withdraw_service", "gateway"];
    let mut wrong = Vec::new();
    for file in sources()? {
        let Some((directory, _)) = file.path.split_once('/') else { continue };
        let home = directory.replace('-', "_");
        if ["tests", "src", "benches"].contains(&directory) {
            continue;
        }
        for name in names.into_iter().filter(|name| *name != home) {
            if file.code.contains(&format!("{name}::")) {
                wrong.push(format!("{}: uses {name}", file.path));
            }
        }
    }
    anyhow::ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

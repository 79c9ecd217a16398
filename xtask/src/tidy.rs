//! `cargo xtask tidy`: what a reviewer would otherwise have to say again and again.
//!
//! Arrows between crates, `//!` heads, file sizes, forbidden module names, unfinished marks. Every
//! finding is printed with its place; there is no automatic fix.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file has at most this many lines; generated messages are exempt.
const FILE_LINES_MAX: usize = 800;

/// Names that tell nothing (STYLE.md, rule 14).
const FORBIDDEN_NAMES: [&str; 6] = ["utils", "util", "common", "misc", "manager", "helpers"];

/// What a crate may depend on, of this workspace: the picture in ARCHITECTURE.md. Development
/// dependencies are free, except that nothing below the fronts may test through a front.
const ARROWS: [(&str, &[&str]); 16] = [
    ("clock", &[]),
    ("sabotage", &[]),
    ("vfs", &["clock", "sabotage"]),
    ("records", &[]),
    ("kafka-wire", &[]),
    ("storage", &["clock", "records", "sabotage", "vfs"]),
    (
        "storage-disk",
        &["clock", "records", "sabotage", "storage", "vfs"],
    ),
    ("broker", &["clock", "records", "storage"]),
    (
        "kafka-api",
        &["broker", "clock", "kafka-wire", "records", "storage", "vfs"],
    ),
    ("grpc-api", &["broker", "clock", "records", "storage"]),
    ("console", &["broker", "clock", "storage"]),
    ("kafka-client", &["kafka-wire", "records"]),
    ("load", &["kafka-client", "kafka-wire", "records"]),
    (
        "server",
        &[
            "broker",
            "clock",
            "console",
            "grpc-api",
            "kafka-api",
            "storage",
            "storage-disk",
            "vfs",
        ],
    ),
    (
        "ottla",
        &[
            "broker",
            "clock",
            "kafka-client",
            "load",
            "records",
            "server",
            "storage",
            "storage-disk",
            "vfs",
        ],
    ),
    (
        "xtask",
        &["kafka-client", "kafka-wire", "records", "sabotage"],
    ),
];

/// Crates outside the workspace that a crate must not name, because the work is not its own.
const BARRED: [(&str, &[&str]); 4] = [
    ("records", &["tokio", "tonic", "axum", "hyper"]),
    ("kafka-wire", &["tokio", "tonic", "axum", "hyper"]),
    ("storage", &["tonic", "axum", "hyper"]),
    ("broker", &["tonic", "axum", "hyper", "prost"]),
];

/// Features that remove safeguards. Only a command line may ask for them.
const SWITCHED: [&str; 2] = ["sabotage", "switches"];
/// The one feature that passes the wish on.
const SWITCHABLE: (&str, &str) = ("storage-disk", "sabotage");

/// Runs all checks on the repository that holds this source.
pub(crate) fn run() -> Result<(), String> {
    let root = crate::root();
    let metadata = metadata(&root)?;
    let mut findings = check_arrows(&arrows(&metadata));
    findings.extend(check_switches(&metadata));
    let files = rust_files(&root)?;
    for file in &files {
        let text = std::fs::read_to_string(root.join(file))
            .map_err(|e| format!("{}: {e}", file.display()))?;
        findings.extend(check_file(file, &text));
    }
    if findings.is_empty() {
        println!("tidy: {} files, nothing to say", files.len());
        return Ok(());
    }
    Err(format!(
        "{}\ntidy: {} findings",
        findings.join("\n"),
        findings.len()
    ))
}

fn rust_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let listing = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.rs",
        ])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git ls-files: {error}"))?;
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let files = listing
        .lines()
        .map(PathBuf::from)
        .filter(|file| root.join(file).exists());
    Ok(files.collect())
}

/// The findings in one source file.
fn check_file(file: &Path, text: &str) -> Vec<String> {
    let name = file.display();
    let generated = name.to_string().contains("/messages/");
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(format!("{name}:1: begins without a `//!` head"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX && !generated {
        findings.push(format!("{name}: {lines} lines, {FILE_LINES_MAX} at most"));
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let folder = file
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_string_lossy();
    for forbidden in FORBIDDEN_NAMES {
        if stem == forbidden || folder == forbidden {
            findings.push(format!(
                "{name}: \"{forbidden}\" tells nothing; name what it does"
            ));
        }
    }
    // In two pieces, so that this list does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    for (index, line) in text.lines().enumerate() {
        for mark in marks {
            if line.contains(mark) && !line.contains('#') {
                findings.push(format!(
                    "{name}:{}: {mark} without an issue number",
                    index + 1
                ));
            }
        }
    }
    findings
}

fn metadata(root: &Path) -> Result<serde_json::Value, String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root);
    let output = command
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata printed no JSON: {error}"))
}

fn arrows(metadata: &serde_json::Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut dependencies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default().to_owned();
        let of_package = dependencies.entry(name).or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["kind"].as_str() != Some("dev") {
                of_package.insert(dependency["name"].as_str().unwrap_or_default().to_owned());
            }
        }
    }
    dependencies
}

/// Manifests that would build a safeguard's removal in without being asked.
fn check_switches(metadata: &serde_json::Value) -> Vec<String> {
    let is_switch = |feature: &serde_json::Value| {
        let feature = feature.as_str().unwrap_or_default();
        SWITCHED.contains(&feature.rsplit('/').next().unwrap_or(feature))
    };
    let enables = |features: &serde_json::Value| {
        let mut features = features.as_array().into_iter().flatten();
        features.any(is_switch)
    };
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let features = package["features"].as_object().into_iter().flatten();
        for (feature, _) in features.filter(|(_, enabled)| enables(enabled)) {
            if (name, feature.as_str()) != SWITCHABLE {
                findings.push(format!(
                    "crates/{name}: feature {feature} removes safeguards"
                ));
            }
        }
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        for dependency in dependencies.filter(|it| enables(&it["features"])) {
            let on = dependency["name"].as_str().unwrap_or_default();
            findings.push(format!("crates/{name}: its {on} does without safeguards"));
        }
    }
    findings
}

fn check_arrows(dependencies: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut findings = Vec::new();
    for (package, of_package) in dependencies {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == package) else {
            findings.push(format!(
                "crates/{package}: not in the picture of ARCHITECTURE.md and tidy"
            ));
            continue;
        };
        let ours = of_package
            .iter()
            .filter(|name| dependencies.contains_key(*name));
        for dependency in ours.filter(|name| !allowed.contains(&name.as_str())) {
            findings.push(format!("crates/{package}: must not depend on {dependency}"));
        }
        let barred = BARRED
            .iter()
            .filter(|(name, _)| name == package)
            .flat_map(|(_, b)| *b);
        for dependency in barred.filter(|name| of_package.contains(**name)) {
            // tokio's channels are no input or output; the crate's own manifest limits features.
            findings.push(format!("crates/{package}: must not depend on {dependency}"));
        }
    }
    findings
}

#[cfg(test)]
mod tests;

//! Checks dependencies between crates with `cargo metadata`: direct ones by name, and for some
//! crates all transitive ones.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

/// Packages that a crate must not depend on, directly or indirectly.
struct DependencyRule {
    package: &'static str,
    /// A `*` at the end matches any suffix.
    never: &'static [&'static str],
    because: &'static str,
}

const DEPENDENCY_RULES: &[DependencyRule] = &[
    DependencyRule {
        package: "haul-parts",
        never: &["tokio", "mio", "socket2", "hyper", "http", "s3s", "aws-*", "redb", "haul*"],
        because: "parts is values and pure functions",
    },
    DependencyRule {
        package: "haul-store",
        never: &[
            "http",
            "http-body",
            "hyper*",
            "s3s",
            "axum*",
            "aws-*",
            "rustls",
            "haul",
            "haul-server",
        ],
        because: "store has never heard of HTTP or signatures",
    },
    DependencyRule {
        package: "haul",
        never: &["haul-store", "haul-server", "s3s"],
        because: "the engine sees a store only through its traits",
    },
    DependencyRule {
        package: "haul-server",
        never: &["haul", "aws-sdk-*", "clap"],
        because: "server is the protocol over haul-store",
    },
    DependencyRule {
        package: "haul-cli",
        never: &["haul-testkit", "haul-bench", "xtask"],
        because: "what is for ourselves is no dependency of anything that ships",
    },
    DependencyRule {
        package: "xtask",
        // Not tokio, although xtask is built without it: metadata shows features as the whole
        // workspace enables them.
        never: &["haul", "haul-store", "haul-server", "haul-cli"],
        because: "xtask is compiled before everything else and stays light",
    },
];

/// The graph of normal dependencies: package id to name, and to the ids it needs.
struct Graph<'a> {
    names: BTreeMap<&'a str, &'a str>,
    needs: BTreeMap<&'a str, Vec<&'a str>>,
}

pub(super) fn violations(metadata: &Value) -> Result<Vec<String>> {
    let graph = Graph::read(metadata).context("cargo metadata is not as expected")?;
    let mut found = Vec::new();
    for rule in DEPENDENCY_RULES {
        let (id, _) = graph
            .names
            .iter()
            .find(|(id, name)| **name == rule.package && id.starts_with("path+"))
            .with_context(|| format!("a rule is about {}, which does not exist", rule.package))?;
        for name in graph.all_that(id) {
            if rule.never.iter().any(|pattern| matches(pattern, name)) {
                found.push(format!("{} is built from {name}: {}", rule.package, rule.because));
            }
        }
    }
    Ok(found)
}

/// Checks that our manifests require the newest compiler that any dependency requires: an older one
/// would be a false promise, a newer one would exclude users for nothing. Clippy's
/// `incompatible_msrv` checks our own code.
pub(super) fn compiler_violations(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata.get("packages").and_then(Value::as_array);
    let packages = packages.context("cargo metadata has no packages")?;
    let asked = |package: &Value| {
        let version = package.get("rust_version").and_then(Value::as_str)?;
        Some(version.split('.').map_while(|number| number.parse().ok()).collect::<Vec<u32>>())
    };
    let is_ours = |package: &&Value| package.get("source").is_none_or(Value::is_null);
    let needed = packages.iter().filter(|package| !is_ours(package)).filter_map(asked).max();
    let needed = needed.unwrap_or_default();
    let differing = packages
        .iter()
        .filter(is_ours)
        .filter(|package| asked(package).is_none_or(|ours| ours != needed));
    let name = |package: &Value| package.get("name").map(Value::to_string).unwrap_or_default();
    let wanted = needed.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    Ok(differing
        .map(|package| {
            format!(
                "{}: rust-version is not {wanted}, the newest of all dependencies",
                name(package)
            )
        })
        .collect())
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

impl<'a> Graph<'a> {
    fn read(metadata: &'a Value) -> Option<Self> {
        let packages = metadata.get("packages")?.as_array()?;
        let names = packages
            .iter()
            .map(|package| Some((package.get("id")?.as_str()?, package.get("name")?.as_str()?)));
        let nodes = metadata.get("resolve")?.get("nodes")?.as_array()?;
        let needs = nodes.iter().map(|node| {
            let dependencies =
                node.get("deps")?.as_array()?.iter().filter(|dependency| is_normal(dependency));
            let ids = dependencies.filter_map(|dependency| dependency.get("pkg")?.as_str());
            Some((node.get("id")?.as_str()?, ids.collect()))
        });
        Some(Self { names: names.collect::<Option<_>>()?, needs: needs.collect::<Option<_>>()? })
    }

    /// Returns the names of all packages that `id` depends on, without its own.
    fn all_that(&self, id: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::from([id]);
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            let needs = self.needs.get(next).into_iter().flatten();
            open.extend(needs.copied().filter(|need| seen.insert(need)));
        }
        seen.remove(id);
        seen.into_iter().filter_map(|id| self.names.get(id).copied()).collect()
    }
}

/// Returns whether the dependency is not only for tests or build scripts.
fn is_normal(dependency: &Value) -> bool {
    let kinds = dependency.get("dep_kinds").and_then(Value::as_array);
    kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind.get("kind").is_some_and(Value::is_null)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn our_compiler_is_the_newest_that_a_dependency_asks_for() {
        let metadata = |ours: &str| {
            json!({"packages": [
                {"name": "haul", "source": null, "rust_version": ours},
                {"name": "a", "source": "registry+x", "rust_version": "1.9.2"},
                {"name": "b", "source": "registry+x", "rust_version": "1.70"},
                {"name": "c", "source": "registry+x", "rust_version": null},
            ]})
        };
        assert_eq!(compiler_violations(&metadata("1.70")).unwrap(), Vec::<String>::new());
        for wrong in ["1.69", "1.71", "1.9.2"] {
            assert_eq!(compiler_violations(&metadata(wrong)).unwrap().len(), 1, "{wrong}");
        }
    }

    #[test]
    fn everything_a_package_is_built_from_is_seen_and_tests_are_not() {
        let metadata = json!({
            "packages": [
                {"id": "a", "name": "a"}, {"id": "b", "name": "b"},
                {"id": "c", "name": "c"}, {"id": "d", "name": "d"},
            ],
            "resolve": {"nodes": [
                {"id": "a", "deps": [
                    {"pkg": "b", "dep_kinds": [{"kind": null}]},
                    {"pkg": "d", "dep_kinds": [{"kind": "dev"}]},
                ]},
                {"id": "b", "deps": [
                    {"pkg": "c", "dep_kinds": [{"kind": null}]},
                    {"pkg": "a", "dep_kinds": [{"kind": null}]},
                ]},
                {"id": "c", "deps": []}, {"id": "d", "deps": []},
            ]},
        });
        let graph = Graph::read(&metadata).unwrap();
        assert_eq!(graph.all_that("a"), BTreeSet::from(["b", "c"]));
        assert!(
            matches("aws-*", "aws-sigv4")
                && matches("haul", "haul")
                && !matches("haul", "haul-parts")
        );
    }
}

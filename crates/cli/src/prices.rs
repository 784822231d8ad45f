//! Estimates the monthly cost of unfinished uploads from a small dated table that the user can
//! override.
//!
//! No cost is shown where no price is known. The host of an endpoint identifies its provider.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::failure::FailureContext;

const OURS: &str = include_str!("prices.toml");
const GIB: f64 = 1_073_741_824.0;

/// A table of prices.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The date of the prices: `2025-04`.
    as_of: String,
    /// The currency, such as `USD`.
    currency: String,
    #[serde(default)]
    price: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The provider: `aws`, `r2`, `b2`, or the host name of an endpoint.
    provider: String,
    /// The regions; empty means every region.
    #[serde(default)]
    regions: Vec<String>,
    class: String,
    per_gib_month: f64,
}

/// The price of one storage class at one location.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Price {
    per_gib_month: f64,
    currency: String,
    as_of: String,
}

/// The price tables, the user's first.
#[derive(Clone, Debug)]
pub(crate) struct Prices(Vec<Table>);

impl Prices {
    /// Reads the user's file, if given, and the built-in table.
    pub(crate) fn read(given: Option<&Path>) -> anyhow::Result<Self> {
        let given = given.map(PathBuf::from).or_else(|| {
            std::env::var_os("HAUL_PRICES").filter(|path| !path.is_empty()).map(PathBuf::from)
        });
        let mut tables = Vec::new();
        if let Some(path) = given {
            let context =
                || FailureContext::of(format!("cannot use the prices of {}", path.display()));
            let text = std::fs::read_to_string(&path).with_context(context)?;
            tables.push(toml::from_str(&text).with_context(context)?);
        }
        tables.push(toml::from_str(OURS).context("the built-in prices cannot be read")?);
        Ok(Self(tables))
    }

    /// Returns the price of a class at an endpoint; `None` if it is unknown.
    pub(crate) fn of(&self, endpoint: &str, class: Option<&str>) -> Option<Price> {
        let location = Location::of(endpoint);
        let class = billed_as(location.provider, class.unwrap_or("STANDARD"));
        self.0.iter().find_map(|table| {
            let entry = table.price.iter().find(|entry| {
                (entry.provider == location.provider || entry.provider == location.host)
                    && (entry.regions.is_empty()
                        || entry
                            .regions
                            .iter()
                            .any(|region| Some(region.as_str()) == location.region))
                    && entry.class == class
            })?;
            let (currency, as_of) = (table.currency.clone(), table.as_of.clone());
            Some(Price { per_gib_month: entry.per_gib_month, currency, as_of })
        })
    }
}

impl Price {
    /// Returns the monthly cost of `bytes`.
    pub(crate) fn cost(&self, bytes: u64) -> f64 {
        // The cost is an estimate, so the last digits do not matter.
        #[allow(clippy::cast_precision_loss)]
        let gib = bytes as f64 / GIB;
        gib * self.per_gib_month
    }

    /// Formats an amount such as `0.12 USD`.
    pub(crate) fn amount(&self, cost: f64) -> String {
        if cost > 0.0 && cost < 0.005 {
            format!("<0.01 {}", self.currency)
        } else {
            format!("{cost:.2} {}", self.currency)
        }
    }

    /// Returns the currency, such as `USD`.
    pub(crate) fn currency(&self) -> &str {
        &self.currency
    }

    /// Returns the date of the prices, such as `2025-04`.
    pub(crate) fn as_of(&self) -> &str {
        &self.as_of
    }
}

/// Returns the billed class: AWS bills the parts of an upload to Glacier or Deep Archive as
/// Standard until it is complete.
fn billed_as<'a>(provider: &str, class: &'a str) -> &'a str {
    match class {
        "GLACIER" | "DEEP_ARCHIVE" if provider == "aws" => "STANDARD",
        other => other,
    }
}

struct Location<'a> {
    provider: &'a str,
    host: &'a str,
    region: Option<&'a str>,
}

impl<'a> Location<'a> {
    fn of(endpoint: &'a str) -> Self {
        let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        let below = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        if below("amazonaws.com") {
            return Self { provider: "aws", host, region: Some(aws_region(host)) };
        }
        let provider = [("r2.cloudflarestorage.com", "r2"), ("backblazeb2.com", "b2")]
            .into_iter()
            .find_map(|(domain, provider)| below(domain).then_some(provider));
        Self { provider: provider.unwrap_or(host), host, region: None }
    }
}

/// Parses the region of `s3.eu-central-1.amazonaws.com`, `s3.dualstack.eu-central-1.amazonaws.com`,
/// `s3.amazonaws.com`.
fn aws_region(host: &str) -> &str {
    let labels = host.trim_end_matches(".amazonaws.com").split('.');
    labels.rev().find(|label| label.matches('-').count() >= 2).unwrap_or("us-east-1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Prices {
        Prices(vec![toml::from_str(OURS).unwrap()])
    }

    #[test]
    fn a_location_is_known_by_its_endpoint() {
        let amount = |endpoint: &str, class: Option<&str>| {
            ours().of(endpoint, class).map(|price| price.amount(price.cost(1000 << 30)))
        };
        assert_eq!(
            amount("https://s3.eu-central-1.amazonaws.com", None).as_deref(),
            Some("24.50 USD")
        );
        assert_eq!(
            amount("https://s3.amazonaws.com", Some("STANDARD")).as_deref(),
            Some("23.00 USD")
        );
        let dual = "https://s3.dualstack.us-west-1.amazonaws.com/";
        assert_eq!(amount(dual, Some("STANDARD")).as_deref(), Some("26.00 USD"));
        assert_eq!(
            amount("https://abc.r2.cloudflarestorage.com", None).as_deref(),
            Some("16.10 USD")
        );
    }

    #[test]
    fn parts_for_glacier_are_billed_as_standard() {
        let of = |class| ours().of("https://s3.us-east-1.amazonaws.com", Some(class));
        assert_eq!(of("DEEP_ARCHIVE"), of("STANDARD"));
        assert_eq!(of("GLACIER"), of("STANDARD"));
        assert_ne!(of("GLACIER_IR"), of("STANDARD"));
    }

    #[test]
    fn no_cost_is_invented() {
        assert_eq!(ours().of("http://127.0.0.1:8014", None), None);
        assert_eq!(ours().of("https://s3.mars-north-1.amazonaws.com", None), None);
        assert_eq!(ours().of("https://s3.us-east-1.amazonaws.com", Some("NEW_CLASS")), None);
        assert_eq!(ours().of("https://amazonaws.com.example.org", None), None);
    }

    #[test]
    fn a_table_of_the_user_goes_first() {
        let own = "as_of = \"2026-11\"\ncurrency = \"EUR\"\n[[price]]\nprovider = \
            \"storage.example.org\"\nclass = \"STANDARD\"\nper_gib_month = 0.01\n";
        let prices = Prices(vec![toml::from_str(own).unwrap(), toml::from_str(OURS).unwrap()]);
        let price = prices.of("https://storage.example.org:9000/", None).unwrap();
        assert_eq!(
            (price.amount(price.cost(1 << 30)), price.as_of()),
            ("0.01 EUR".to_owned(), "2026-11")
        );
        assert_eq!(price.amount(price.cost(1 << 20)), "<0.01 EUR");
        assert!(prices.of("https://s3.us-east-1.amazonaws.com", None).is_some());
    }
}

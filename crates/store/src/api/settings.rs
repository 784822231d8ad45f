//! The settings of a bucket: when unfinished uploads are removed, and what browsers may do.
//!
//! The store acts on the lifecycle by itself; CORS it only keeps for the server.

use serde::{Deserialize, Serialize};

/// When to remove what, per bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleConfiguration {
    /// At most 1,000 on AWS.
    pub rules: Vec<LifecycleRule>,
}

/// One rule of a lifecycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleRule {
    /// Its name, at most 255 characters.
    pub id: String,
    /// Whether it is in force.
    pub status: RuleStatus,
    /// For which keys; the empty prefix is all.
    pub prefix: String,
    /// AbortIncompleteMultipartUpload: remove uploads so many days after they were created.
    pub abort_incomplete_after_days: Option<u32>,
}

/// Whether a rule is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleStatus {
    /// It is.
    #[default]
    Enabled,
    /// It is not.
    Disabled,
}

/// What browsers may do, per bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsConfiguration {
    /// At most 100 on AWS; the first that fits counts.
    pub rules: Vec<CorsRule>,
}

/// One rule of CORS, as it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorsRule {
    /// Its name.
    pub id: Option<String>,
    /// Which origins, with at most one `*` each.
    pub allowed_origins: Vec<String>,
    /// Which methods.
    pub allowed_methods: Vec<String>,
    /// Which request headers, with at most one `*` each.
    pub allowed_headers: Vec<String>,
    /// Which response headers scripts may see.
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer.
    pub max_age_seconds: Option<u32>,
}

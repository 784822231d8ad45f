//! Counts requests and bytes, and writes the counters in the text format of Prometheus.
//!
//! The set of counters is fixed, without a registry: every counter is a field here. Labels are the
//! method and the status, never a bucket or key, which are private and unbounded.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "other"];
/// The upper bounds of the duration histogram, in milliseconds.
const BUCKETS_MS: [u64; 8] = [1, 5, 25, 100, 500, 2_500, 10_000, 60_000];
const CLASSES: usize = 5;

/// All counters of the server.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: [[AtomicU64; CLASSES]; METHODS.len()],
    durations: [[AtomicU64; BUCKETS_MS.len() + 1]; METHODS.len()],
    duration_micros: [AtomicU64; METHODS.len()],
    pub(crate) connections: AtomicI64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
}

impl Metrics {
    /// Counts a response.
    pub(crate) fn answered(&self, method: &str, status: u16, elapsed: Duration) {
        let method = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status / 100).clamp(1, CLASSES) - 1;
        self.requests[method][class].fetch_add(1, Relaxed);
        let bucket = BUCKETS_MS.iter().position(|bound| elapsed <= Duration::from_millis(*bound));
        self.durations[method][bucket.unwrap_or(BUCKETS_MS.len())].fetch_add(1, Relaxed);
        self.duration_micros[method]
            .fetch_add(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Returns all counters as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::with_capacity(4096);
        head(
            &mut text,
            "haul_requests_total",
            "counter",
            "Requests answered, by method and class of status.",
        );
        for (method, classes) in METHODS.iter().zip(&self.requests) {
            for (class, count) in classes.iter().enumerate() {
                let (class, count) = (class + 1, count.load(Relaxed));
                line(
                    &mut text,
                    format_args!(
                        "haul_requests_total{{method=\"{method}\",status=\"{class}xx\"}} {count}"
                    ),
                );
            }
        }
        let name = "haul_request_duration_seconds";
        head(
            &mut text,
            name,
            "histogram",
            "From the first header to the head of the answer, by method.",
        );
        for (index, method) in METHODS.iter().enumerate() {
            let mut so_far = 0;
            for (slot, count) in self.durations[index].iter().enumerate() {
                so_far += count.load(Relaxed);
                let bound = BUCKETS_MS
                    .get(slot)
                    .map_or_else(|| "+Inf".to_owned(), |ms| seconds(*ms * 1000));
                line(
                    &mut text,
                    format_args!("{name}_bucket{{method=\"{method}\",le=\"{bound}\"}} {so_far}"),
                );
            }
            let sum = seconds(self.duration_micros[index].load(Relaxed));
            line(&mut text, format_args!("{name}_sum{{method=\"{method}\"}} {sum}"));
            line(&mut text, format_args!("{name}_count{{method=\"{method}\"}} {so_far}"));
        }
        gauge(&mut text, "haul_connections", "Connections open.", self.connections.load(Relaxed));
        for (name, help, count) in [
            (
                "haul_received_bytes_total",
                "Bytes of request bodies, as they came.",
                &self.received_bytes,
            ),
            ("haul_sent_bytes_total", "Bytes written to connections.", &self.sent_bytes),
        ] {
            head(&mut text, name, "counter", help);
            line(&mut text, format_args!("{name} {}", count.load(Relaxed)));
        }
        text
    }
}

/// Writes a counter, which only grows.
pub(crate) fn counter(text: &mut String, name: &str, help: &str, value: u64) {
    head(text, name, "counter", help);
    line(text, format_args!("{name} {value}"));
}

/// Writes a gauge, which grows and shrinks.
pub(crate) fn gauge(text: &mut String, name: &str, help: &str, value: i64) {
    head(text, name, "gauge", help);
    line(text, format_args!("{name} {value}"));
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("writing into a String cannot fail");
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_upwards() {
        let metrics = Metrics::default();
        metrics.answered("PUT", 200, Duration::from_millis(3));
        metrics.answered("PUT", 507, Duration::from_millis(30));
        metrics.answered("BREW", 405, Duration::from_secs(100));
        let text = metrics.text();
        for expected in [
            "haul_requests_total{method=\"PUT\",status=\"2xx\"} 1",
            "haul_requests_total{method=\"PUT\",status=\"5xx\"} 1",
            "haul_requests_total{method=\"other\",status=\"4xx\"} 1",
            "haul_request_duration_seconds_bucket{method=\"PUT\",le=\"0.001000\"} 0",
            "haul_request_duration_seconds_bucket{method=\"PUT\",le=\"0.005000\"} 1",
            "haul_request_duration_seconds_bucket{method=\"PUT\",le=\"+Inf\"} 2",
            "haul_request_duration_seconds_sum{method=\"PUT\"} 0.033000",
            "haul_request_duration_seconds_count{method=\"other\"} 1",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
        }
    }
}

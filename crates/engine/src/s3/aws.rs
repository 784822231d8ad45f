//! Decides which hosts are AWS's own S3, by the whole host name. This is the only place for that
//! rule.
//!
//! A suffix alone is not enough: `ec2-203-0-113-1.compute-1.amazonaws.com` and
//! `minio-1.us-east-1.elb.amazonaws.com` are machines of AWS's customers, and anybody can own the
//! domain of `s3.amazonaws.com.example.org`. The rule only decides bucket addressing and the name
//! of a store; requests always go to the configured endpoint.

/// The domains of AWS's partitions (botocore's `partitions.json`).
const DOMAINS: [&str; 12] = [
    "amazonaws.com",
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// Returns the AWS domain that `host` belongs to, if it is a host of S3: regional, FIPS,
/// dual-stack, accelerated, of an access point or of a VPC endpoint, with or without a bucket in
/// front.
pub(super) fn domain_of_s3(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    DOMAINS.into_iter().find(|domain| {
        let Some(labels) = host.strip_suffix(domain).and_then(|front| front.strip_suffix('.'))
        else {
            return false;
        };
        let mut labels = labels.rsplit('.').peekable();
        // Read from the right: an optional `vpce`, region and `dualstack`, then the service.
        labels.next_if(|label| *label == "vpce");
        labels.next_if(|label| is_region(label));
        labels.next_if(|label| *label == "dualstack");
        labels.next().is_some_and(is_service)
    })
}

/// Returns whether a label is a region: `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`; not
/// `s3-us-west-2`, which is service and region in one.
fn is_region(label: &str) -> bool {
    !is_service(label) && label.contains('-') && label.ends_with(|last: char| last.is_ascii_digit())
}

/// Returns whether a label is a service: `s3`, `s3-fips`, `s3-accelerate`, `s3-us-west-2`,
/// `s3express-use1-az4`.
fn is_service(label: &str) -> bool {
    label == "s3" || label.starts_with("s3-") || label.starts_with("s3express")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_s3_are_told_from_their_neighbours() {
        for (host, domain) in [
            ("s3.amazonaws.com", "amazonaws.com"),
            ("S3.EU-central-1.AmazonAWS.com.", "amazonaws.com"),
            ("bucket.with.dots.s3.eu-central-1.amazonaws.com", "amazonaws.com"),
            ("s3-us-west-2.amazonaws.com", "amazonaws.com"),
            ("s3-fips.us-gov-west-1.amazonaws.com", "amazonaws.com"),
            ("s3.dualstack.us-east-1.amazonaws.com", "amazonaws.com"),
            ("s3-fips.dualstack.us-east-1.amazonaws.com", "amazonaws.com"),
            ("bucket.s3-accelerate.amazonaws.com", "amazonaws.com"),
            ("bucket.s3-accelerate.dualstack.amazonaws.com", "amazonaws.com"),
            ("bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com", "amazonaws.com"),
            ("point-123456789012.s3-accesspoint.us-west-2.amazonaws.com", "amazonaws.com"),
            ("s3express-use1-az4.us-east-1.amazonaws.com", "amazonaws.com"),
            ("s3.cn-north-1.amazonaws.com.cn", "amazonaws.com.cn"),
            ("s3.eusc-de-east-1.amazonaws.eu", "amazonaws.eu"),
        ] {
            assert_eq!(domain_of_s3(host), Some(domain), "{host}");
        }
        for host in [
            "127.0.0.1",
            "localhost",
            "s3.example.com",
            "s3.amazonaws.com.example.org",
            "s3.notamazonaws.com",
            "amazonaws.com",
            "ec2-203-0-113-1.compute-1.amazonaws.com",
            "s3-gateway-1.us-east-1.elb.amazonaws.com",
            "abc123.execute-api.us-east-1.amazonaws.com",
        ] {
            assert_eq!(domain_of_s3(host), None, "{host}");
        }
    }
}

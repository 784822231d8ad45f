//! The answers by which a store identifies itself.

use super::StoreKind;

/// The beginnings of `Server` headers.
const SERVERS: [(&str, StoreKind); 4] = [
    ("Haul", StoreKind::HaulServe),
    // From 17.2 on; 16.2 sends no such header.
    ("Ceph Object Gateway", StoreKind::CephRgw),
    ("Garage", StoreKind::Garage),
    ("MinIO", StoreKind::MinIo),
];

impl StoreKind {
    /// Returns the kind that a `Server` header names.
    pub fn of_server(header: &str) -> Option<Self> {
        SERVERS.iter().find(|(name, _)| header.starts_with(name)).map(|(_, kind)| *kind)
    }

    /// Returns the kind that the headers of an answer name. `header` returns a header by its name
    /// in lower case.
    pub fn of_answer<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        if let Some(kind) = header("server").and_then(Self::of_server) {
            return Some(kind);
        }
        // LocalStack 4.14.0 sends it with every answer.
        if header("x-localstack").is_some() {
            return Some(Self::LocalStack);
        }
        header("x-amz-request-id").filter(|id| is_of_ceph(id)).map(|_| Self::CephRgw)
    }
}

/// Returns whether a request id has the form of Ceph RGW: `tx` and 21 hexadecimal digits, then
/// 10 digits of time, the instance and the zone (measured at 16.2.15:
/// `tx000005312d113a46ec5f1-006b08bb5e-102a-default`). The ids of OpenStack Swift, which begin in
/// the same way, end after the time.
fn is_of_ceph(request_id: &str) -> bool {
    let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut fields = request_id.splitn(4, '-');
    let (Some(id), Some(time), Some(instance), Some(zone)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return false;
    };
    id.strip_prefix("tx").is_some_and(|id| id.len() == 21 && hexadecimal(id))
        && time.len() == 10
        && hexadecimal(time)
        && !instance.is_empty()
        && hexadecimal(instance)
        && !zone.is_empty()
}
